"""How much a test file claims: the tests that pytest would collect from it, and what each of them checks."""

from __future__ import annotations

import ast
import copy
from collections import Counter
from math import prod

from testing_crew.gate.syntax import cells_of, columns_of, is_fixture, last_name
from testing_crew.gate.weight import EXPECTING, FunctionNode, Scope, Tally, add_up, real, same, times
from testing_crew.runner.inside.watch.asserts import TRIES, claims

_Function = (ast.FunctionDef, ast.AsyncFunctionDef)
_BLOCKS = (ast.stmt, ast.ExceptHandler, ast.match_case)
_EXPECTED_COLUMNS = ("expect", "want", "desired", "correct", "result", "output")


class File:
    """A test file: its tests as pytest would collect them, and what each of them checks."""

    def __init__(self, tree: ast.Module) -> None:
        self._claims = {id(claim.node) for claim in claims(tree)}
        self._constants = _values([n for n in tree.body if not isinstance(n, (*_Function, ast.ClassDef))])
        # Of two that have the same name, the second counts.
        self._functions: dict[str, FunctionNode] = {n.name: n for n in tree.body if isinstance(n, _Function)}
        self._classes = {n.name: n for n in tree.body if isinstance(n, ast.ClassDef)}
        self._fixtures = {name: f for name, f in self._functions.items() if is_fixture(f)}
        self._known: dict[int, Tally] = {}
        self._of_class: dict[str, dict[str, FunctionNode]] = {}
        self.tests: dict[str, tuple[FunctionNode, ast.ClassDef | None]] = {
            name: (f, None)
            for name, f in self._functions.items()
            if name.startswith("test") and name not in self._fixtures
        }
        for owner in self._classes.values():
            methods = self._methods(owner) if self._is_collected(owner) else {}
            self.tests.update({f"{owner.name}.{n}": (f, owner) for n, f in methods.items() if n.startswith("test")})

    def _bases(self, owner: ast.ClassDef) -> list[ast.ClassDef]:
        return [self._classes[n] for n in map(last_name, owner.bases) if n in self._classes and n != owner.name]

    def _methods(self, owner: ast.ClassDef) -> dict[str, FunctionNode]:
        if owner.name not in self._of_class:
            own = {node.name: node for node in owner.body if isinstance(node, _Function)}
            self._of_class[owner.name] = own  # while its bases are looked at, where its name may come again
            inherited = {name: f for base in self._bases(owner) for name, f in self._methods(base).items()}
            self._of_class[owner.name] = inherited | own
        return self._of_class[owner.name]

    def _is_collected(self, owner: ast.ClassDef) -> bool:
        if any(isinstance(n, ast.Assign) and last_name(n.targets[0]) == "__test__" for n in owner.body):
            return False
        family = [owner, *self._bases(owner)]
        if any(last_name(base).endswith("TestCase") for member in family for base in member.bases):
            return True
        return owner.name.startswith("Test") and "__init__" not in self._methods(owner)

    def tally(self, known: frozenset[str]) -> Tally:
        """What all tests check together. A copy of another test counts only where its name is ``known``."""
        total: Tally = Counter()
        seen: set[str] = set()
        around: dict[int, FunctionNode] = {}
        for name, (test, owner) in sorted(self.tests.items(), key=lambda item: item[0] not in known):
            parts = [test.args, *test.body, *test.decorator_list]
            shape = " ".join([owner.name if owner else "", *map(ast.dump, parts)])
            if shape in seen and name not in known:
                continue
            seen.add(shape)
            rows = self._rows(test, owner)
            methods = self._methods(owner) if owner else {}
            checks = self._function(test, Scope(methods=methods))
            total.update(times(checks, rows))
            total["cases"] += rows
            total["smoke"] += rows * (not real(checks))
            around |= {id(f): f for f in self._used_fixtures(test)}
            around |= {id(f): f for name, f in methods.items() if name.lower().startswith(("setup", "teardown"))}
        return total + add_up(self._function(function, Scope()) for function in around.values())  # once for the file

    def _used_fixtures(self, function: FunctionNode) -> list[FunctionNode]:
        names = [a.arg for a in function.args.args]
        names += [str(n.value) for d in function.decorator_list for n in ast.walk(d) if isinstance(n, ast.Constant)]
        return [f for f in map(self._fixtures.get, names) if f is not None]

    def _rows(self, test: FunctionNode, owner: ast.ClassDef | None) -> int:
        scope = Scope(self._constants)
        rows = 1
        for decorator in [*test.decorator_list, *(owner.decorator_list if owner else [])]:
            if not isinstance(decorator, ast.Call) or last_name(decorator.func) != "parametrize":
                continue
            named = {k.arg: k.value for k in decorator.keywords}
            given = [*decorator.args, *(named[key] for key in ("argnames", "argvalues") if key in named)]
            if len(given) > 1:
                rows *= _different(given[0], given[1], scope)
        for fixture in self._used_fixtures(test):
            calls = [d for d in fixture.decorator_list if isinstance(d, ast.Call)]
            rows *= prod(scope.size(k.value, ranges=True) for c in calls for k in c.keywords if k.arg == "params")
        return rows

    def _function(self, function: FunctionNode, outer: Scope) -> Tally:
        if id(function) not in self._known:
            self._known[id(function)] = Counter()  # one that calls itself adds nothing
            inner = {n.name: n for n in ast.walk(function) if isinstance(n, _Function) and n is not function}
            scope = Scope(self._constants | _values(function.body), outer.inner | inner, outer.methods)
            self._known[id(function)] = self._block(function.body, scope)
        return self._known[id(function)]

    def _block(self, body: list[ast.stmt], scope: Scope, given: ast.expr | None = None) -> Tally:
        total: Tally = Counter()
        said: set[str] = set()
        for statement in body:
            if isinstance(statement, ast.Assert):
                text = ast.dump(statement.test)
                if text in said:
                    continue
                said.add(text)
            else:
                said.clear()
            total.update(self._statement(statement, scope, given))
            if isinstance(statement, (ast.Return, ast.Raise, ast.Break, ast.Continue)):
                break  # nothing after it runs
        return total

    def _statement(self, node: ast.stmt, scope: Scope, given: ast.expr | None) -> Tally:
        if isinstance(node, (*_Function, ast.ClassDef)):  # counted where it is called
            return self._function(node, scope) if isinstance(node, _Function) and node.decorator_list else Counter()
        total = self._own(node, scope, given) + self._helpers(node, scope)
        if isinstance(node, ast.If):
            never = isinstance(node.test, ast.Constant) and not node.test.value
            branches = [] if never else [self._block(node.body, scope, node.test)]
            branches.append(self._block(node.orelse, scope))
            return total + max(branches, key=real)
        if isinstance(node, ast.Match):
            return total + max((self._block(case.body, scope) for case in node.cases), key=real)
        if isinstance(node, ast.While) and isinstance(node.test, ast.Constant) and not node.test.value:
            return total
        rounds = scope.size(node.iter, ranges=False) if isinstance(node, (ast.For, ast.AsyncFor)) else 1
        blocks = [] if _forgives(node) else [times(self._block(getattr(node, "body", []), scope), rounds)]
        blocks += [self._block(getattr(node, key, []), scope) for key in ("orelse", "finalbody")]
        blocks += [self._block(handler.body, scope) for handler in getattr(node, "handlers", [])]
        return total + add_up(blocks)

    def _own(self, node: ast.stmt, scope: Scope, given: ast.expr | None) -> Tally:
        if id(node) not in self._claims:
            return Counter()
        if isinstance(node, ast.Assert):
            return Counter(["empty"]) if given is not None and same(given, node.test) else scope.weigh(node.test)
        if isinstance(node, (ast.With, ast.AsyncWith)):
            calls = [i.context_expr for i in node.items if isinstance(i.context_expr, ast.Call)]
            return add_up(
                scope.weigh_call(c, node.body) for c in calls if last_name(c.func).startswith(("assert", *EXPECTING))
            )
        if isinstance(node, ast.Expr):
            call = node.value.value if isinstance(node.value, ast.Await) else node.value
            local = isinstance(call, ast.Call) and self._helper(call.func, scope) is not None
            return scope.weigh_call(call, []) if isinstance(call, ast.Call) and not local else Counter()
        if isinstance(node, ast.If):
            return scope.weigh(ast.UnaryOp(ast.Not(), node.test))
        return Counter(["weak" if _forgives(node) else "strong"])

    def _helper(self, node: ast.AST, scope: Scope) -> FunctionNode | None:
        """The function of the file that ``node`` names, where it is neither a test nor a fixture."""
        if isinstance(node, ast.Attribute) and last_name(node.value) in ("self", "cls"):
            found = scope.methods.get(node.attr)
        else:
            name = node.id if isinstance(node, ast.Name) else ""
            found = scope.inner.get(name) or self._functions.get(name)
        return None if found is None or found.name.startswith("test") or is_fixture(found) else found

    def _helpers(self, node: ast.stmt, scope: Scope) -> Tally:
        """The checks of the helpers that the expressions of ``node`` itself name, once for each time."""
        own = [child for child in ast.iter_child_nodes(node) if not isinstance(child, _BLOCKS)]
        named = [self._helper(n, scope) for child in own for n in ast.walk(child)]
        return add_up(self._function(helper, scope) for helper in named if helper is not None)


