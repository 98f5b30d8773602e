"""What a repaired test file no longer checks that the failed one did: seen in the two texts alone.

The checks of both files are counted, not matched with one another: a repair may rename, merge, split and move tests, mend
their inputs and turn an expected value into an expected exception. What it may not do is check less.

The reasons, for machines: ``drops_tests``, ``drops_assertions``, ``weakens_assertions``.
"""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import prod

from testing_crew.runner.gate_flow import is_fixture
from testing_crew.runner.gate_names import last_name
from testing_crew.runner.inside.asserts import claims

_Function = (ast.FunctionDef, ast.AsyncFunctionDef)
_FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
_BLOCKS = (ast.stmt, ast.ExceptHandler, ast.match_case)
_EXPECTED_COLUMNS = ("expect", "want", "desired", "correct", "result", "output")
_SAME_SIZE = {"list", "tuple", "sorted", "reversed", "enumerate", "zip", "items", "keys", "values"}
_EXPECTING = ("raises", "warns", "deprecated_call", "Raises", "assertRaises", "assertWarns")
_WEAK_CALLS = {"isinstance", "issubclass", "hasattr", "callable", "assertIsNotNone", "assertIsInstance"}
_FAIR_CALLS = {"assert_called", "assert_called_once", "assert_not_called"}

Tally = Counter[str]
"""How many checks of each kind there are.

``strong`` ones pin a value, ``fair`` ones say something about it, ``none`` is ``is None``, ``weak`` ones hold for nearly any
value, ``empty`` ones always hold. ``match`` counts the messages of expected exceptions, ``part`` the equalities about a part
of a value, ``whole`` the further elements of whole values compared at once, ``eq:X`` and ``ne:X`` the comparisons of X.
"""


def dropped(failed: str, repaired: str) -> Iterator[str]:
    """What is wrong with ``repaired`` as a repair of ``failed``, each reason at most once; nothing if one does not parse."""
    try:
        before, after = _File(ast.parse(failed)), _File(ast.parse(repaired))
        was, now = before.tally(frozenset()), after.tally(frozenset(before.tests))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    # The same comparison the other way round: ``f(1) == 2`` that became ``f(1) != 2``.
    flipped = sum(
        max(0, min(n - was[key], was[f"eq:{key[3:]}"] - now[f"eq:{key[3:]}"]))
        for key, n in now.items()
        if key.startswith("ne:")
    )
    now["strong"] -= flipped
    now["weak"] += flipped
    lost = _real(was) - _real(now) - max(0, now["match"] - was["match"])
    fewer_cases = now["cases"] < was["cases"]
    if not fewer_cases:  # ``a == 1`` and ``b == 2`` may have become ``f() == (1, 2)``
        lost -= min(max(0, was["part"] - now["part"]), max(0, now["whole"] - was["whole"]))
    if fewer_cases and lost + was["smoke"] - now["smoke"] > 0:
        yield "drops_tests"
    if lost > 0:
        yield "drops_assertions"
    firm = was["strong"] - now["strong"], was["strong"] + was["fair"] - now["strong"] - now["fair"]
    if max(firm) > 0 and now["weak"] + now["empty"] > was["weak"] + was["empty"]:
        yield "weakens_assertions"


# -- how much one expression claims -----------------------------------------------------------------------------------


def _times(tally: Tally, factor: int) -> Tally:
    return Counter({kind: n * factor for kind, n in tally.items()})


def _sum(tallies: Iterable[Tally]) -> Tally:
    total: Tally = Counter()
    for tally in tallies:
        total.update(tally)
    return total


def _real(tally: Tally) -> int:
    return sum(tally[kind] for kind in ("strong", "fair", "none", "weak"))


def _same(left: ast.AST, right: ast.AST) -> bool:
    return ast.dump(left) == ast.dump(right)


def _is_closed(node: ast.AST) -> bool:
    """Whether nothing in ``node`` can depend on the code."""
    return not any(isinstance(n, (ast.Name, ast.Attribute, ast.Call)) for n in ast.walk(node))


