"""How the testgen rows that ship were made, from modules and tests of our own writing (`code_correctness/own`).

    python -m benchmarks.smart_coding.build        # testgen.jsonl, anew

Of each module the next test of its file, and the next lines of one function; each reference is run, and what fails is left out.
The rows of comments and issues were written by hand. Rows of a project's history: ``testing-crew collect export --as testgen``.
"""

from __future__ import annotations

import ast
import json
import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.code_correctness.build import unpacked
from benchmarks.smart_coding.rows import TestgenRow
from benchmarks.smart_coding.scoring import passes, reached
from testing_crew.project.syntax import parse
from testing_crew.runner.run import Runner

_ABOVE = 3  # tests that are shown
_MOST_LINES = 4


def next_tests(module: str, code: str, tests: str, chance: random.Random) -> Iterator[TestgenRow]:
    """A test of the file, and what stands above it, cut to the last few tests."""
    tree = parse(tests)
    found = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name.startswith("test")]
    if len(found) < 2:
        return
    at = chance.randrange(1, len(found))
    lines = tests.split("\n")
    gone = {line for node in found[: max(0, at - _ABOVE)] for line in range(_first(node), (node.end_lineno or 0) + 1)}
    prefix = "\n".join(line for n, line in enumerate(lines[: _first(found[at]) - 1], 1) if n not in gone)
    reference = "\n".join(lines[_first(found[at]) - 1 : found[at].end_lineno]) + "\n"
    yield TestgenRow(
        id=f"test-{module}",
        kind="test",
        module=module,
        code=code,
        prefix=_spaced(prefix),
        reference=reference,
        source="own",
    )


def next_lines(module: str, code: str, tests: str, chance: random.Random) -> Iterator[TestgenRow]:
    """The last statements of a function."""
    tree = parse(code)
    found = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and len(n.body) > 1]
    chance.shuffle(found)
    lines = code.split("\n")
    for node in found:
        first, last = node.body[-1].lineno, node.body[-1].end_lineno or 0
        if last - first < _MOST_LINES and node.body[-1].lineno > (node.body[-2].end_lineno or 0):
            yield TestgenRow(
                id=f"lines-{module}",
                kind="lines",
                module=module,
                prefix="\n".join(lines[: first - 1]) + "\n",
                reference="\n".join(lines[first - 1 : last]) + "\n",
                suffix="\n".join(lines[last:]),
                tests=tests,
                source="own",
            )
            return


def _first(node: ast.FunctionDef) -> int:
    return min([node.lineno, *(each.lineno for each in node.decorator_list)])


def _spaced(text: str) -> str:
    return re.sub(r"\n{4,}", "\n\n\n", text).strip("\n") + "\n"


def main() -> None:
    """The command in this module's docstring."""
    files = unpacked("Python")
    rows: list[TestgenRow] = []
    with Runner() as runner:
        for name, tests in sorted(files.items()):
            if not name.startswith("test_"):
                continue
            module = name.removeprefix("test_").removesuffix(".py")
            code, chance = files[f"{module}.py"], random.Random(name)
            for row in [*next_tests(module, code, tests, chance), *next_lines(module, code, tests, chance)]:
                worthless = "pass" if row.kind == "lines" else ""
                if not passes(row, row.reference, runner) or passes(row, worthless, runner):
                    print(f"left out: {row.id}", file=sys.stderr)
                    continue
                if row.kind == "test":
                    row = row.model_copy(update={"lines": reached(row, runner)})
                rows.append(row)
    out = Path(__file__).with_name("testgen.jsonl")
    out.write_text("".join(json.dumps(row.model_dump(exclude_defaults=True)) + "\n" for row in rows), encoding="utf-8")
    print(f"{out.name}: {len(rows)} rows")


if __name__ == "__main__":
    main()
