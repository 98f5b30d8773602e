"""A module's text beside its syntax tree: where nodes stand, which statement owns a place, what is left alone, what compiles."""

from __future__ import annotations
import __future__

import ast
import bisect
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Generic, TypeVar

from testing_crew.project.syntax import parse

OTHER = "__testing_crew_other__"
DISABLED = "__testing_crew_disabled__"
UNPARSABLE = (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError)

_FUTURES = 0
for _name in __future__.all_feature_names:
    _FUTURES |= getattr(__future__, _name).compiler_flag
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_DISPLAYS = (ast.List, ast.Tuple, ast.Set, ast.Dict)
_OF_TABLES = (*_DISPLAYS, ast.Constant, ast.UnaryOp, ast.unaryop, ast.expr_context)
_LEAST_OF_TABLE = 10  # entries
_SETTINGS = {"__all__", "TYPE_CHECKING"}
_FOR_TYPE_CHECKERS = {"overload", "override", "final", "no_type_check"}
# What a code object says apart from its place in the file.
_OF_CODE = (
    "co_code",
    "co_consts",
    "co_names",
    "co_varnames",
    "co_freevars",
    "co_cellvars",
    "co_flags",
    "co_argcount",
    "co_posonlyargcount",
    "co_kwonlyargcount",
    "co_exceptiontable",
    "co_name",
)


@dataclass(frozen=True)
class Edit:
    """The characters from ``start`` to before ``end`` become ``new``, which has as many line breaks."""

    operator: str
    start: int
    end: int
    new: str


@dataclass(frozen=True)
class Span:
    """The characters from ``start`` to before ``end``."""

    start: int
    end: int


@dataclass(frozen=True)
class Place(Span):
    """A statement (or ``except`` or ``case``), decorators included."""

    line: int
    node: ast.AST


@dataclass(frozen=True)
class Piece(Span):
    """A part that compiles by itself, between ``before`` and ``after``."""

    before: str = ""
    after: str = ""


_S = TypeVar("_S", bound=Span)


class Nest(Generic[_S]):
    """Spans of which any two lie apart or one in the other."""

    def __init__(self, spans: Iterable[_S]) -> None:
        self._spans = sorted(spans, key=lambda span: (span.start, -span.end))
        self._starts = [span.start for span in self._spans]
        self._around: list[int] = []  # for each span, the number of the one that it lies in
        for number, span in enumerate(self._spans):
            outer = number - 1
            while outer >= 0 and self._spans[outer].end < span.end:
                outer = self._around[outer]
            self._around.append(outer)

    def around(self, start: int, end: int) -> Iterator[_S]:
        """Those that hold the characters from ``start`` to before ``end``, innermost first."""
        number = bisect.bisect_right(self._starts, start) - 1
        while number >= 0:
            if end <= self._spans[number].end:
                yield self._spans[number]
            number = self._around[number]


