"""Code that stands in no importable file: where it lives for the run, and how its tests travel.

For the run, the code is a module beside the test file. The file that is handed out carries it under a marked header, so that
it runs on its own anywhere; the gate and the traces judge the tests without that header.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from pathlib import Path

from testing_crew.errors import UserMistake
from testing_crew.project import code as code_under_test
from testing_crew.project.imports import is_name, package_root
from testing_crew.project.syntax import parse
from trace_logger.records import CodeUnderTest

BEGIN = "# ---- code under test, word for word ----"
END = "# ---- tests ----"
_TAKEN = {"conftest", "pytest", "test", "__init__", "__main__"}


def stands_in(path: Path, source: str) -> bool:
    """Whether the file at ``path`` holds every top-level function and class of ``source``, as they are there."""
    try:
        there = parse(code_under_test.read_source(path))
        wanted = parse(source)
    except (UserMistake, SyntaxError, ValueError, RecursionError):
        return False
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    have = {ast.dump(n) for n in there.body if isinstance(n, kinds)}
    asked = [ast.dump(n) for n in wanted.body if isinstance(n, kinds)]
    return bool(asked) and all(d in have for d in asked)


def importable(path: Path) -> bool:
    """Whether a file has a name that an import statement can say."""
    return path.suffix == ".py" and all(map(is_name, package_root(path)[1].split(".")))


def plain_name(text: str) -> str:
    """``text`` with everything that a module name cannot have replaced by an underscore."""
    return re.sub(r"\W", "_", text)


def module_name(target: str) -> str:
    """A module name for a snippet: its file's stem where that is a free name, else ``snippet``."""
    stem = plain_name(Path(target).stem)
    free = (
        stem.isidentifier()
        and len(stem) < 100  # of a file name's 255 bytes
        and stem not in _TAKEN
        and stem not in sys.stdlib_module_names
        and not stem.startswith("test_")
    )
    return stem if free else "snippet"


def units(source: str, target: str, interpreter: str, root: str) -> list[CodeUnderTest]:
    """One CodeUnderTest per function or class of a snippet; ``path`` is None. Raises UserMistake when there is none."""
    found = code_under_test.find_units(code_under_test.parse_source(source, target, interpreter))
    if not found:
        raise UserMistake(f"{target}: no function or class to test in the code given")
    module = module_name(target)
    return [
        CodeUnderTest(
            source=source,
            shown=code_under_test.render(source, module, unit.name),
            module=module,
            unit=unit.name,
            root=root,
            interpreter=interpreter,
        )
        for unit in found
    ]


def attach(tests: str, source: str, module: str) -> str:
    """``tests`` with ``source`` under the header, its imports of ``module`` taken out; text that does not parse as it is."""
    try:
        tree = parse(tests)
    except (SyntaxError, ValueError, RecursionError):
        return tests
    if any(
        isinstance(n, ast.stmt) and _shares_line(n, tree) and _without(n, module) is not None for n in ast.walk(tree)
    ):
        tests = ast.unparse(tree) + "\n"
        tree = parse(tests)
    lines = code_under_test.source_lines(tests)
    imports = [n for n in ast.walk(tree) if isinstance(n, (ast.Import, ast.ImportFrom))]
    for node in sorted(imports, key=lambda n: -n.lineno):
        replaced = _without(node, module)
        if replaced is not None:
            inside = " " * node.col_offset
            lines[node.lineno - 1 : node.end_lineno] = [inside + r for r in replaced or (["pass"] if inside else [])]
    hidden = [
        f"{unit.name}.__test__ = False  # code under test, not a test"
        for unit in code_under_test.find_units(parse(source))
        if unit.name.startswith(("test", "Test"))
    ]
    return "\n".join([BEGIN, source.strip("\n"), *hidden, "", END, *lines]).rstrip() + "\n"


def _shares_line(node: ast.stmt, tree: ast.Module) -> bool:
    return sum(isinstance(n, ast.stmt) and n.lineno == node.lineno for n in ast.walk(tree)) > 1


def _without(node: ast.stmt, module: str) -> list[str] | None:
    """What stands in the place of an import of ``module``; None for a statement that stays."""
    if isinstance(node, ast.ImportFrom) and node.module == module and node.level == 0:
        return [f"{a.asname} = {a.name}" for a in node.names if a.asname and a.asname != a.name]
    if isinstance(node, ast.ImportFrom) and node.module == "__future__":
        return []  # allowed only at the top, where the snippet now stands
    if isinstance(node, ast.Import) and any(a.name == module for a in node.names):
        others = [a for a in node.names if a.name != module]
        own = [f"{a.asname or a.name} = __import__('sys').modules[__name__]" for a in node.names if a.name == module]
        return ([ast.unparse(ast.Import(others))] if others else []) + own
    return None


def detach(text: str) -> str:
    """The tests of a file that ``attach`` made; any other text as it is."""
    return text.split(END + "\n", 1)[1] if text.startswith(BEGIN) and END + "\n" in text else text


def attach_loader(tests: str, path: Path, test_file: Path, module: str) -> str:
    """``tests`` with a header that loads the file at ``path``, whose name no import statement can say, as ``module``."""
    header = [
        "import importlib.machinery",
        "import importlib.util",
        "import pathlib",
        "import sys",
        "",
        f"# {path.name} has a name that an import statement cannot say, so it is loaded by its path",
        f"_path = {_from_here(path, test_file)}",
        f"_loader = importlib.machinery.SourceFileLoader({module!r}, str(_path))",
        f"sys.modules[{module!r}] = importlib.util.module_from_spec(importlib.util.spec_from_loader({module!r}, _loader))",
        f"_loader.exec_module(sys.modules[{module!r}])",
        "",
    ]
    return _under(header, tests)


def attach_path(tests: str, root: Path, test_file: Path) -> str:
    """``tests`` with a header that puts the folder ``root`` last on the path."""
    header = [
        "import pathlib",
        "import sys",
        "",
        f"# {root.name} is not on the path in this project's runs of pytest",
        f"sys.path.append(str(({_from_here(root, test_file)}).resolve()))",
        "",
    ]
    return _under(header, tests)


def _from_here(path: Path, test_file: Path) -> str:
    return f"pathlib.Path(__file__).parent / {Path(os.path.relpath(path, test_file.parent)).as_posix()!r}"


def _under(header: list[str], tests: str) -> str:
    lines = code_under_test.source_lines(tests)
    futures = [n for n in parse(tests).body if isinstance(n, ast.ImportFrom) and n.module == "__future__"]
    for node in reversed(futures):  # they must come before everything else
        del lines[node.lineno - 1 : node.end_lineno]
    return "\n".join([*map(ast.unparse, futures), *header, *lines])
