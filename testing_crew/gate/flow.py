"""Which assertions of a test file are about the target: a coarse flow of values, on purpose too generous.

A name is *touched* when it may hold the target, something that came out of it, or something that it may have changed: its
result, an argument that was handed to it, the fixtures of a test that calls it, what is imported into a file whose test
calls it. An assertion counts when it mentions anything touched. The order of statements is ignored. What remains are
assertions about constants and about values that never met the target, as in ``add(1, 2); assert True``.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from testing_crew.gate.names import Names, chain_of, last_name
from testing_crew.runner.inside.watch.asserts import Claim

_Function = (ast.FunctionDef, ast.AsyncFunctionDef)
_PLAIN_FIXTURES = {
    "cache",
    "capfd",
    "capfdbinary",
    "caplog",
    "capsys",
    "capsysbinary",
    "capteesys",
    "doctest_namespace",
    "mocker",
    "monkeypatch",
    "pytestconfig",
    "record_property",
    "recwarn",
    "request",
    "subtests",
    "tmp_path",
    "tmp_path_factory",
    "tmpdir",
    "tmpdir_factory",
}


def is_fixture(node: ast.AST) -> bool:
    """Whether a function is decorated as a fixture."""
    decorators = getattr(node, "decorator_list", [])
    return any("fixture" in last_name(d.func if isinstance(d, ast.Call) else d) for d in decorators)


@dataclass(eq=False)
class _Scope:
    """An outermost function or a method, with what is touched in it; functions inside it share its names."""

    node: ast.FunctionDef | ast.AsyncFunctionDef
    owner: ast.ClassDef | None
    names: set[str] = field(default_factory=set)

    @property
    def parameters(self) -> list[str]:
        arguments = self.node.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        return [a.arg for a in every if a is not None]

    @property
    def is_test(self) -> bool:
        return self.node.name.startswith("test")


class Flow:
    """What is touched where in ``tree``, for the target that ``names`` knows."""

    def __init__(self, tree: ast.Module, names: Names) -> None:
        self._names = names
        self._tree = tree
        self._globals: set[str] = set()
        self._fed: set[str] = set()  # helpers that are called with something touched
        self._classes = [n for n in tree.body if isinstance(n, ast.ClassDef)]
        self._touched_classes: set[str] = set()
        self._scopes = [_Scope(n, None) for n in tree.body if isinstance(n, _Function)]
        self._scopes += [_Scope(n, c) for c in self._classes for n in c.body if isinstance(n, _Function)]
        self._fixtures = {s.node.name for s in self._scopes if is_fixture(s.node)}
        self._scope_of = {id(n): s for s in self._scopes for n in ast.walk(s.node)}
        self._world = names.world | names.members.keys() | names.modules.keys()
        before = -1
        while (size := self._size()) != before:
            before = size
            self._spread()

    def is_about_target(self, claim: Claim) -> bool:
        """Whether ``claim`` mentions anything touched."""
        scope = self._scope_of.get(id(claim.node))
        return self._any(_evidence(claim), scope.names if scope else set())

    def touches(self, node: ast.AST) -> bool:
        """Whether ``node``, at the top of the file, mentions anything touched."""
        return self._touches(node, set())

    def _size(self) -> int:
        parts: list[set[str]] = [self._globals, self._fed, self._touched_classes, *(s.names for s in self._scopes)]
        return sum(map(len, parts))

    def _touches(self, node: ast.AST, names: set[str]) -> bool:
        if isinstance(node, (ast.Attribute, ast.Name)):
            root, _ = chain_of(node)
            if isinstance(root, ast.Name):
                return root.id in names or root.id in self._globals or self._names.reaches(node)
        if isinstance(node, ast.Constant):
            return self._names.mentioned(node.value)
        return any(self._touches(child, names) for child in ast.iter_child_nodes(node))

    def _any(self, nodes: Iterable[ast.AST | None], names: set[str]) -> bool:
        return any(self._touches(node, names) for node in nodes if node is not None)

    # -- one round ----------------------------------------------------------------------------------------------------

    def _spread(self) -> None:
        for node in self._tree.body:
            if not isinstance(node, (*_Function, ast.ClassDef, ast.Import, ast.ImportFrom)):
                self._bind(node, self._globals)
        for owner in self._classes:
            self._spread_class(owner)
        for scope in self._scopes:
            self._spread_function(scope)

    def _spread_class(self, owner: ast.ClassDef) -> None:
        outside = [*owner.bases, *owner.decorator_list, *(n for n in owner.body if not isinstance(n, _Function))]
        helpers = [s for s in self._scopes if s.owner is owner and not s.is_test]
        if self._any(outside, set()) or any(self._any(s.node.body, s.names) for s in helpers):
            self._touched_classes.add(owner.name)
            self._globals.add(owner.name)

    def _spread_function(self, scope: _Scope) -> None:
        node, names = scope.node, scope.names
        if scope.owner is not None and scope.owner.name in self._touched_classes:
            names.update(("self", "cls"))
        if self._any(node.decorator_list, set()) or node.name in self._fed:
            names.update(scope.parameters)
        if scope.is_test or node.name in self._fixtures:
            names.update(p for p in scope.parameters if p in self._globals or self._comes_from_outside(p, scope))
        self._bind(node, names)
        if not self._any(node.body, names):
            return
        names.update(self._world)
        names.update(p for p in scope.parameters if p not in ("self", "cls"))
        self._globals.add(node.name)
        for inner in ast.walk(node):
            if isinstance(inner, ast.Global):
                self._globals.update(names & set(inner.names))

    def _comes_from_outside(self, parameter: str, scope: _Scope) -> bool:
        """Whether a fixture is defined in another file, where we cannot see what it gives."""
        if parameter in self._fixtures or parameter in _PLAIN_FIXTURES or parameter in ("self", "cls"):
            return False
        literals = [n.value for d in scope.node.decorator_list for n in ast.walk(d) if isinstance(n, ast.Constant)]
        return not any(isinstance(text, str) and parameter in text.replace(",", " ").split() for text in literals)

    def _bind(self, tree: ast.AST, names: set[str]) -> None:
        """Add to ``names`` what the statements of ``tree`` touch."""
        for node in ast.walk(tree):
            if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.NamedExpr)):
                if node.value is not None and self._touches(node.value, names):
                    names.update(_roots(node.targets if isinstance(node, ast.Assign) else [node.target]))
            elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
                if self._touches(node.iter, names):
                    names.update(_roots([node.target]))
            elif isinstance(node, (ast.With, ast.AsyncWith)):
                if self._any([*(i.context_expr for i in node.items), *node.body], names):
                    names.update(_roots([i.optional_vars for i in node.items if i.optional_vars is not None]))
            elif isinstance(node, ast.Try):
                if self._any(node.body, names):
                    names.update(h.name for h in node.handlers if h.name)
            elif isinstance(node, ast.Call):
                self._bind_call(node, names)
            elif isinstance(node, (*_Function, ast.ClassDef)) and node is not tree:
                self._bind_inner(node, names)

    def _bind_call(self, node: ast.Call, names: set[str]) -> None:
        arguments = [*node.args, *(k.value for k in node.keywords)]
        given = self._any(arguments, names)
        if given and last_name(node.func):
            self._fed.add(last_name(node.func))
        if given and isinstance(node.func, ast.Attribute):
            root, _ = chain_of(node.func)
            if isinstance(root, ast.Name) and root.id not in ("self", "cls", "pytest"):
                names.add(root.id)
        if given or self._touches(node.func, names):
            names.update(name for argument in arguments for name in _operands(argument))

    def _bind_inner(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, names: set[str]) -> None:
        if node.name in names:  # handed to the target, which may run it: what it uses may have changed
            names.update(n.id for n in ast.walk(node) if isinstance(n, ast.Name))
        elif self._touches(node, names):
            names.add(node.name)


def _roots(targets: Iterable[ast.expr]) -> Iterator[str]:
    """The plain names that an assignment to ``targets`` changes: ``x`` for ``x``, ``x.a``, ``x[0]`` and ``(x, _)``."""
    for target in targets:
        node: ast.expr = target
        while isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred)):
            node = node.value
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, (ast.Tuple, ast.List)):
            yield from _roots(node.elts)


def _operands(node: ast.AST) -> Iterator[str]:
    """The names in an argument, those of the functions that it calls left out."""
    if isinstance(node, ast.Name):
        yield node.id
    for child in ast.iter_child_nodes(node):
        if not (isinstance(node, ast.Call) and child is node.func and isinstance(child, ast.Name)):
            yield from _operands(child)


def _evidence(claim: Claim) -> list[ast.AST]:
    """The parts of a claim that must mention the target."""
    node = claim.node
    if isinstance(node, ast.Assert):
        return [node.test]
    call = getattr(node, "value", None)
    call = call.value if isinstance(call, ast.Await) else call
    if claim.kind == "call" and isinstance(call, ast.Call):
        root, _ = chain_of(call.func)
        own = isinstance(root, ast.Name) and root.id in ("self", "cls", "pytest")
        arguments: list[ast.AST] = [*call.args, *(k.value for k in call.keywords)]
        return arguments if own else [call]
    return [node]
