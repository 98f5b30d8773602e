"""A change of the target put into its functions where they are, in a process that has imported it already.

What runs when a module is imported (constants, decorators, defaults, class bodies) cannot be changed so: `Anew` says that the
change has to be imported. The functions found are those that the collector of garbage knows, wherever they are kept.

Runs inside the target's interpreter: standard library only.
PYTEST_DONT_REWRITE
"""

from __future__ import annotations
import __future__

import ast
import bisect
import gc
import os
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from types import AsyncGeneratorType, CodeType, CoroutineType, FunctionType, GeneratorType

from .lines import CO_OPTIMIZED, first_line

_KINDS = 0x20 | 0x80 | 0x100 | 0x200  # generator, coroutine, iterable coroutine, asynchronous generator
_FUTURES = 0
for _name in __future__.all_feature_names:
    _FUTURES |= getattr(__future__, _name).compiler_flag


_Place = tuple[str, int]


class Anew(Exception):
    """The change has to be imported."""


class Live:
    """The target as it lies in this process: its text ``source``, imported from the file ``path`` (a real path)."""

    def __init__(self, source: str, path: str) -> None:
        self.source = source
        self._path = path
        self._whole: CodeType = compile(source, path, "exec", dont_inherit=True)
        self._futures = self._whole.co_flags & _FUTURES
        self._lines = [0]
        for line in source.split("\n"):
            self._lines.append(self._lines[-1] + len(line) + 1)
        self._statements = [self._span(node) for node in ast.parse(source).body]
        self._compiled = [self._compile("\n" * (first - 1) + source[a:b]) for first, a, b in self._statements]
        self._functions: dict[_Place, list[FunctionType]] = defaultdict(list)
        self._running: set[_Place] = set()
        self._twins = {place for place, count in Counter(map(_place, _all(self._whole))).items() if count > 1}
        self._find()

    def _span(self, node: ast.stmt) -> tuple[int, int, int]:
        """The first line of a statement, and the offsets of that line's start and of the end of its last one."""
        first = first_line(node)
        return first, self._lines[first - 1], self._lines[node.end_lineno or node.lineno]

    def _find(self) -> None:
        known: dict[str, bool] = {}
        for found in gc.get_objects():
            if type(found) is FunctionType:
                code, into = found.__code__, self._functions
            elif isinstance(found, GeneratorType):
                code, into = found.gi_code, None
            elif isinstance(found, CoroutineType):
                code, into = found.cr_code, None
            elif isinstance(found, AsyncGeneratorType):
                code, into = found.ag_code, None
            else:
                continue
            name = code.co_filename
            if name not in known:
                known[name] = os.path.realpath(name) == self._path
            if known[name]:
                self._running.add(_place(code)) if into is None else into[_place(code)].append(found)

    def change(self, start: int, end: int, new: str) -> None:
        """Replace the characters of the text from ``start`` to before ``end`` by ``new``, which has as many line breaks.

        Raises `Anew`; some functions may be changed by then.
        """
        number = bisect.bisect_right(self._statements, start, key=lambda span: span[1]) - 1
        first, begins, ends = self._statements[max(number, 0)]
        shared = any(other[1] < ends and begins < other[2] for other in self._statements[number + 1 : number + 2])
        if number < 0 or not begins <= start <= end <= ends or shared or self._shares_line(number):
            raise Anew("it is not inside of one statement")
        lines = "\n" * (first - 1)
        changed = self._compile(lines + self.source[begins:start] + new + self.source[end:ends])
        self._replace(self._compiled[number], changed)

    def _shares_line(self, number: int) -> bool:
        return number > 0 and self._statements[number - 1][2] > self._statements[number][1]

    def restate(self, restated: Callable[[str], ast.AST]) -> None:
        """Replace every function that can be by one that ``restated`` makes of the text, which does the same by other code.

        Raises `Anew` where none can.
        """
        new = compile(restated(self.source), self._path, "exec", dont_inherit=True)  # type: ignore[call-overload]
        if not self._replace(self._whole, new, all_of_them=False):
            raise Anew("no function is there")

    def _compile(self, text: str) -> CodeType:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the compiler's remarks on mutants
            code: CodeType = compile(text, self._path, "exec", flags=self._futures, dont_inherit=True)
        return code

    def _replace(self, old: CodeType, new: CodeType, *, all_of_them: bool = True) -> int:
        """Give the functions of ``old`` the code of ``new``; how many did. Raises `Anew` where not ``all_of_them`` can."""
        replaced = 0
        for was, now, outermost in _differing(old, new, inside=False):
            objection = self._objection(was, now, outermost=outermost)
            if objection and all_of_them:
                raise Anew(objection)
            for function in () if objection else self._functions.get(_place(was), ()):
                function.__code__ = now
                replaced += 1
        return replaced

    def _objection(self, was: CodeType, now: CodeType, *, outermost: bool) -> str:
        place = _place(was)
        if place in self._running:
            return f"{was.co_name} is at work"
        if place in self._functions and place in self._twins:
            return f"there are two of {was.co_name} on one line"
        if outermost and place not in self._functions:
            return f"no function {was.co_name} is there"
        if was.co_flags & _KINDS != now.co_flags & _KINDS or was.co_freevars != now.co_freevars:
            return f"{was.co_name} becomes another kind of function"
        return ""


def _place(code: CodeType) -> _Place:
    """What tells a function from the others of the module: the code itself depends on what else the compiler sees of it."""
    return code.co_name, code.co_firstlineno


def _all(code: CodeType) -> Iterator[CodeType]:
    for inner in _inner(code):
        yield inner
        yield from _all(inner)


def _inner(code: CodeType) -> list[CodeType]:
    return [each for each in code.co_consts if isinstance(each, CodeType)]


def _differing(old: CodeType, new: CodeType, *, inside: bool) -> Iterator[tuple[CodeType, CodeType, bool]]:
    """The functions of ``old`` that are others in ``new``, outer ones first, and whether each is outermost.

    ``inside`` of a function. Raises `Anew` where it is more than functions that differs.
    """
    if old == new:
        return
    function = bool(old.co_flags & CO_OPTIMIZED)
    was, now = _inner(old), _inner(new)
    if function:
        yield old, new, not inside
    elif _own(old) != _own(new):
        raise Anew(f"what {old.co_name} does when it is imported differs")
    if [each.co_name for each in was] != [each.co_name for each in now]:
        raise Anew(f"{old.co_name} has other functions in it")
    for pair in zip(was, now):  # noqa: B905 - they are of one length
        yield from _differing(*pair, inside=inside or function)


def _own(code: CodeType) -> tuple[object, ...]:
    """What a module or a class body does, apart from the functions in it and from where the text stands."""
    # by their repr: 0.0 equals -0.0, and (1,) equals (True,)
    consts = tuple("a function" if isinstance(c, CodeType) else repr(c) for c in code.co_consts)
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars, code.co_name, code.co_flags)
    return code.co_code, consts, names, getattr(code, "co_exceptiontable", b"")
