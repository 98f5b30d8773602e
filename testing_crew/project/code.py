"""Code under test: which functions and classes a file has, how it is imported, and what of it a model is shown."""

from __future__ import annotations

import ast
import re
import sys
import tokenize
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from testing_crew.errors import UserMistake
from testing_crew.project.imports import import_root
from testing_crew.project.python import newer_python
from testing_crew.project.syntax import UNREADABLE, first_line, parse
from trace_logger.records import CodeUnderTest

MODULE_LINE = "# module: "
UNIT_LINE = "# unit: "
SHOWN_CHARS = 6000  # room for a unit with its helpers; a unit that is longer by itself is shown whole
_ENCODING_LINE = re.compile(r"\A((?:[ \t\f]*(?:#.*)?\n)??[ \t\f]*#.*?coding[:=][ \t]*)[-\w.]+", re.ASCII)  # PEP 263


@dataclass(frozen=True)
class Unit:
    """A top-level function or class of a module; lines are 1-based and inclusive, decorators counted in."""

    name: str
    first_line: int
    last_line: int
    is_class: bool


_Definition = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def source_lines(text: str) -> list[str]:
    """The lines of ``text`` as Python counts them: ``str.splitlines`` also cuts at form feeds and the like."""
    return re.split(r"\r\n|\r|\n", text)


def read_source(path: Path) -> str:
    """The text of a Python file as Python reads it, its encoding line and byte order mark obeyed.

    An encoding line then says utf-8, which is what the text is written as wherever it goes. Raises UserMistake when the file
    cannot be read.
    """
    try:
        with tokenize.open(path) as file:
            text, encoding = file.read(), file.encoding
    except FileNotFoundError:
        raise UserMistake(f"no such file: {path}") from None
    except (OSError, SyntaxError, UnicodeDecodeError) as error:
        raise UserMistake(f"{path} cannot be read as Python source: {error}") from None
    if encoding.startswith("utf-8"):
        return text
    if _shape(text) != _shape(path.read_bytes()):  # an encoding such as utf-7 can hide the end of a line
        raise UserMistake(f"{path} is another program in {encoding} than its text shows", hint="save it as UTF-8")
    return _ENCODING_LINE.sub(r"\g<1>utf-8", text, count=1)


def _shape(source: str | bytes) -> str:
    try:
        return ast.dump(parse(source), include_attributes=True)
    except UNREADABLE:
        return ""


def _never_runs_on_import(node: ast.stmt) -> bool:
    """``if __name__ == "__main__"`` and ``if TYPE_CHECKING``: what stands there cannot be imported."""
    return (
        isinstance(node, ast.If)
        and {"__name__", "TYPE_CHECKING"}
        & {
            n.id if isinstance(n, ast.Name) else n.attr
            for n in ast.walk(node.test)
            if isinstance(n, (ast.Name, ast.Attribute))
        }
        != set()
    )


def _statements(body: list[ast.stmt]) -> list[ast.stmt]:
    """The module's statements, those under a top-level if, try or with included."""
    found: list[ast.stmt] = []
    for node in body:
        found.append(node)
        if _never_runs_on_import(node):
            continue
        for inner in ("body", "orelse", "finalbody", "handlers"):
            if isinstance(node, (ast.If, ast.Try, ast.With, ast.ExceptHandler)) and hasattr(node, inner):
                found += _statements(getattr(node, inner))
    return found


def parse_source(source: str, name: str, interpreter: str = sys.executable) -> ast.Module:
    """The syntax tree of ``source``; raises UserMistake naming the file and line when it does not parse.

    Where a newer Python would parse it (``interpreter``, in which it is to be run, is asked first), the error says so.
    """
    try:
        return parse(source)
    except UNREADABLE as error:
        where = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        text = error.msg if isinstance(error, SyntaxError) else str(error)
        own = f"{sys.version_info[0]}.{sys.version_info[1]}"
        if isinstance(error, SyntaxError) and (newer := newer_python(source, interpreter)):
            version = ".".join(map(str, newer.python[:2]))
            raise UserMistake(
                f"{name}{where}: testing-crew runs on Python {own} and cannot read this ({text}); it needs a later one, "
                f"such as the Python {version} of {newer.executable}",
                hint=f"install testing-crew there: {newer.executable} -m pip install testing-crew",
            ) from None
        hint = (
            f"mend the syntax error first; code for a Python later than {own} is read by a testing-crew installed there"
        )
        raise UserMistake(f"{name}{where}: not valid Python: {text}", hint=hint) from None


def find_units(tree: ast.Module) -> list[Unit]:
    """The functions and classes that tests are written for: the public ones, or all when none is public."""
    found: dict[str, Unit] = {}
    for node in _statements(tree.body):
        if isinstance(node, _Definition):
            first = first_line(node)
            found[node.name] = Unit(node.name, first, node.end_lineno or first, isinstance(node, ast.ClassDef))
    every = sorted(found.values(), key=lambda u: u.first_line)
    return [u for u in every if not u.name.startswith("_")] or every


def _bound_names(node: ast.stmt) -> set[str]:
    """The module-level names that a statement binds."""
    if isinstance(node, _Definition):
        return {node.name}
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
        return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return set()


