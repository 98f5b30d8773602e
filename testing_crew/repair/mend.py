"""From a completion to a test file: take the code out of it, and mend by code what is mechanical.

Mended here: markdown around the file, rows and tests that cannot be read as Python, rows that a table has already or that
expect a result of a call that the same file says to raise, a missing ``import pytest``, a wrong import path of the target, notes
of the prompt's own (``notes.py``) that were copied. Inputs, expected values and assertions are the model's; nothing here writes
or changes one.
"""

from __future__ import annotations

import ast
import builtins
import difflib
import importlib.util
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from testing_crew.project.code import source_lines
from testing_crew.project.syntax import parse, parses
from testing_crew.prompt.notes import strip
from testing_crew.repair.origins import expectations, table_rows
from trace_logger.records import CodeUnderTest

_FENCE = re.compile(
    r"^[ \t]*```[ \t]*(?:python|py|Python|python3)?[ \t]*\n(.*?)(?:^[ \t]*```[ \t]*$|\Z)", re.DOTALL | re.MULTILINE
)
_SPECIAL = r"<[|｜][^|｜\n]{1,40}[|｜]>"
_AT_THE_ENDS = re.compile(rf"\A(?:\s*{_SPECIAL})+|(?:{_SPECIAL}\s*)+\Z")
_CODE_START = re.compile(
    r"^(?:import |from \S+ import |@|def |async def |class |#|\"\"\"|[A-Za-z_]\w* *=)", re.MULTILINE
)


_PYTEST_NAMES = {"approx", "raises", "fixture", "param", "warns", "skip", "fail", "importorskip", "deprecated_call"}
ALIKE = 0.5  # of difflib's ratio: word_Abc is like word_lengths, approx is not like floor


@dataclass(frozen=True)
class Mended:
    """The test file, and the names of what was mended to get it; ``tests`` is empty when there was no code."""

    tests: str
    mended: tuple[str, ...]


def _strip_markdown(text: str) -> str:
    blocks: list[str] = [b for b in _FENCE.findall(text) if "def " in b or "import " in b]
    if blocks:
        tests = [b for b in blocks if "def test" in b or "class Test" in b]
        return max(tests or blocks, key=len)
    start = _CODE_START.search(text)
    return text[start.start() :] if start else ""


def _whole_parts(text: str) -> str:
    """``text`` without what cannot be read: a row of a table, else the whole test that it stands in; prose; an unfinished end."""
    lines = source_lines(text)
    tops: list[int] = []
    above = ""
    for at, line in enumerate(lines):
        if line and not line[0].isspace():
            if line[0] not in ")]}" and not above.startswith(("@", "])")):  # a function and its decorators are one part
                tops.append(at)
            above = line
    kept: list[str] = []
    for start, end in zip([0, *tops], [*tops, len(lines)], strict=True):
        part = lines[start:end]
        if not parses("\n".join(part)):
            part = [line for line in part if not _is_broken_row(line)]
        kept += part if parses("\n".join(part)) else []
    whole = "\n".join(kept).rstrip()
    return f"{whole}\n" if whole else ""


def _is_broken_row(line: str) -> bool:
    row = line.strip()
    return line.startswith("    ") and row.endswith(",") and row[0] in "([{'\"-0123456789" and not parses(row)


def _repeated_rows(text: str) -> list[int]:
    """The lines (counted from 0) of rows that a table has already."""
    found = []
    for node in ast.walk(parse(text)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("mark.parametrize") and len(node.args) > 1:
            rows = node.args[1].elts if isinstance(node.args[1], (ast.List, ast.Tuple)) else []
            alone = _alone(rows)
            seen: dict[str, int] = {}
            found += [
                row.lineno - 1
                for row in rows
                if seen.setdefault(ast.dump(row), row.lineno) != row.lineno and row.lineno in alone
            ]
    return found


def _alone(rows: list[ast.expr]) -> set[int]:
    """The lines that hold one row, and all of it."""
    places = [row.lineno for row in rows]
    return {row.lineno for row in rows if row.lineno == row.end_lineno and places.count(row.lineno) == 1}


def _contradicted_rows(text: str) -> list[int]:
    """The lines (counted from 0) of rows that expect a result of a call that another test of the file says to raise."""
    tests = [n for n in ast.walk(parse(text)) if isinstance(n, ast.FunctionDef) and n.name.startswith("test")]
    claims = {test: list(expectations(test)) for test in tests}
    raising = {call for made in claims.values() for call, want in made if want.startswith("!")}
    found = []
    for test, made in claims.items():
        rows = table_rows(test)
        alone = _alone(rows)
        wrong = [
            row.lineno - 1
            for row, (call, want) in zip(rows, made, strict=False)
            if call in raising and not want.startswith("!") and row.lineno in alone
        ]
        found += wrong if len(wrong) < len(rows) == len(made) else []  # one claim a row, and not all of them wrong
    return found


def _target_names(code: CodeUnderTest) -> set[str]:
    """What the target module defines at its top level."""
    return {
        node.name
        for node in parse(code.source).body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
    }


@dataclass(frozen=True)
class _Seen:
    """What a file imports from the target's real place, and the attributes (name, attribute) that it uses."""

    imported: set[str]
    attributes: set[tuple[str, str]]


def _look(tree: ast.Module, code: CodeUnderTest) -> _Seen:
    nodes = list(ast.walk(tree))
    froms = [n for n in nodes if isinstance(n, ast.ImportFrom) and n.module == code.module]
    imported = {a.name for n in froms for a in n.names}
    if any(a.name == code.module for n in nodes if isinstance(n, ast.Import) for a in n.names):
        imported |= _target_names(code)
    dotted = [n for n in nodes if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)]
    return _Seen(imported, {(n.value.id, n.attr) for n in dotted if isinstance(n.value, ast.Name)})


