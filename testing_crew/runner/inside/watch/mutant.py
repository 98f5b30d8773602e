"""Another text in the place of the target's, in memory: the file is not touched.

A text may be taken in another form. ``restated`` does the same by other bytecode, and notes whether the project's own code
looks at the target's file or bytecode in place of calling it. ``guarded`` notes exceptions that leave the target.

Runs inside the target's interpreter: standard library only.
PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import ast
import builtins
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.abc import MetaPathFinder, SourceLoader
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, FrameType, ModuleType
from typing import Any

from . import other

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_PROTOCOL = (StopIteration, StopAsyncIteration, GeneratorExit)  # how generators end


class Mutant:
    """What became of a mutant in this process.

    ``looked``: the cases in which code of the project's own opened the target's file, the empty name outside of any; ``case``
    is the one that runs. ``dissected``: it took the target's bytecode apart.
    ``left``: how many exceptions left the target since this was last set to 0; ``left_in``: by case, up to its failure.
    ``source`` is the text that imports are given.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.case = ""
        self.looked: set[str] = set()
        self.loaded = self.dissected = False
        self.left = 0
        self.left_in: dict[str, int] = {}

    def report(self) -> dict[str, Any]:
        """What the runner is told; ``changed`` is how many values the mutant replaced by others."""
        told = {name: value for name, value in vars(self).items() if name not in ("case", "left", "source")}
        return {**told, "looked": sorted(self.looked), "changed": other.changed}


def install(target: str, source: str, form: str = "plain", own: Sequence[str] = ()) -> Mutant:
    """Have every import of the file ``target`` (a real path) compile ``source`` in place of what the file holds.

    ``own`` are the folders of the project and of its tests, for a ``restated`` one.
    """
    mutant = Mutant(source)
    from_file = SourceFileLoader.get_code

    def get_code(self: SourceLoader, fullname: str) -> CodeType | None:
        path = self.get_filename(fullname)
        if os.path.realpath(path) != target:
            return from_file(self, fullname)
        mutant.loaded = True
        try:
            taken = _FORMS[form](mutant.source)
        except RecursionError:  # nested too deep to be changed
            taken = mutant.source
        code: CodeType = compile(taken, path, "exec", dont_inherit=True)
        return code

    SourceFileLoader.get_code = get_code  # type: ignore[method-assign, assignment]
    sys.meta_path.insert(0, _Plain(target))
    vars(builtins).update(  # all of them in every form, so that a test cannot tell one form from another
        __testing_crew_other__=other.other,
        __testing_crew_disabled__=other.TargetDisabled,
        __testing_crew_left__=_left(mutant),
        __testing_crew_guard__=_guard(mutant),
    )
    if form == "restated":
        sys.addaudithook(_looks(mutant, target, tuple(f"{folder}{os.sep}" for folder in own)))
    return mutant


# -- other forms of a text --------------------------------------------------------------------------------------------


def restated(source: str) -> Any:
    """A comparison that decides nothing at the start of every function."""
    tree = ast.parse(source)
    for function, start in _functions(tree):
        function.body[start:start] = _placed("7.25e9 == 0.125", function.body[min(start, len(function.body) - 1)])
    return tree


def _guarded(source: str) -> Any:
    """Every function says so when an exception leaves it."""
    tree = ast.parse(source)
    for function, start in _functions(tree):
        rest = function.body[start:]
        if rest:
            (guard,) = _placed("try: pass\nexcept: __testing_crew_left__(); raise", rest[0])
            guard.body = rest  # type: ignore[attr-defined]
            function.body[start:] = [guard]
    return _Lambdas().visit(tree)


class _Lambdas(ast.NodeTransformer):
    def visit_Lambda(self, node: ast.Lambda) -> ast.expr:
        self.generic_visit(node)
        name = ast.copy_location(ast.Name("__testing_crew_guard__", ast.Load()), node)
        return ast.copy_location(ast.Call(name, [node], []), node)


_FORMS: dict[str, Callable[[str], Any]] = {"plain": str, "restated": restated, "guarded": _guarded}


def _functions(tree: ast.AST) -> list[tuple[ast.FunctionDef | ast.AsyncFunctionDef, int]]:
    """Every function with the place in its body after the docstring."""
    found = [node for node in ast.walk(tree) if isinstance(node, _FUNCTIONS)]
    return [(node, int(ast.get_docstring(node, clean=False) is not None)) for node in found]


def _placed(text: str, at: ast.stmt) -> list[ast.stmt]:
    """The statements of ``text``, said to stand where ``at`` does."""
    made = ast.parse(text).body
    for node in (inner for statement in made for inner in ast.walk(statement)):
        ast.copy_location(node, at)
    return made


# -- what is noted of them --------------------------------------------------------------------------------------------


def _left(mutant: Mutant) -> Callable[[], None]:
    def left() -> None:
        inside = sys._getframe(1)
        if isinstance(sys.exc_info()[1], _PROTOCOL):
            return
        if inside.f_back is None or inside.f_back.f_code.co_filename != inside.f_code.co_filename:
            mutant.left += 1

    return left


def _guard(mutant: Mutant) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def guard(function: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*values: Any, **named: Any) -> Any:
            try:
                return function(*values, **named)
            except BaseException:
                mutant.left += 1
                raise

        return guarded

    return guard


def _until(target: str, frame: FrameType | None) -> Iterator[FrameType]:
    """The frames from ``frame`` outwards, as far as one of the target's."""
    while frame is not None and os.path.realpath(frame.f_code.co_filename) != target:
        yield frame
        frame = frame.f_back


def _looks(mutant: Mutant, target: str, own: tuple[str, ...]) -> Callable[[str, tuple[Any, ...]], None]:
    """An audit hook that notes when the project's code opens the target's file, or takes its bytecode apart."""
    name = os.path.basename(target)

    def is_own(frame: FrameType) -> bool:
        path = os.path.realpath(frame.f_code.co_filename)
        return path.startswith(own) and path != target

    def heard(event: str, given: tuple[Any, ...]) -> None:
        if event == "object.__getattr__" and given[1] == "__code__":
            frame = sys._getframe(1)
            takes_apart = any(used.startswith("co_") for used in frame.f_code.co_names)
            file = given[0].__globals__.get("__file__") if takes_apart else None
            mutant.dissected |= isinstance(file, str) and os.path.realpath(file) == target and is_own(frame)
        elif event == "open" and isinstance(given[0], (str, bytes, os.PathLike)):
            path = os.fsdecode(given[0])
            own_file = path.endswith(name) and os.path.realpath(path) == target
            if own_file and any(map(is_own, _until(target, sys._getframe(1)))):
                mutant.looked.add(mutant.case)

    return heard


# -- the finder -------------------------------------------------------------------------------------------------------


class _Plain(MetaPathFinder):
    """Finds the target before pytest does, which loads by itself what is named like a test."""

    def __init__(self, target: str) -> None:
        self.target = target

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.rpartition(".")[2] not in self.target:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        found = spec is not None and spec.origin and os.path.realpath(spec.origin) == self.target
        return spec if found else None