def _forgives(node: ast.stmt) -> bool:
    """Whether ``node`` is a block that goes on when an assertion in it fails."""
    if not isinstance(node, (*TRIES, ast.With)):
        return False
    probe = copy.copy(node)
    probe.body = [ast.Assert(ast.Name("x"), lineno=1, end_lineno=1)]
    return all(claim.node is not probe.body[0] for claim in claims(probe))


def _values(body: list[ast.stmt]) -> dict[str, ast.expr]:
    """The names that are given a value exactly once in ``body``, with that value."""
    nodes = [n for statement in body for n in ast.walk(statement)]
    count = Counter(n.id for n in nodes if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load))
    plain = [n for n in nodes if isinstance(n, ast.Assign) and len(n.targets) == 1]
    return {
        n.targets[0].id: n.value for n in plain if isinstance(n.targets[0], ast.Name) and count[n.targets[0].id] == 1
    }


def _different(names: ast.expr, rows: ast.expr, scope: Scope) -> int:
    """How many rows of a ``parametrize`` differ in more than what they expect."""
    if isinstance(rows, ast.Name):
        rows = scope.values.get(rows.id, rows)
    if not isinstance(rows, (ast.List, ast.Tuple)) or any(isinstance(row, ast.Starred) for row in rows.elts):
        return scope.size(rows, ranges=True)
    columns = columns_of(names)
    different = set()
    for row in rows.elts:
        values = cells_of(row, columns)
        if len(values) == len(columns) > 1:
            values = [v for v, c in zip(values, columns, strict=True) if not c.startswith(_EXPECTED_COLUMNS)]
        different.add(" ".join(map(ast.dump, values)))
    return len(different)