def _used_names(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def _text(lines: list[str], node: ast.stmt) -> str:
    """The statement's own lines, moved to the margin where it stood under a top-level ``if`` or ``try``."""
    first = first_line(node)
    own = lines[first - 1 : node.end_lineno]
    indent = own[0][: len(own[0]) - len(own[0].lstrip())]
    if node.col_offset == 0:
        return "\n".join(own)
    if len(indent.encode()) != node.col_offset:
        return ast.unparse(node)  # something else stands before it in its line: ``else: x = 1``
    return "\n".join(line.removeprefix(indent) for line in own)


def _import_text(node: ast.Import | ast.ImportFrom, wanted: set[str]) -> str:
    names = [a for a in node.names if (a.asname or a.name).split(".")[0] in wanted]
    kept = ast.copy_location(type(node)(**{**dict(ast.iter_fields(node)), "names": names}), node)
    return ast.unparse(kept)


def heading(module: str, unit: str | None) -> str:
    """The lines above what is shown of a module; a unit has one of its own."""
    return f"{MODULE_LINE}{module}\n" + (f"{UNIT_LINE}{unit}\n" if unit else "")


def parts(shown: str) -> tuple[str, str, str]:
    """The module's name, the unit's and the code below of what `render` gave; a name is empty where its line is missing."""
    module = unit = ""
    if shown.startswith(MODULE_LINE):
        first, _, shown = shown.partition("\n")
        module = first.removeprefix(MODULE_LINE).strip()
        if shown.startswith(UNIT_LINE):
            second, _, shown = shown.partition("\n")
            unit = second.removeprefix(UNIT_LINE).strip()
    return module, unit, shown


@lru_cache(maxsize=4)
def _tree(source: str) -> ast.Module:
    """The tree of a module many of whose units are rendered one after the other; it is not changed."""
    return parse(source)


def render(source: str, module: str, unit: str | None, max_chars: int = SHOWN_CHARS) -> str:
    """What a model is shown of ``source``: the module's name and the unit's, then the unit with what it uses of the module.

    Helpers are left out, the furthest first, where the whole would exceed ``max_chars`` characters. With no unit, the
    whole source is shown.
    """
    header = heading(module, unit)
    if unit is None:
        return header + source.strip() + "\n"
    lines = source_lines(source)
    statements = _statements(_tree(source).body)
    by_name: dict[str, ast.stmt] = {}
    for node in statements:
        for name in _bound_names(node):
            if not (name == unit and unit in by_name and not isinstance(node, _Definition)):
                by_name[name] = node  # ``f = lru_cache(f)`` after ``def f`` does not hide the definition of the unit
    target = by_name[unit]
    wanted, queue = {unit}, [unit]
    kept: list[ast.stmt] = [target]
    size = len(_text(lines, target))
    while queue:
        for name in sorted(_used_names(by_name[queue.pop(0)]) & by_name.keys() - wanted):
            node = by_name[name]
            size += 0 if node in kept else len(_text(lines, node))
            if size > max_chars:
                return _compose(header, lines, kept, wanted)
            wanted.add(name)
            queue.append(name)
            if node not in kept:
                kept.append(node)
    return _compose(header, lines, kept, wanted)


def _compose(header: str, lines: list[str], kept: list[ast.stmt], wanted: set[str]) -> str:
    kept = sorted(kept, key=lambda n: n.lineno)
    imports = [_import_text(n, wanted) for n in kept if isinstance(n, (ast.Import, ast.ImportFrom))]
    rest = [
        (isinstance(n, _Definition), _text(lines, n)) for n in kept if not isinstance(n, (ast.Import, ast.ImportFrom))
    ]
    parts = ["\n".join(imports)] if imports else []
    constants = [text for is_def, text in rest if not is_def]
    parts += ["\n".join(constants)] if constants else []
    parts += [text for is_def, text in rest if is_def]
    return header + "\n\n".join(parts) + "\n"


def load_module(path: Path, interpreter: str, test: Path | None = None) -> CodeUnderTest:
    """The file at ``path`` as one; ``test`` is the test file that imports it, if any.

    Raises UserMistake when the file does not exist, is not text or does not parse.
    """
    source = read_source(path)
    parse_source(source, str(path), interpreter)
    root, module = import_root(path, interpreter, test)
    return CodeUnderTest(
        source=source,
        shown=render(source, module, None),
        module=module,
        path=str(path.resolve()),
        root=str(root),
        interpreter=interpreter,
    )


def load_units(path: Path, interpreter: str, only: str | None = None) -> list[CodeUnderTest]:
    """One CodeUnderTest per function or class of the file at ``path``.

    Raises UserMistake as `load_module` does, and when there is nothing to test.
    """
    whole = load_module(path, interpreter)
    found = [u for u in find_units(parse(whole.source)) if only in (None, u.name)]
    # imported into a test file, a function called test_… would be collected as a test
    found = [u for u in found if not u.name.startswith(("test", "Test"))] or found
    if not found:
        what = f"no function or class named {only!r}" if only else "no function or class to test"
        raise UserMistake(f"{path}: {what}, so there is nothing to write tests for")
    return [
        whole.model_copy(update={"unit": unit.name, "shown": render(whole.source, whole.module, unit.name)})
        for unit in found
    ]