def _calls(node: ast.AST) -> bool:
    return any(isinstance(n, ast.Call) for n in ast.walk(node))


@dataclass
class _Scope:
    """The names of one function: what they are given where that happens once, the functions in it, the class around it."""

    values: dict[str, ast.expr] = field(default_factory=dict)
    inner: dict[str, _FunctionNode] = field(default_factory=dict)
    methods: dict[str, _FunctionNode] = field(default_factory=dict)

    def size(self, rows: ast.expr, *, ranges: bool, depth: int = 0) -> int:
        """How many values ``rows`` gives, at least: 1 where its text does not tell.

        A ``range`` counts only where asked for: a loop of a thousand rounds is not a thousand checks.
        """
        if depth > 5:
            return 1
        if isinstance(rows, ast.Name) and rows.id in self.values:
            return max(1, self.size(self.values[rows.id], ranges=ranges, depth=depth + 1))  # it may be filled later
        if isinstance(rows, (ast.List, ast.Tuple, ast.Set)):
            stars = [e for e in rows.elts if isinstance(e, ast.Starred)]
            plain = {ast.dump(e) for e in rows.elts if e not in stars}
            return len(plain) + sum(self.size(s.value, ranges=ranges, depth=depth + 1) for s in stars)
        if isinstance(rows, ast.Dict):
            return len(rows.keys)
        if isinstance(rows, ast.BinOp) and isinstance(rows.op, ast.Add):
            return sum(self.size(side, ranges=ranges, depth=depth + 1) for side in (rows.left, rows.right))
        if isinstance(rows, (ast.ListComp, ast.GeneratorExp, ast.SetComp)):
            return prod(self.size(g.iter, ranges=ranges, depth=depth + 1) for g in rows.generators if not g.ifs)
        if not isinstance(rows, ast.Call):
            return 1
        called = last_name(rows.func)
        if called == "range" and ranges:
            try:
                return len(range(*map(ast.literal_eval, rows.args)))
            except (ValueError, TypeError, OverflowError):
                return 1
        source = rows.args[0] if rows.args else rows.func.value if isinstance(rows.func, ast.Attribute) else None
        if called in _SAME_SIZE and source is not None:
            return self.size(source, ranges=ranges, depth=depth + 1)
        return 1

    def weigh(self, test: ast.expr) -> Tally:
        """What ``assert test`` claims."""
        if isinstance(test, ast.BoolOp):
            parts = [self.weigh(value) for value in test.values]
            if isinstance(test.op, ast.And):
                return _sum(parts)
            lowest = [kind for kind in ("empty", "weak") if any(part[kind] for part in parts)]
            return Counter((lowest or ["fair"])[:1])
        if isinstance(test, ast.Compare):
            operands = [test.left, *test.comparators]
            return _sum(self._compare(*pair) for pair in zip(operands, test.ops, operands[1:], strict=False))
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            inner = self.weigh(test.operand)
            return Counter([next((kind for kind in ("empty", "strong") if inner[kind]), "fair")])
        if isinstance(test, ast.Call):
            called, first = last_name(test.func), test.args[0] if test.args else None
            if called == "all" and isinstance(first, (ast.GeneratorExp, ast.ListComp)):
                return _times(self.weigh(first.elt), self.size(first, ranges=False))
            return Counter(["weak" if called in _WEAK_CALLS else "fair"])
        always = _is_closed(test) or isinstance(test, (ast.Lambda, ast.JoinedStr))
        return Counter(["empty" if always or (isinstance(test, ast.Tuple) and test.elts) else "fair"])

    def _compare(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Tally:
        sides = [self.values.get(s.id, s) if isinstance(s, ast.Name) else s for s in (left, right)]
        if all(_is_closed(side) for side in (left, right)):
            return Counter(["empty"])
        if _same(*sides) and not isinstance(op, (ast.Is, ast.IsNot, ast.NotEq)):
            return Counter(["weak"])  # a call compared with itself: it is steady, whatever it gives
        positive = isinstance(op, (ast.Eq, ast.Is))
        for side, other in ((left, right), (right, left)):
            if isinstance(side, ast.Constant) and side.value is True and positive:
                inner = self.weigh(other)
                return Counter(["strong"]) if inner["fair"] else inner
            if isinstance(side, ast.Constant) and side.value is None:
                return Counter(["none" if positive else "weak"])
            if last_name(side) == "ANY" or (isinstance(side, ast.Call) and last_name(side.func) == "type"):
                return Counter(["weak"])
            if isinstance(side, ast.Call) and not side.args + side.keywords and last_name(side.func)[:1].isupper():
                return Counter(["none"])  # a fresh object, which is seldom equal to another
        if not isinstance(op, (ast.Eq, ast.NotEq, ast.Is, ast.IsNot, ast.In, ast.NotIn)):
            return Counter(["fair"])
        return self._strong(left, op, right)

    def _strong(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Tally:
        tally: Tally = Counter(["strong"])
        if isinstance(op, (ast.Eq, ast.NotEq)) and _calls(left) + _calls(right) < 2:
            tally[f"{'eq' if isinstance(op, ast.Eq) else 'ne'}:{ast.dump(left)}:{ast.dump(right)}"] = 1
        if not isinstance(op, ast.Eq):
            return tally
        shown = [s for s in (left, right) if isinstance(s, (ast.List, ast.Tuple))]
        if len(shown) == 2 and len(shown[0].elts) == len(shown[1].elts):  # [f(1), f(2)] == [1, 2]
            pairs = zip(shown[0].elts, shown[1].elts, strict=True)
            tally["strong"] = tally["part"] = max(1, sum(not (_is_closed(a) and _is_closed(b)) for a, b in pairs))
            return tally
        if isinstance(right, (ast.List, ast.Tuple, ast.Dict)):
            tally["whole"] = max(0, self.size(right, ranges=False) - 1)
        if isinstance(left, (ast.Subscript, ast.Attribute, ast.Name)):
            tally["part"] = 1
        return tally

    def weigh_call(self, call: ast.Call, body: list[ast.stmt]) -> Tally:
        """What ``pytest.raises(...)``, ``self.assertEqual(...)`` and their like claim; ``body`` is that of a ``with``."""
        called, arguments = last_name(call.func), call.args
        if called.startswith(_EXPECTING):
            if body and all(isinstance(s, (ast.Pass, ast.Raise)) for s in body):
                return Counter(["empty"])
            matched = called.endswith("Regex") or any(k.arg == "match" for k in call.keywords)
            wide = arguments and last_name(arguments[0]) in ("Exception", "BaseException") and not matched
            return Counter(["weak" if wide else "strong", *(["match"] if matched else [])])
        if called in ("assertTrue", "assertFalse") and arguments:
            return self.weigh(arguments[0] if called == "assertTrue" else ast.UnaryOp(ast.Not(), arguments[0]))
        if called == "assertEqual" and len(arguments) > 1:
            return self._compare(arguments[0], ast.Eq(), arguments[1])
        if called == "assertIsNone":
            return Counter(["none"])
        fair = called in _FAIR_CALLS or called.startswith(("assertGreater", "assertLess"))
        return Counter(["weak" if called in _WEAK_CALLS else "fair" if fair else "strong"])


# -- how much a file claims -------------------------------------------------------------------------------------------


def _forgives(node: ast.stmt) -> bool:
    """Whether ``node`` is a block that goes on when an assertion in it fails."""
    if not isinstance(node, (ast.Try, ast.With)):
        return False
    probe = copy.copy(node)
    probe.body = [ast.Assert(ast.Name("x"), lineno=1, end_lineno=1)]
    return all(claim.node is not probe.body[0] for claim in claims(probe))


def _values(body: list[ast.stmt]) -> dict[str, ast.expr]:
    """The names that are given a value exactly once in ``body``, with that value."""
    nodes = [n for statement in body for n in ast.walk(statement)]
    times = Counter(n.id for n in nodes if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load))
    plain = [n for n in nodes if isinstance(n, ast.Assign) and len(n.targets) == 1]
    return {
        n.targets[0].id: n.value for n in plain if isinstance(n.targets[0], ast.Name) and times[n.targets[0].id] == 1
    }


class _File:
    """A test file: its tests as pytest would collect them, and what each of them checks."""

    def __init__(self, tree: ast.Module) -> None:
        self._claims = {id(claim.node) for claim in claims(tree)}
        self._constants = _values([n for n in tree.body if not isinstance(n, (*_Function, ast.ClassDef))])
        self._functions: dict[str, _FunctionNode] = {}
        self._classes: dict[str, ast.ClassDef] = {}
        for node in tree.body:  # of two that have the same name, the second counts
            if isinstance(node, _Function):
                self._functions[node.name] = node
            elif isinstance(node, ast.ClassDef):
                self._classes[node.name] = node
        self._fixtures = {name: f for name, f in self._functions.items() if is_fixture(f)}
        self._known: dict[int, Tally] = {}
        self.tests: dict[str, tuple[_FunctionNode, ast.ClassDef | None]] = {
            name: (f, None)
            for name, f in self._functions.items()
            if name.startswith("test") and name not in self._fixtures
        }
        for owner in self._classes.values():
            methods = self._methods(owner) if self._is_collected(owner) else {}
            self.tests.update({f"{owner.name}.{n}": (f, owner) for n, f in methods.items() if n.startswith("test")})

    def _bases(self, owner: ast.ClassDef) -> list[ast.ClassDef]:
        return [self._classes[n] for n in map(last_name, owner.bases) if n in self._classes and n != owner.name]

    def _methods(self, owner: ast.ClassDef) -> dict[str, _FunctionNode]:
        inherited = {name: f for base in self._bases(owner) for name, f in self._methods(base).items()}
        return inherited | {node.name: node for node in owner.body if isinstance(node, _Function)}

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
        around: dict[int, _FunctionNode] = {}
        for name, (test, owner) in sorted(self.tests.items(), key=lambda item: item[0] not in known):
            parts = [test.args, *test.body, *test.decorator_list]
            shape = " ".join([owner.name if owner else "", *map(ast.dump, parts)])
            if shape in seen and name not in known:
                continue
            seen.add(shape)
            rows = self._rows(test, owner)
            methods = self._methods(owner) if owner else {}
            checks = self._function(test, _Scope(methods=methods))
            total.update(_times(checks, rows))
            total["cases"] += rows
            total["smoke"] += rows * (not _real(checks))
            around |= {id(f): f for f in self._used_fixtures(test)}
            around |= {id(f): f for name, f in methods.items() if name.lower().startswith(("setup", "teardown"))}
        return total + _sum(self._function(function, _Scope()) for function in around.values())  # once for the file

    def _used_fixtures(self, function: _FunctionNode) -> list[_FunctionNode]:
        names = [a.arg for a in function.args.args]
        names += [str(n.value) for d in function.decorator_list for n in ast.walk(d) if isinstance(n, ast.Constant)]
        return [f for f in map(self._fixtures.get, names) if f is not None]

    def _rows(self, test: _FunctionNode, owner: ast.ClassDef | None) -> int:
        scope = _Scope(self._constants)
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

    def _function(self, function: _FunctionNode, outer: _Scope) -> Tally:
        if id(function) not in self._known:
            self._known[id(function)] = Counter()  # one that calls itself adds nothing
            inner = {n.name: n for n in ast.walk(function) if isinstance(n, _Function) and n is not function}
            scope = _Scope(self._constants | _values(function.body), outer.inner | inner, outer.methods)
            self._known[id(function)] = self._block(function.body, scope)
        return self._known[id(function)]

    def _block(self, body: list[ast.stmt], scope: _Scope, given: ast.expr | None = None) -> Tally:
        total: Tally = Counter()
        said: set[str] = set()
        for statement in body:
            repeated = isinstance(statement, ast.Assert) and ast.dump(statement.test) in said
            if isinstance(statement, ast.Assert):
                said.add(ast.dump(statement.test))
            else:
                said.clear()
            if not repeated:
                total.update(self._statement(statement, scope, given))
            if isinstance(statement, (ast.Return, ast.Raise, ast.Break, ast.Continue)):
                break  # nothing after it runs
        return total

    def _statement(self, node: ast.stmt, scope: _Scope, given: ast.expr | None) -> Tally:
        if isinstance(node, (*_Function, ast.ClassDef)):  # counted where it is called
            return self._function(node, scope) if isinstance(node, _Function) and node.decorator_list else Counter()
        total = self._own(node, scope, given) + self._helpers(node, scope)
        if isinstance(node, ast.If):
            never = isinstance(node.test, ast.Constant) and not node.test.value
            branches = [] if never else [self._block(node.body, scope, node.test)]
            branches.append(self._block(node.orelse, scope))
            return total + max(branches, key=_real)
        if isinstance(node, ast.Match):
            return total + max((self._block(case.body, scope) for case in node.cases), key=_real)
        if isinstance(node, ast.While) and isinstance(node.test, ast.Constant) and not node.test.value:
            return total
        rounds = scope.size(node.iter, ranges=False) if isinstance(node, (ast.For, ast.AsyncFor)) else 1
        blocks = [] if _forgives(node) else [_times(self._block(getattr(node, "body", []), scope), rounds)]
        blocks += [self._block(getattr(node, key, []), scope) for key in ("orelse", "finalbody")]
        blocks += [self._block(handler.body, scope) for handler in getattr(node, "handlers", [])]
        return total + _sum(blocks)

    def _own(self, node: ast.stmt, scope: _Scope, given: ast.expr | None) -> Tally:
        if id(node) not in self._claims:
            return Counter()
        if isinstance(node, ast.Assert):
            return Counter(["empty"]) if given is not None and _same(given, node.test) else scope.weigh(node.test)
        if isinstance(node, (ast.With, ast.AsyncWith)):
            calls = [i.context_expr for i in node.items if isinstance(i.context_expr, ast.Call)]
            return _sum(
                scope.weigh_call(c, node.body) for c in calls if last_name(c.func).startswith(("assert", *_EXPECTING))
            )
        if isinstance(node, ast.Expr):
            call = node.value.value if isinstance(node.value, ast.Await) else node.value
            local = isinstance(call, ast.Call) and self._helper(call.func, scope) is not None
            return scope.weigh_call(call, []) if isinstance(call, ast.Call) and not local else Counter()
        if isinstance(node, ast.If):
            kinds = scope.weigh(node.test)
            return Counter([next((kind for kind in ("empty", "strong") if kinds[kind]), "fair")])
        return Counter(["weak" if _forgives(node) else "strong"])

    def _helper(self, node: ast.AST, scope: _Scope) -> _FunctionNode | None:
        """The function of the file that ``node`` names, where it is neither a test nor a fixture."""
        if isinstance(node, ast.Attribute) and last_name(node.value) in ("self", "cls"):
            found = scope.methods.get(node.attr)
        else:
            name = node.id if isinstance(node, ast.Name) else ""
            found = scope.inner.get(name) or self._functions.get(name)
        return None if found is None or found.name.startswith("test") or is_fixture(found) else found

    def _helpers(self, node: ast.stmt, scope: _Scope) -> Tally:
        """The checks of the helpers that the expressions of ``node`` itself name, once for each time."""
        own = [child for child in ast.iter_child_nodes(node) if not isinstance(child, _BLOCKS)]
        named = [self._helper(n, scope) for child in own for n in ast.walk(child)]
        return _sum(self._function(helper, scope) for helper in named if helper is not None)


def _different(names: ast.expr, rows: ast.expr, scope: _Scope) -> int:
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


def columns_of(names: ast.expr) -> list[str]:
    """The names in the first argument of a ``parametrize``."""
    texts = [n.value for n in ast.walk(names) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    return [name.strip() for text in texts for name in text.split(",") if name.strip()]


def cells_of(row: ast.expr, columns: list[str]) -> list[ast.expr]:
    """The values in one row of a ``parametrize``."""
    if isinstance(row, ast.Call) and last_name(row.func) == "param":
        return row.args
    return row.elts if isinstance(row, (ast.List, ast.Tuple)) and len(columns) > 1 else [row]
