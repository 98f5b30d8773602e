"""Test files taken apart and put together again: which tests there are, what each is about, and a file of some of them.

No input, expected value or assertion is changed; text that is kept is kept word for word, but for imports.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from testing_crew.project import syntax
from testing_crew.project.code import source_lines
from testing_crew.project.syntax import first_line

_Function = (ast.FunctionDef, ast.AsyncFunctionDef)
_Definition = (*_Function, ast.ClassDef)
_Import = (ast.Import, ast.ImportFrom)
_CLOCKS = {
    *("perf_counter", "perf_counter_ns", "monotonic", "monotonic_ns", "process_time", "process_time_ns"),
    *("time_ns", "thread_time", "default_timer", "timeit", "timeout", "benchmark"),
}
_PROVIDED = {"pytest", "_pytest"}


@lru_cache(maxsize=16)
def parse(text: str) -> ast.Module | None:
    """The tree of ``text``, not to be changed; None where it is no Python."""
    try:
        return syntax.parse(text)
    except syntax.UNREADABLE:
        return None


def names_in(node: ast.AST) -> set[str]:
    """Names that are read, fixtures that are asked for, and strings that may be either."""
    found = set()
    for n in ast.walk(node):
        if isinstance(n, ast.Name):
            found.add(n.id)
        elif isinstance(n, ast.arg):
            found.add(n.arg)
        elif isinstance(n, ast.Constant) and isinstance(n.value, str) and n.value.isidentifier():
            found.add(n.value)
    return found


def bound(node: ast.AST) -> set[str]:
    """Every name that is given a value anywhere in ``node``: assigned, defined, imported, or a parameter."""
    found = set()
    for n in ast.walk(node):
        if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load):
            found.add(n.id)
        elif isinstance(n, ast.arg):
            found.add(n.arg)
        elif isinstance(n, _Definition):
            found.add(n.name)
        elif isinstance(n, ast.alias):
            found.add((n.asname or n.name).split(".")[0])
        elif isinstance(n, ast.ExceptHandler) and n.name:
            found.add(n.name)
    return found


def _is_test_class(node: ast.AST) -> bool:
    return isinstance(node, ast.ClassDef) and node.name.startswith("Test")


def tests_in(tree: ast.Module) -> Iterator[tuple[str, ast.AST, ast.ClassDef | None]]:
    """(name, node, class) of each test: ``test_a``, or ``TestB.test_c`` for a method."""
    for node in tree.body:
        if isinstance(node, _Function) and node.name.startswith("test"):
            yield node.name, node, None
        elif isinstance(node, ast.ClassDef) and _is_test_class(node):
            for inner in node.body:
                if isinstance(inner, _Function) and inner.name.startswith("test"):
                    yield f"{node.name}.{inner.name}", inner, node


def helpers(tree: ast.Module) -> dict[str, ast.AST]:
    """What stands beside the tests by name: functions, fixtures, classes, constants."""
    found: dict[str, ast.AST] = {}
    for node in tree.body:
        if isinstance(node, _Definition) and not _is_test_class(node):
            found[node.name] = node
        elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            found |= {name: node for name in bound(node)}
    return found


@lru_cache(maxsize=16)
def reach(tree: ast.Module) -> dict[str, list[str]]:
    """For each test the names that it reaches, itself first, then through helpers and its class's other members."""
    beside = helpers(tree)
    found = {}
    for name, node, owner in tests_in(tree):
        own = [m for m in owner.body if not (isinstance(m, _Function) and m.name.startswith("test"))] if owner else []
        queue: list[ast.AST] = [node, *own, *([*owner.decorator_list, *owner.bases] if owner else [])]
        names: dict[str, None] = {}
        while queue:
            for each in sorted(_in_order(queue.pop(0)), key=lambda pair: pair[1]):
                if each[0] not in names:
                    names[each[0]] = None
                    if each[0] in beside:
                        queue.append(beside[each[0]])
        found[name] = list(names)
    return found


def _in_order(node: ast.AST) -> list[tuple[str, tuple[int, int]]]:
    wanted = names_in(node)
    places = []
    for n in ast.walk(node):
        name = n.id if isinstance(n, ast.Name) else n.arg if isinstance(n, ast.arg) else getattr(n, "value", None)
        if isinstance(name, str) and name in wanted and isinstance(n, (ast.expr, ast.arg)):
            places.append((name, (n.lineno, n.col_offset)))
    return places


