"""Which calls of the code can be compared, and when two of them are the same call."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable
from inspect import Parameter, Signature
from typing import TYPE_CHECKING

from testing_crew.gate.names import last_name
from testing_crew.gate.suspect.outcome import UNREADABLE, literal
from testing_crew.gate.suspect.state import bound, is_steady
from trace_logger.records import CodeUnderTest

if TYPE_CHECKING:
    from inspect import _ParameterKind

PathOf = Callable[[ast.expr], "str | None"]
_DECORATORS = {"lru_cache", "cache", "staticmethod", "classmethod"}


class Module:
    """The functions and classes of the code, as far as calls of them can be compared."""

    def __init__(self, code: CodeUnderTest) -> None:
        self.code = code
        self.tree = ast.parse(code.source)
        self._top: dict[str, ast.AST | None] = {}  # None: given more than once, so nothing is known of it
        for node in self.tree.body:
            for name in bound(node) or {name for inner in ast.walk(node) for name in bound(inner)}:
                self._top[name] = None if name in self._top else node

    def catches(self, caught: str, raised: str) -> bool:
        """Whether ``except caught`` may catch what ``raised`` names; True where that cannot be known."""
        of, kind = (getattr(builtins, name, self._top.get(name)) for name in (caught, raised))
        if caught == raised or not isinstance(of, (type, ast.ClassDef)):
            return True
        if isinstance(kind, ast.ClassDef):
            return not kind.bases or any(self.catches(caught, last_name(base)) for base in kind.bases)
        if not isinstance(kind, type):
            return True
        return isinstance(of, type) and issubclass(kind, of)

    def key(self, call: ast.expr, path_of: PathOf) -> str | None:
        """What is called with what, the same text for the same call; None where calls of it cannot be compared."""
        try:
            return self._key(call, path_of) if isinstance(call, ast.Call) else None
        except UNREADABLE:
            return None

    def _key(self, call: ast.Call, path_of: PathOf) -> str | None:
        made, function, owner = "", call.func, None
        if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Call):
            owner = self._top.get(path_of(function.value.func) or "")
            made = self._arguments(owner, "__init__", function.value) or ""
            name = function.attr
        else:
            path = path_of(function) or ""
            head, _, name = path.partition(".")
            owner = self._top.get(head)
            if not name and isinstance(owner, ast.ClassDef):
                name = "__init__"
        head = owner.name if isinstance(owner, (ast.FunctionDef, ast.ClassDef)) else ""
        unit = (self.code.unit or head).partition(".")[0]
        if not head or head != unit or (name and isinstance(owner, ast.FunctionDef)):
            return None
        if isinstance(owner, ast.ClassDef) and bool(made) == (name == "__init__"):
            return None  # a method of no fresh object
        arguments = self._arguments(owner, name, call)
        return None if arguments is None or not is_steady(head, self._top) else f"{head}{made}.{name}{arguments}"

    def _arguments(self, owner: ast.AST | None, name: str, call: ast.Call) -> str | None:
        """The values that the parameters get, defaults filled in; None where that cannot be said."""
        function: ast.AST | None = owner
        skipped = 0
        if isinstance(owner, ast.ClassDef):
            methods = [n for n in owner.body if isinstance(n, ast.FunctionDef) and n.name == name]
            if owner.decorator_list or len(methods) > 1:
                return None
            if name == "__init__" and not methods:
                return None if owner.bases or owner.keywords or call.args or call.keywords else "()"
            function, skipped = next(iter(methods), None), 1
        if not isinstance(function, ast.FunctionDef) or any(
            isinstance(n, (ast.Yield, ast.YieldFrom)) for n in ast.walk(function)
        ):
            return None
        decorators = {last_name(d.func if isinstance(d, ast.Call) else d) for d in function.decorator_list}
        if "staticmethod" in decorators:
            skipped = 0
        return None if decorators - _DECORATORS else _bind(function.args, skipped, call)


def _bind(parameters: ast.arguments, skipped: int, call: ast.Call) -> str:
    """The literal arguments of ``call`` by the names of their parameters, as text; raises where one is no literal."""
    if any(keyword.arg is None for keyword in call.keywords):
        raise ValueError("what a mapping holds is not known")
    positional = [*parameters.posonlyargs, *parameters.args]
    defaults = [None] * (len(positional) - len(parameters.defaults)) + [*parameters.defaults]
    pairs = list(zip(positional, defaults, strict=True))[skipped:]
    every = [_parameter(a, Parameter.POSITIONAL_OR_KEYWORD, d) for a, d in pairs]
    every += [_parameter(parameters.vararg, Parameter.VAR_POSITIONAL)] if parameters.vararg else []
    named = zip(parameters.kwonlyargs, parameters.kw_defaults, strict=True)
    every += [_parameter(a, Parameter.KEYWORD_ONLY, d) for a, d in named]
    every += [_parameter(parameters.kwarg, Parameter.VAR_KEYWORD)] if parameters.kwarg else []
    named_arguments = {k.arg or "": literal(k.value) for k in call.keywords}
    given = Signature(every).bind(*map(literal, call.args), **named_arguments)
    given.apply_defaults()
    return repr(sorted(given.arguments.items()))


def _parameter(name: ast.arg, kind: _ParameterKind, default: ast.expr | None = None) -> Parameter:
    try:
        value = Parameter.empty if default is None else literal(default)
    except UNREADABLE:
        value = ("the default", ast.dump(default) if default else "")
    return Parameter(name.arg, kind, default=value)