def _mend_imports(text: str, code: CodeUnderTest) -> tuple[str, list[str]]:
    tree = parse(text)
    if len({node.lineno for node in tree.body}) < len(tree.body):
        text = ast.unparse(tree) + "\n"  # several statements in a line: lines could not be replaced one by one
        tree = parse(text)
    own = _target_names(code)
    lines = source_lines(text.rstrip("\n"))
    done: list[str] = []
    bound: set[str] = set()
    used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    seen = _look(tree, code)
    defined = {n.name for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
    for node in sorted(tree.body, key=lambda n: -n.lineno):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            new = _mended_import(node, code, own, seen)
            bound |= {a.asname or a.name for a in node.names}
            if new is not None:
                lines[node.lineno - 1 : node.end_lineno] = [new]
                done.append("import path of the target")
    missing = []
    if "pytest" in used and "pytest" not in bound:
        missing.append("import pytest")
        done.append("import pytest")
    unit = code.unit
    if unit and unit in used and unit not in bound | defined and "*" not in bound:
        missing.append(f"from {code.module} import {unit}")
        done.append("import of the target")
    elif unit and unit not in used and (wrong := _misspelt(tree, code, own)):
        lines = [line for line in lines if line != f"from {code.module} import {wrong}"]
        missing.append(f"from {code.module} import {unit} as {wrong}")
        done.append("name of the target")
    at = _after_docstring(tree)
    return "\n".join([*lines[:at], *missing, *lines[at:]]) + "\n", done


def _exists(module: str, code: CodeUnderTest) -> bool:
    """Whether an import path is the target's own or some real module's, which a test may well compare with."""
    if module == code.module:
        return True
    place = Path(code.root, *module.split("."))
    if place.is_dir() or place.with_suffix(".py").is_file():
        return True
    head = module.partition(".")[0]
    if head == code.module.partition(".")[0]:
        return False  # within the target's own package, and not there
    try:
        return head in sys.stdlib_module_names or importlib.util.find_spec(head) is not None
    except (ImportError, ValueError):
        return False


def _misspelt(tree: ast.Module, code: CodeUnderTest, own: set[str]) -> str | None:
    """The one name that a file calls and that nothing gives it, where it never uses the unit: the unit's name, misspelt.

    Only the import is mended by it (``import add as adds``): the calls stay as the model wrote them. A name that is not
    like the unit's, or that the target or pytest has, is no misspelling.
    """
    bound = {a.arg for a in ast.walk(tree) if isinstance(a, ast.arg)} | set(dir(builtins))
    bound |= {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
    bound |= {n.name for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            gone = isinstance(node, ast.ImportFrom) and node.module == code.module
            bound |= {a.asname or a.name for a in node.names if not gone or a.name in own or a.name == "*"}
    called = {n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    unknown = called - bound
    if len(unknown) != 1 or "*" in bound or unknown & (own | _PYTEST_NAMES):
        return None
    name = unknown.pop()
    return name if difflib.SequenceMatcher(None, name, code.unit or "").ratio() >= ALIKE else None


def _mended_import(node: ast.Import | ast.ImportFrom, code: CodeUnderTest, own: set[str], seen: _Seen) -> str | None:
    """The statement with the target's real module in place of a wrong one; None where it is right or not about the target."""
    if isinstance(node, ast.ImportFrom):
        if node.level == 0 and node.module == code.module:
            return None
        there = node.level == 0 and _exists(node.module or "", code)
        # from another real module, only the unit itself is a mistake, and that only where the file does not import it rightly
        mistaken = {code.unit} - seen.imported if there else own
        about = [a for a in node.names if a.name in own & mistaken and not (there and a.asname)]
        if not about:
            return None
        fixed = ast.unparse(ast.ImportFrom(code.module, about, 0))
        others = [a for a in node.names if a not in about]
        return fixed if not others else fixed + "\n" + ast.unparse(ast.ImportFrom(node.module, others, node.level))
    for alias in node.names:
        name = alias.asname or alias.name
        used = any((name, item) in seen.attributes for item in own)
        if used and "." not in name and not _exists(alias.name, code):
            return f"import {code.module} as {name}" if len(node.names) == 1 else None
    return None


def _after_docstring(tree: ast.Module) -> int:
    """The line (counted from 0) before which imports may be put: after the docstring and ``from __future__``."""
    at = 0
    for node in tree.body:
        is_doc = (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        )
        is_future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        if not (is_doc or is_future):
            break
        at = node.end_lineno or at
    return at


def mend(completion: str, code: CodeUnderTest, noted: str | None = None) -> Mended:
    """The test file that ``completion`` holds, its mechanical faults mended.

    ``noted`` is the failed file, where the prompt showed it with the code's answers: those never reach a file.
    """
    done: list[str] = []
    text = completion.replace("\r\n", "\n")
    if not parses(text):
        text = _AT_THE_ENDS.sub("", text)
    if not parses(text):
        stripped = _strip_markdown(text)
        if stripped.strip() != text.strip():
            done.append("markdown")
        text = stripped
    if not parses(text):
        text = _whole_parts(text)
        done.append("what cannot be read")
    if not any(isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) for node in parse(text).body):
        return Mended("", tuple(done))
    if noted is not None and (without := strip(text, noted)) != text:
        text = without
        done.append("the prompt's notes")
    for name, rows in (("repeated rows", _repeated_rows), ("rows that another contradicts", _contradicted_rows)):
        if gone := rows(text):
            text = "\n".join(line for at, line in enumerate(source_lines(text)) if at not in gone)
            done.append(name)
    text, imports = _mend_imports(text.strip("\n") + "\n", code)
    return Mended(text, (*done, *imports))
