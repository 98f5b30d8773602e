"""How much one expression of a test claims, and how many values a loop or a ``parametrize`` goes over."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import prod

from testing_crew.gate.syntax import last_name

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
EXPECTING = ("raises", "warns", "deprecated_call", "Raises", "assertRaises", "assertWarns")
_SAME_SIZE = {"list", "tuple", "sorted", "reversed", "enumerate", "zip", "items", "keys", "values"}
_WEAK_CALLS = {"isinstance", "issubclass", "hasattr", "callable", "assertIsNotNone", "assertIsInstance"}
_FAIR_CALLS = {"assert_called", "assert_called_once", "assert_not_called"}

Tally = Counter[str]
"""How many checks of each kind there are.

``strong`` ones pin a value, ``fair`` ones say something about it, ``none`` is ``is None``, ``weak`` ones hold for nearly any
value, ``empty`` ones always hold. ``match`` counts the messages of expected exceptions, ``part`` the equalities about a part
of a value, ``whole`` the further elements of whole values compared at once, ``eq:X`` and ``ne:X`` the comparisons of X.
"""


def times(tally: Tally, factor: int) -> Tally:
    """``tally`` checked ``factor`` times."""
    return Counter({kind: n * factor for kind, n in tally.items()})


def add_up(tallies: Iterable[Tally]) -> Tally:
    """All of ``tallies`` in one."""
    total: Tally = Counter()
    for tally in tallies:
        total.update(tally)
    return total


def real(tally: Tally) -> int:
    """How many of the checks can fail."""
    return sum(tally[kind] for kind in ("strong", "fair", "none", "weak"))


def same(left: ast.AST, right: ast.AST) -> bool:
    """Whether two expressions are written alike."""
    return ast.dump(left) == ast.dump(right)


def _is_closed(node: ast.AST) -> bool:
    """Whether nothing in ``node`` can depend on the code."""
    return not any(isinstance(n, (ast.Name, ast.Attribute, ast.Call)) for n in ast.walk(node))


def _calls(node: ast.AST) -> bool:
    return any(isinstance(n, ast.Call) for n in ast.walk(node))


@dataclass
class Scope:
    """The names of one function: what they are given where that happens once, the functions in it, the class around it."""

    values: dict[str, ast.expr] = field(default_factory=dict)
    inner: dict[str, FunctionNode] = field(default_factory=dict)
    methods: dict[str, FunctionNode] = field(default_factory=dict)

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
                return add_up(parts)
            lowest = [kind for kind in ("empty", "weak") if any(part[kind] for part in parts)]
            return Counter((lowest or ["fair"])[:1])
        if isinstance(test, ast.Compare):
            operands = [test.left, *test.comparators]
            return add_up(self._compare(*pair) for pair in zip(operands, test.ops, operands[1:], strict=False))
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            inner = self.weigh(test.operand)
            return Counter([next((kind for kind in ("empty", "strong") if inner[kind]), "fair")])
        if isinstance(test, ast.Call):
            called, first = last_name(test.func), test.args[0] if test.args else None
            if called == "all" and isinstance(first, (ast.GeneratorExp, ast.ListComp)):
                return times(self.weigh(first.elt), self.size(first, ranges=False))
            return Counter(["weak" if called in _WEAK_CALLS else "fair"])
        always = _is_closed(test) or isinstance(test, (ast.Lambda, ast.JoinedStr))
        return Counter(["empty" if always or (isinstance(test, ast.Tuple) and test.elts) else "fair"])

    def _compare(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Tally:
        sides = [self.values.get(s.id, s) if isinstance(s, ast.Name) else s for s in (left, right)]
        if all(_is_closed(side) for side in (left, right)):
            return Counter(["empty"])
        if same(*sides) and not isinstance(op, (ast.Is, ast.IsNot, ast.NotEq)):
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
        if called.startswith(EXPECTING):
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