class Text:
    """A parsed module. In ``source`` every line, the last one too, ends with LF: Python reads all breaks as one.

    Raises one of ``UNPARSABLE`` when it does not parse.
    """

    def __init__(self, source: str) -> None:
        self.source = re.sub(r"\r\n?", "\n", source)
        self.source += "" if self.source.endswith("\n") else "\n"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.tree = parse(self.source)
            code = compile(self.source, "<target>", "exec", dont_inherit=True, optimize=0)
        self._flags = code.co_flags & _FUTURES
        self._lines = self.source.split("\n")
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line) + 1)
        self._places = Nest(self._all_places())
        self._pieces = Nest(self._all_pieces())
        self._functions = Nest(self._all_functions())
        self._tables = Nest(self._constant_tables())
        self._compiled: dict[Piece, CodeType | None] = {}

    def at(self, line: int, characters: int) -> int:
        """Offset of a place given by its line (from 1) and its column in characters."""
        return self._starts[line - 1] + characters

    def _at_bytes(self, line: int, column: int) -> int:
        text = self._lines[line - 1]
        return self.at(line, column if text.isascii() else len(text.encode()[:column].decode(errors="replace")))

    def line_of(self, offset: int) -> int:
        """The line, from 1, that holds the character at ``offset``."""
        return bisect.bisect_right(self._starts, offset)

    def line_start(self, line: int) -> int:
        return self._starts[line - 1]

    def line_end(self, line: int) -> int:
        """Offset of the line break that ends ``line``."""
        return self._starts[line] - 1

    def span(self, node: ast.expr | ast.stmt | ast.excepthandler | ast.pattern) -> tuple[int, int]:
        """Where ``node`` starts and ends, as offsets; decorators left out."""
        last = (node.end_lineno or node.lineno, node.end_col_offset or node.col_offset)
        return self._at_bytes(node.lineno, node.col_offset), self._at_bytes(*last)

    def start(self, node: ast.stmt) -> int:
        """Where the statement starts, its decorators included."""
        decorators: list[ast.expr] = getattr(node, "decorator_list", [])
        if decorators:
            return self.source.rindex("@", 0, self.span(decorators[0])[0])
        return self.span(node)[0]

    def _place(self, node: ast.stmt) -> Place:
        return Place(self.start(node), self.span(node)[1], node.lineno, node)

    def _all_places(self) -> Iterator[Place]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.stmt):
                yield self._place(node)
            elif isinstance(node, ast.ExceptHandler):
                yield Place(*self.span(node), node.lineno, node)
            elif isinstance(node, ast.match_case):
                start, end = self.span(node.pattern)[0], self.span(node.body[-1])[1]
                yield Place(start, end, node.pattern.lineno, node)

    def _all_pieces(self) -> Iterator[Piece]:
        """The module's statements, those of its classes below a ``class`` line, and the entries of long displays."""
        for node in self.tree.body:
            yield Piece(self.start(node), self.span(node)[1])
            for member in node.body if isinstance(node, ast.ClassDef) else []:
                start = self.start(member)
                indent = self.source[self.line_start(self.line_of(start)) : start]
                if indent.isspace():
                    yield Piece(start, self.span(member)[1], "class C:\n" + indent)
        for display in ast.walk(self.tree):
            entries = _entries(display)
            for entry in entries if len(entries) >= _LEAST_OF_TABLE else []:
                yield Piece(*self.span(entry), "x = (", ")")

    def _all_functions(self) -> Iterator[Span]:
        for node in ast.walk(self.tree):
            if isinstance(node, _FUNCTIONS):
                yield Span(self.start(node), self.span(node)[1])
            elif isinstance(node, ast.Lambda):
                yield Span(*self.span(node))

    def _constant_tables(self) -> Iterator[Span]:
        """Displays of many constants and nothing else."""
        for node in ast.walk(self.tree):
            if isinstance(node, _DISPLAYS):
                inside = list(ast.walk(node))
                constants = sum(isinstance(each, ast.Constant) for each in inside)
                if constants >= _LEAST_OF_TABLE and all(isinstance(each, _OF_TABLES) for each in inside):
                    yield Span(*self.span(node))

    def owner(self, offset: int) -> Place | None:
        """The innermost statement around ``offset``."""
        return next(self._places.around(offset, offset + 1), None)

    def table(self, offset: int) -> int | None:
        """Where the data that ``offset`` belongs to begins: a table of constants, or a statement outside of all functions.

        None for code.
        """
        around: Sequence[Span] = [*self._tables.around(offset, offset + 1)]
        if not around and not any(self._functions.around(offset, offset + 1)):
            around = [*self._places.around(offset, offset + 1)][:1]
        return around[-1].start if around else None

    def left_alone(self) -> list[tuple[int, int]]:
        """Spans where a mutant would say nothing: annotations, docstrings, ``__all__``, ``TYPE_CHECKING``, what runs for type
        checkers or for the command line only.
        """
        found: list[tuple[int, int]] = []
        for node in ast.walk(self.tree):
            if isinstance(node, _FUNCTIONS):
                found += [self.span(node.returns)] if node.returns else []
                for decorator in node.decorator_list:
                    if _last_name(decorator) in _FOR_TYPE_CHECKERS:
                        found.append((self.source.rindex("@", 0, self.span(decorator)[0]), self.span(decorator)[1]))
            elif isinstance(node, (ast.arg, ast.AnnAssign)) and node.annotation:
                found.append(self.span(node.annotation))
            elif isinstance(node, ast.If) and _is_aside(node.test):
                found.append((self.span(node)[0], self.span(node.body[-1])[1]))
            elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                found.append(self.span(node))
            elif type(node).__name__ == "TypeAlias":  # 3.12 and later
                assert isinstance(node, ast.stmt)
                found.append(self.span(node))
            for parameter in getattr(node, "type_params", []):
                found.append(self.span(parameter))
            targets = getattr(node, "targets", None) or [getattr(node, "target", None)]
            if isinstance(node, ast.stmt) and any(_last_name(target) in _SETTINGS for target in targets):
                found.append(self.span(node))
        return found

    def applied(self, edit: Edit) -> str:
        return self.source[: edit.start] + edit.new + self.source[edit.end :]

    def outcome(self, edit: Edit) -> bool | None:
        """Whether ``edit`` leaves the compiled code as it is; None when it leaves something that does not compile.

        Only the piece that holds the edit is compiled: a long module has thousands of mutants.
        """
        for piece in self._pieces.around(edit.start, edit.end):
            if piece not in self._compiled:
                self._compiled[piece] = self._compile(piece, self.source[piece.start : piece.end])
            code = self._compiled[piece]
            if code is not None:  # an entry with ``await`` in it does not compile by itself
                head, tail = self.source[piece.start : edit.start], self.source[edit.end : piece.end]
                mutated = self._compile(piece, head + edit.new + tail)
                return None if mutated is None else same_code(code, mutated)
        return None

    def _compile(self, piece: Piece, text: str) -> CodeType | None:
        whole = f"{piece.before}{text}{piece.after}\n"
        try:
            code: CodeType = compile(whole, "<target>", "exec", self._flags, dont_inherit=True, optimize=0)
        except UNPARSABLE:
            return None
        return code


def _entries(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Dict):
        return [each for each in (*node.keys, *node.values) if each is not None]
    return node.elts if isinstance(node, (ast.List, ast.Tuple, ast.Set)) else []


def same_code(one: object, other: object) -> bool:
    """Whether two code objects (or two constants of theirs) do the same, wherever they stand."""
    if type(one) is not type(other):
        return False
    if isinstance(one, CodeType):
        return all(same_code(getattr(one, name, None), getattr(other, name, None)) for name in _OF_CODE)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(same_code, one, other))
    if isinstance(one, frozenset) and isinstance(other, frozenset):
        return sorted(map(repr, one)) == sorted(map(repr, other))
    if isinstance(one, (float, complex)):
        return repr(one) == repr(other)  # 0.0 == -0.0, and nan is not nan
    return one == other


def _last_name(node: ast.AST | None) -> str | None:
    """``c`` of ``c``, ``b.c`` and ``b.c(...)``."""
    if isinstance(node, ast.Call):
        node = node.func
    return getattr(node, "id", None) or getattr(node, "attr", None)


def _is_aside(test: ast.expr) -> bool:
    """Whether ``test`` is ``TYPE_CHECKING`` or ``__name__ == "__main__"``."""
    if isinstance(test, ast.Compare):
        return any(_last_name(side) == "__name__" for side in (test.left, *test.comparators))
    return _last_name(test) == "TYPE_CHECKING"