def imported_tops(tree: ast.AST) -> set[str]:
    """The first name of every module imported anywhere; a leading dot stands for a relative import."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("." if node.level else (node.module or "").split(".")[0])
    return found


def foreign(tree: ast.AST, own: Iterable[str]) -> set[str]:
    """Imports of what neither the standard library nor pytest nor ``own`` is."""
    return imported_tops(tree) - set(sys.stdlib_module_names) - _PROVIDED - set(own)


def timed(tree: ast.Module) -> set[str]:
    """The tests that look at a clock: whether they hold depends on the machine."""
    found = set()
    for name, node, owner in tests_in(tree):
        marks = owner.decorator_list if owner else []
        for n in (inner for top in [node, *marks] for inner in ast.walk(top)):
            word = n.attr if isinstance(n, ast.Attribute) else n.id if isinstance(n, ast.Name) else ""
            plain = isinstance(n, ast.Attribute) and word == "time" and getattr(n.value, "id", "") == "time"
            called = isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == "time"
            if word in _CLOCKS or plain or called:
                found.add(name)
    return found


@dataclass(frozen=True)
class _Piece:
    text: str
    kind: str  # import, line, block


def cut(text: str, keep: Callable[[str], bool]) -> str:
    """The file with only the tests whose name (as `tests_in` gives it) is kept, and what they need; empty without any.

    What runs on import and binds nothing stays; a main guard and the file's docstring go.
    """
    tree = parse(text)
    if tree is None:
        return ""
    kept = {name for name, _, _ in tests_in(tree) if keep(name)}
    if not kept:
        return ""
    lines = source_lines(text)
    wanted = _needed(tree, kept)
    pieces: list[_Piece] = []
    for node in tree.body:
        piece = _piece(node, lines, kept, wanted)
        if piece and piece.text:
            pieces.append(piece)
    return _joined(pieces)


def _needed(tree: ast.Module, kept: set[str]) -> set[str]:
    """The names that the kept tests reach, with those that run in any case."""
    reached = reach(tree)
    wanted = {name for test in kept for name in reached[test]} | _always(tree)
    beside = helpers(tree)
    seen: set[str] = set()
    while new := (wanted & beside.keys()) - seen:
        seen |= new
        for name in new:
            wanted |= names_in(beside[name])
    return wanted


@lru_cache(maxsize=16)
def _always(tree: ast.Module) -> frozenset[str]:
    return frozenset(name for node in tree.body if _runs_anyway(node) for name in names_in(node))


def _runs_anyway(node: ast.stmt) -> bool:
    if isinstance(node, _Function):
        auto = any(isinstance(n, ast.keyword) and n.arg == "autouse" for d in node.decorator_list for n in ast.walk(d))
        return auto or node.name.startswith(("setup_", "teardown_", "setUpModule", "tearDownModule"))
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        return "pytestmark" in bound(node)
    return not isinstance(node, (*_Import, ast.ClassDef, ast.AugAssign)) and not is_left_out(node)


def is_left_out(node: ast.stmt) -> bool:
    """A file's docstring (or other bare constant), and what runs only as a script."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    return isinstance(node, ast.If) and "__name__" in names_in(node.test)


def _piece(node: ast.stmt, lines: list[str], kept: set[str], wanted: set[str]) -> _Piece | None:
    if is_left_out(node):
        return None
    if isinstance(node, ast.ImportFrom) and node.module == "__future__":
        return _Piece(ast.unparse(node), "import")
    if isinstance(node, _Import):
        names = [a for a in node.names if a.name == "*" or (a.asname or a.name).split(".")[0] in wanted]
        whole = len(names) == len(node.names)
        text = (
            _text(node, lines) if whole else ast.unparse(type(node)(**{**dict(ast.iter_fields(node)), "names": names}))
        )
        return _Piece(text, "import") if names else None
    if isinstance(node, ast.ClassDef) and _is_test_class(node):
        return _class(node, lines, kept)
    if isinstance(node, _Function) and node.name.startswith("test"):
        return _Piece(_text(node, lines), "block") if node.name in kept else None
    if isinstance(node, _Definition):
        needed = node.name in wanted or _runs_anyway(node)
        return _Piece(_text(node, lines), "block") if needed else None
    if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)) and bound(node):
        return _Piece(_text(node, lines), "line") if bound(node) & wanted or _runs_anyway(node) else None
    return _Piece(_text(node, lines), "line")


def _class(node: ast.ClassDef, lines: list[str], kept: set[str]) -> _Piece | None:
    body, tests = [], 0
    for inner in node.body:
        is_test = isinstance(inner, _Function) and inner.name.startswith("test")
        if is_test and f"{node.name}.{inner.name}" not in kept:  # type: ignore[attr-defined]
            continue
        tests += is_test
        if not (isinstance(inner, ast.Expr) and isinstance(inner.value, ast.Constant)):
            body.append((_text(inner, lines), isinstance(inner, _Definition)))
    if not tests:
        return None
    first = first_line(node)
    parts = ["\n".join(lines[first - 1 : first_line(node.body[0]) - 1]).rstrip()]
    for number, (text, is_block) in enumerate(body):
        parts.append(("\n" if number and is_block else "") + text)
    return _Piece("\n".join(parts), "block")


def _text(node: ast.stmt, lines: list[str]) -> str:
    """The statement's lines, with the comments that stand right above it."""
    first = first_line(node)
    if lines[first - 1][: node.col_offset].strip():
        return ast.unparse(node)  # another statement stands before it in its line
    while (
        first > 1
        and lines[first - 2].strip().startswith("#")
        and _indent(lines[first - 2]) == _indent(lines[first - 1])
    ):
        first -= 1
    return "\n".join(lines[first - 1 : node.end_lineno]).rstrip()


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _joined(pieces: list[_Piece]) -> str:
    out = ""
    for before, piece in zip([None, *pieces], pieces, strict=False):
        if before is not None:
            same = before.kind == piece.kind and piece.kind != "block"
            out += "\n" if same else "\n\n" if "block" not in (before.kind, piece.kind) else "\n\n\n"
        out += piece.text
    return out + "\n"
