"""What of a project makes a question that its two files answer: test files cut to one test, and what is left out."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from benchmarks.code_correctness.labels import PROVIDED, is_library
from testing_crew.project.syntax import UNREADABLE, first_line, parse, parses

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_FIXTURES = {"request", "monkeypatch", "capsys", "capfd", "caplog", "recwarn", "subtests"}
# What differs from one machine, or one moment, to the next: modules, and what is got of others.
_MACHINE = {
    *("time", "timeit", "sched", "random", "secrets", "uuid", "os", "platform", "socket", "ssl", "subprocess"),
    *("threading", "multiprocessing", "concurrent", "tempfile", "locale", "getpass", "urllib", "http", "signal"),
    *("ctypes", "resource", "gc", "tracemalloc", "zoneinfo", "shutil", "glob", "pathlib", "sysconfig", "site"),
    *("importlib", "pkgutil", "sqlite3", "logging"),
}
_OF_SYS = {
    *("platform", "version", "version_info", "hexversion", "maxsize", "executable", "argv", "byteorder"),
    *("flags", "path"),
}
_OF_DATES = {"now", "today", "utcnow", "fromtimestamp", "astimezone"}
_ASSETS = {"open", "read_text", "read_bytes", "write_text", "write_bytes", "__file__", "tmp_path", "tmpdir", "input"}
_ADDRESS = {"id", "hash"}
_ELSEWHERE = "it imports other files of the project"
_MOMENT = "it depends on the machine or the moment"


def one_test_each(tests: str) -> Iterator[str]:
    """The file cut to each of its tests in turn, all else as it stands; tests are top-level, or in a class there."""
    try:
        tree = parse(tests)
    except UNREADABLE:
        return
    owners = [node for node in tree.body if _tests(node)]
    for owner in owners:
        for wanted in _tests(owner):
            gone = [node for node in owners if node is not owner]
            if isinstance(owner, ast.ClassDef):
                gone += [test for test in _tests(owner) if test is not wanted]
            cut = _without(tests, gone)
            try:
                left = [test for node in parse(cut).body for test in _tests(node)]
            except UNREADABLE:
                continue
            if len(left) == 1:
                yield cut


def _tests(node: ast.stmt) -> list[ast.stmt]:
    """The tests that a statement of a module is, or holds."""
    if isinstance(node, _FUNCTIONS):
        return [node] if node.name.startswith("test") else []
    if isinstance(node, ast.ClassDef) and (node.name.startswith("Test") or _is_case(node)):
        return [each for each in node.body if isinstance(each, _FUNCTIONS) and each.name.startswith("test")]
    return []


def _is_case(node: ast.ClassDef) -> bool:
    return any(ast.unparse(base).endswith("TestCase") for base in node.bases)


def _without(text: str, nodes: Iterable[ast.stmt]) -> str:
    """The text without some statements, and without the blank lines before each."""
    lines = text.split("\n")
    for node in sorted(nodes, key=lambda node: -node.lineno):
        first = first_line(node) - 1
        while first and not lines[first - 1].strip():
            first -= 1
        del lines[first : node.end_lineno]
    return "\n".join(lines).strip("\n") + "\n"


def why_not(source: str, own: Callable[[str], Path | None], focal: Path | None = None) -> str:
    """Why a file cannot be one of the two; empty where it can.

    ``own`` finds a module among the project's; ``focal`` is the one file of it that may be imported.
    """
    try:
        tree = parse(source)
    except UNREADABLE:
        return "it does not parse"
    bound = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    bound |= {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}
    for node in ast.walk(tree):
        for module, level in modules(node, own):
            found = own(module)
            if level or (found is not None and found != focal):
                return _ELSEWHERE
            if found is None and not is_library(module):
                return "it imports what may not be installed"
            if found is None and module.partition(".")[0] in _MACHINE:
                return f"{_MOMENT}: {module.partition('.')[0]}"
        if told := _of_the_moment(node, bound):
            return f"{_MOMENT}: {told}"
        if _named(node) & _ASSETS:
            return "it works with files"
    return ""


def _named(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Name):
        return {node.id}
    if isinstance(node, ast.arg):
        return {node.arg}
    return {node.attr} if isinstance(node, ast.Attribute) else set()


def _of_the_moment(node: ast.AST, bound: set[str]) -> str:
    if isinstance(node, ast.ImportFrom) and node.module == "sys":
        return next((f"sys.{alias.name}" for alias in node.names if alias.name in _OF_SYS), "")
    if isinstance(node, ast.Name) and node.id in _ADDRESS and node.id not in bound:
        return node.id
    if isinstance(node, ast.Attribute):
        base = ast.unparse(node.value).rpartition(".")[2]
        if (base == "sys" and node.attr in _OF_SYS) or (base in ("datetime", "date") and node.attr in _OF_DATES):
            return f"{base}.{node.attr}"
    return ""


def modules(node: ast.AST, own: Callable[[str], Path | None]) -> list[tuple[str, int]]:
    """The modules that a statement imports, with their levels; a name that is a module of the project is one."""
    if isinstance(node, ast.Import):
        return [(alias.name, 0) for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    if node.level or not node.module:
        return [("", 1)]
    inner = [f"{node.module}.{alias.name}" for alias in node.names]
    found = [name for name in inner if own(name) is not None]
    return [(name, 0) for name in found] + ([(node.module, 0)] if len(found) < len(inner) else [])


def imported(tests: str, own: Callable[[str], Path | None]) -> dict[str, Path]:
    """The project's files that a test file imports, by the names that it has for them."""
    try:
        tree = parse(tests)
    except UNREADABLE:
        return {}
    names = [module for node in ast.walk(tree) for module, level in modules(node, own) if not level]
    return {name: found for name in names if (found := own(name)) is not None}


def takes_from_elsewhere(tests: str) -> bool:
    """Whether a test asks for a fixture that neither its file nor pytest has."""
    tree = parse(tests)
    here = {node.name for node in ast.walk(tree) if isinstance(node, _FUNCTIONS)}
    for test in (test for node in tree.body for test in _tests(node)):
        assert isinstance(test, _FUNCTIONS)
        told = {
            word
            for each in test.decorator_list
            for node in ast.walk(each)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
            for word in re.split(r"[,\s]+", node.value)
        }
        asked = {each.arg for each in (*test.args.args, *test.args.kwonlyargs)} - {"self", "cls"}
        if asked - here - told - _FIXTURES:
            return True
    return False


def tags(focal: str, tests: str) -> dict[str, object]:
    """What a row's meta says of its files: lines, whether they parse, and of what kinds the test's imports are."""
    try:
        names = [module for node in ast.walk(parse(tests)) for module, _ in modules(node, lambda module: None)]
    except UNREADABLE:
        names = []
    kinds = {"pytest" if name in PROVIDED else "library" if is_library(name) else "focal" for name in names}
    return {
        "lines_focal": len(focal.splitlines()),
        "lines_test": len(tests.splitlines()),
        "parses": parses(focal) and parses(tests),
        "imports": sorted(kinds),
    }
