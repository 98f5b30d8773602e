"""Which names of a test file stand for the target."""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass, field

from trace_logger.records import CodeUnderTest

_TEST_TOOLS = {"pytest", "_pytest", "unittest", "mock", "hypothesis", "typing", "__future__"}
_LIBRARIES = _TEST_TOOLS | {"numpy", "pandas"}


def chain_of(node: ast.expr) -> tuple[ast.expr, list[str]]:
    """The innermost expression of ``a.b.c`` and the names after it: ``a`` and ``["b", "c"]``."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    return node, names


def last_name(node: ast.expr) -> str:
    """``c`` for ``a.b.c`` and for ``c``; empty for anything else."""
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


@dataclass
class Names:
    """What the imports of a test file bind.

    ``heads`` are the names that count as the target: the unit's, or every public one of a module; ``siblings`` are the other
    names at the top of the module that do not use the unit; ``defined`` are all of them.
    ``members`` maps a name to the path inside the target's module that it stands for (``{"plus": "add"}``); ``modules``
    maps a name to the dotted module or package that it stands for, for the target's own module and the packages around it.
    ``world`` are the other imported names, test tools left out: what the target may have changed behind the test's back.
    ``foreign`` are import statements that bind the unit's name to something from elsewhere; ``imported`` are the dotted
    names of the target's modules and packages, as imported.
    """

    code: CodeUnderTest
    heads: frozenset[str]
    siblings: frozenset[str]
    defined: frozenset[str]
    members: dict[str, str] = field(default_factory=dict)
    modules: dict[str, str] = field(default_factory=dict)
    world: set[str] = field(default_factory=set)
    foreign: list[ast.stmt] = field(default_factory=list)
    imported: set[str] = field(default_factory=set)

    def relation(self, module: str) -> str:
        """``same`` for the target's module (also under a longer or shorter path), ``near`` for its packages, or ``far``."""
        own = self.code.module
        if module and (module == own or own.endswith(f".{module}") or module.endswith(f".{own}")):
            return "same"
        return "near" if module.partition(".")[0] == own.partition(".")[0] else "far"

    def inside(self, node: ast.expr) -> str | None:
        """The path inside the target's module that ``node`` names, empty for the module itself; None for anything else."""
        root, chain = chain_of(node)
        if not isinstance(root, ast.Name):
            return None
        if root.id in self.members:
            return ".".join([self.members[root.id], *chain])
        if root.id not in self.modules:
            return None
        dotted = self.modules[root.id]
        while chain and self.relation(dotted) != "same":
            longer = f"{dotted}.{chain[0]}"
            if not any(known == longer or known.startswith(f"{longer}.") for known in self.imported):
                break
            dotted = longer
            del chain[0]
        if self.relation(dotted) != "same" and chain and chain[0] not in self.heads:
            return None  # something else in a package around the target
        return ".".join(chain)

    def reaches(self, node: ast.expr) -> bool:
        """Whether ``node`` names the target: the module, or something in it that is or uses the unit."""
        path = self.inside(node)
        return path is not None and path.partition(".")[0] not in self.siblings

    def mentioned(self, value: object) -> bool:
        """Whether a literal names the target's module, as ``patch("pkg.mod.requests")`` does."""
        own = self.code.module
        return isinstance(value, str) and (value == own or value.startswith(f"{own}."))


def read_names(code: CodeUnderTest, tree: ast.Module) -> Names:
    """What the test file ``tree`` imports, seen from ``code``."""
    defined, users = _module_names(code)
    head = code.unit.partition(".")[0] if code.unit else None
    heads = frozenset({head} if head else {name for name in defined if not name.startswith("_")})
    siblings = frozenset(defined - users - {head}) if head else frozenset()
    names = Names(code, heads, siblings, frozenset(defined), imported={code.module})
    unknown: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                _plain_import(names, node, alias, unknown)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                _from_import(names, node, alias, unknown)
    if not names.members and not names.modules:
        # The target comes through a helper of the project's own: what that gives may be the target, as far as we can see.
        names.members = {name: name for name in unknown}
    return names


def _module_names(code: CodeUnderTest) -> tuple[set[str], set[str]]:
    """The names that the target's module defines at its top, and those of them that use the unit, directly or not."""
    try:
        body = ast.parse(code.source).body
    except (SyntaxError, ValueError, RecursionError):
        return set(), set()
    mentions: dict[str, set[str]] = {}
    for node in body:
        inner = {last_name(n) for n in ast.walk(node) if isinstance(n, (ast.Name, ast.Attribute))}
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            mentions[node.name] = inner
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            mentions.update((t.id, inner - {t.id}) for t in targets if isinstance(t, ast.Name))
    users = {code.unit.partition(".")[0]} if code.unit else set()
    while more := {name for name, inner in mentions.items() if name not in users and inner & users}:
        users |= more
    return set(mentions), users


def _plain_import(names: Names, node: ast.Import, alias: ast.alias, unknown: set[str]) -> None:
    bound = alias.asname or alias.name.partition(".")[0]
    if names.relation(alias.name) != "far":
        names.imported.add(alias.name)
        names.modules[bound] = alias.name if alias.asname else alias.name.partition(".")[0]
    else:
        _elsewhere(names, node, alias.name, bound, unknown)


def _from_import(names: Names, node: ast.ImportFrom, alias: ast.alias, unknown: set[str]) -> None:
    source, bound = node.module or "", alias.asname or alias.name
    own = names.code.module
    relation = names.relation(source)
    if node.level:  # relative: the tests live in the target's package, so what is not its module is its package
        relation = "same" if source and own.rpartition(".")[2] == source.rpartition(".")[2] else "near"
    if alias.name == "*":
        if relation != "far":
            names.members.update({name: name for name in names.defined})
    elif relation == "same":
        names.members[bound] = alias.name
    elif relation == "near" and alias.name == own.rpartition(".")[2]:
        names.modules[bound] = own
    elif relation == "near" and own.startswith(f"{source}.{alias.name}."):
        names.modules[bound] = f"{source}.{alias.name}"
    elif relation == "near" and alias.name in names.heads:
        names.members[bound] = alias.name
    elif relation == "near":
        names.world.add(bound)
        unknown.add(bound)
    else:
        _elsewhere(names, node, source, bound, unknown)


def _elsewhere(names: Names, node: ast.stmt, source: str, bound: str, unknown: set[str]) -> None:
    top = source.partition(".")[0]
    if bound in names.heads:
        names.foreign.append(node)
    if top not in _TEST_TOOLS:
        names.world.add(bound)
    if top not in _LIBRARIES and top not in sys.stdlib_module_names:
        unknown.add(bound)
