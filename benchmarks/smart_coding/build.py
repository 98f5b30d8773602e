"""How the testgen rows that ship were made, from modules and tests of our own writing (`code_correctness/own`).

    python -m benchmarks.smart_coding.build        # testgen.jsonl, anew

Of each module the next test of its file, and the next lines of one function, the first of which the reference is worth something:
a test that notices what those above it do not, lines without which the tests fail.
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
from testing_crew.project.syntax import first_line, parse
from testing_crew.runner.run import Runner

_ABOVE = 3  # tests that are shown
_MOST_LINES = 4


def next_tests(module: str, code: str, tests: str, chance: random.Random) -> Iterator[TestgenRow]:
    """Each test of the file but the first, beginning with any, and what stands above it, cut to the last few tests."""
    tree = parse(tests)
    found = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name.startswith("test")]
    if len(found) < 2:
        return
    lines, begin = tests.split("\n"), chance.randrange(len(found) - 1)
    for number in range(len(found) - 1):
        at = 1 + (begin + number) % (len(found) - 1)
        gone = {n for node in found[: max(0, at - _ABOVE)] for n in range(first_line(node), (node.end_lineno or 0) + 1)}
        prefix = "\n".join(line for n, line in enumerate(lines[: first_line(found[at]) - 1], 1) if n not in gone)
        yield TestgenRow(
            id=f"test-{module}",
            kind="test",
            module=module,
            code=code,
            prefix=_spaced(prefix),
            reference="\n".join(lines[first_line(found[at]) - 1 : found[at].end_lineno]) + "\n",
            source="own",
        )


def next_lines(module: str, code: str, tests: str, chance: random.Random) -> Iterator[TestgenRow]:
    """The last statement of each function, in any order."""
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


def _spaced(text: str) -> str:
    return re.sub(r"\n{4,}", "\n\n\n", text).strip("\n") + "\n"


def _holds(row: TestgenRow, runner: Runner) -> bool:
    return passes(row, row.reference, runner) == 1 and not passes(row, "pass", runner)


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
            for asked in (next_tests, next_lines):
                row = next((row for row in asked(module, code, tests, chance) if _holds(row, runner)), None)
                if row is None:
                    print(f"left out: {asked.__name__} of {module}", file=sys.stderr)
                    continue
                rows.append(row.model_copy(update={"lines": reached(row, runner)}) if row.kind == "test" else row)
    out = Path(__file__).with_name("testgen.jsonl")
    out.write_text("".join(json.dumps(row.model_dump(exclude_defaults=True)) + "\n" for row in rows), encoding="utf-8")
    print(f"{out.name}: {len(rows)} rows")


if __name__ == "__main__":
    main()
