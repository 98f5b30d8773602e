"""What each function of a test file checks, in a form in which two texts of the file can be compared.

``got = add(1, 2)`` and ``assert got == 3``, ``assert add(1, 2) == 3`` and ``self.assertEqual(add(1, 2), 3)`` are one check.
"""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from testing_crew.gate.syntax import last_name
from testing_crew.gate.weight import EXPECTING, FunctionNode, same
from testing_crew.runner.inside.watch.asserts import claims
from testing_crew.suite.reading.nodes import constants_in, names_in, shown, shown_whole, uses_of

EXACT, NEAR, MEMBER, SOME, HARDLY, ALWAYS = 5, 4, 3, 2, 1, 0
"""How much a check pins: one value; one but for a tolerance or all but its length; one of several; something; next to nothing."""

_OPERATORS: Mapping[type[ast.cmpop], tuple[str, int]] = {
    ast.Eq: ("==", EXACT),
    ast.Is: ("==", EXACT),  # `is None` and `== None` say the same
    ast.NotEq: ("!=", MEMBER),
    ast.IsNot: ("!=", MEMBER),
    ast.In: ("in", MEMBER),
    ast.NotIn: ("not in", MEMBER),
}
_INVERSE = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_COMPARING: Mapping[str, type[ast.cmpop]] = {
    "assertIs": ast.Is,
    "assertNotEqual": ast.NotEq,
    "assertIsNot": ast.IsNot,
    "assertIn": ast.In,
    "assertNotIn": ast.NotIn,
    "assertGreater": ast.Gt,
    "assertGreaterEqual": ast.GtE,
    "assertLess": ast.Lt,
    "assertLessEqual": ast.LtE,
    **{f"assert{kind}Equal": ast.Eq for kind in ("", "List", "Dict", "Tuple", "Set", "Sequence", "MultiLine")},
    **dict.fromkeys(("assertEquals", "assert_equal"), ast.Eq),
}
_RANKS = {
    "assertRegex": MEMBER,
    "assert_called_once": MEMBER,
    "assert_not_called": MEMBER,
    "assert_called": SOME,
    "assertIsInstance": HARDLY,
    "assertIsNotNone": HARDLY,
    "isinstance": HARDLY,
    "issubclass": HARDLY,
    "hasattr": HARDLY,
    "callable": HARDLY,
}
_NEAR = ("approx", "isclose", "allclose", "assert_allclose", "assertAlmostEqual", "assert_almost_equal")
_TOLERANCES = {"rel": 0, "rel_tol": 0, "rtol": 0, "abs": 1, "abs_tol": 1, "atol": 1, "delta": 1}


@dataclass(frozen=True)
class Check:
    """One thing that a test holds to be so.

    ``key`` is what it says, ``subject`` what it says it of, ``rank`` how much it pins (`EXACT` … `ALWAYS`), ``text`` its source
    on one line, ``line`` where that begins. ``tolerance`` is what was given as relative and as absolute tolerance, None for
    neither. ``expects`` are the exceptions that are to come, ``match`` whether their message is looked at. ``guards`` are the
    conditions that it stands under; ``swallowed``: its failure fails nothing. ``uses`` are the functions of the code that it
    calls, ``constants`` the literal values in it.
    """

    key: str
    subject: str
    rank: int
    text: str
    line: int
    uses: frozenset[str]
    constants: frozenset[str]
    tolerance: tuple[float, float] | None = None
    expects: frozenset[str] = frozenset()
    match: bool = False
    guards: tuple[str, ...] = ()
    swallowed: bool = False


class Reading:
    """The checks of the functions of one text; ``tree`` is its own."""

    def __init__(self, tree: ast.Module) -> None:
        self._failing = {id(claim.node) for claim in claims(tree)}

    def checks(self, function: FunctionNode) -> list[Check]:
        """What ``function`` checks itself, in order of line."""
        values = _values(function)
        return [
            replace(check, guards=guards, swallowed=id(node) not in self._failing)
            for node, guards in _statements(function.body, ())
            if any(claim.node is node for claim in claims(node))
            for check in _checks(node, values)
        ]


def _statements(body: list[ast.stmt], guards: tuple[str, ...]) -> Iterator[tuple[ast.stmt, tuple[str, ...]]]:
    for node in body:
        yield node, guards
        under = (*guards, shown(node.test)) if isinstance(node, ast.If) else guards
        for block in ("body", "orelse", "finalbody"):
            yield from _statements(getattr(node, block, []), under)
        for each in [*getattr(node, "handlers", []), *getattr(node, "cases", [])]:
            yield from _statements(each.body, guards)


def _values(function: FunctionNode) -> dict[str, ast.expr]:
    """The names that ``function`` gives a value exactly once, with that value."""
    nodes = [n for statement in function.body for n in ast.walk(statement)]
    count = Counter(n.id for n in nodes if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load))
    plain = [(n.targets[0], n.value) for n in nodes if isinstance(n, ast.Assign) and len(n.targets) == 1]
    return {name.id: value for name, value in plain if isinstance(name, ast.Name) and count[name.id] == 1}


class _Inlined(ast.NodeTransformer):
    def __init__(self, values: Mapping[str, ast.expr], depth: int = 0) -> None:
        self.values = values
        self.depth = depth

    def visit_Name(self, node: ast.Name) -> ast.expr:
        value = self.values.get(node.id)
        if value is None or self.depth > 3 or not isinstance(node.ctx, ast.Load):
            return node
        inlined = _Inlined(self.values, self.depth + 1).visit(copy.deepcopy(value))
        assert isinstance(inlined, ast.expr)
        return inlined


def _checks(node: ast.stmt, values: Mapping[str, ast.expr]) -> Iterator[Check]:
    inline = _Inlined(values)
    if isinstance(node, ast.Assert):
        test = inline.visit(copy.deepcopy(node.test))
        yield from _said(test, f"assert {shown(node.test)}", node.lineno)
    elif isinstance(node, ast.Expr):
        call = node.value.value if isinstance(node.value, ast.Await) else node.value
        assert isinstance(call, ast.Call)
        yield from _called(inline.visit(copy.deepcopy(call)), [], shown(node), node.lineno)
    elif isinstance(node, (ast.With, ast.AsyncWith)):
        for item in node.items:
            if isinstance(item.context_expr, ast.Call):
                body = [inline.visit(copy.deepcopy(each)) for each in node.body]
                text = f"with {shown(item.context_expr)}"
                yield from _called(inline.visit(copy.deepcopy(item.context_expr)), body, text, node.lineno)
    else:  # an ``if`` or a ``try`` that ends in a failure
        said = node.test if isinstance(node, ast.If) else ast.Module(node.body[:1], [])  # type: ignore[attr-defined]
        said = inline.visit(copy.deepcopy(said))
        text = f"if {shown(said)}: …" if isinstance(node, ast.If) else f"try: {shown(said)} …"
        yield _check(said, said, MEMBER, text, node.lineno, "fails")


def _check(whole: ast.AST, subject: ast.AST, rank: int, text: str, line: int, word: str = "") -> Check:
    return Check(
        key=f"{word} {shown_whole(whole)}".strip(),
        subject=shown_whole(subject),
        rank=rank,
        text=text,
        line=line,
        uses=uses_of(whole),
        constants=constants_in(whole),
    )


def _said(test: ast.expr, text: str, line: int) -> Iterator[Check]:
    """The checks in the condition of an ``assert``."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        for value in test.values:
            yield from _said(value, text, line)
    elif isinstance(test, ast.BoolOp):
        least = min(check.rank for value in test.values for check in _said(value, text, line))
        yield _check(test, test, min(least, SOME), text, line)
    elif isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inner = test.operand
        if isinstance(inner, ast.Compare) and len(inner.ops) == 1 and (turned := _INVERSE.get(type(inner.ops[0]))):
            yield _compared(inner.left, turned(), inner.comparators[0], text, line)
        else:
            yield _check(test, inner, min(SOME, *(c.rank for c in _said(inner, text, line))), text, line)
    elif isinstance(test, ast.Compare):
        operands = [test.left, *test.comparators]
        for left, operator, right in zip(operands, test.ops, operands[1:], strict=False):
            yield _compared(left, operator, right, text, line)
    elif isinstance(test, ast.Call):
        yield from _called(test, [], text, line, plain=True)
    else:
        always = not names_in(test) or isinstance(test, (ast.Lambda, ast.Tuple))
        yield _check(test, test, ALWAYS if always else SOME, text, line)


def _compared(left: ast.expr, operator: ast.cmpop, right: ast.expr, text: str, line: int) -> Check:
    if _closed(left) and not _closed(right):
        left, right = right, left
    word, rank = _OPERATORS.get(type(operator), ("<", SOME))
    none = isinstance(right, ast.Constant) and right.value is None
    called = last_name(left.func) if isinstance(left, ast.Call) else ""
    if _closed(left) and _closed(right):
        rank = ALWAYS
    elif (word == "!=" and none) or same(left, right) or last_name(right) == "ANY" or called == "type":
        rank = HARDLY
    elif word == "==" and called == "len":
        rank = SOME if isinstance(right, ast.Constant) and right.value == 0 else NEAR  # `not x` says as much
    elif isinstance(right, ast.Constant) and isinstance(right.value, bool) and isinstance(operator, ast.Eq):
        rank = SOME  # `assert x == True` and `assert x` say nearly the same
    both = ast.Tuple([left, right], ast.Load())
    check = replace(_check(both, left, rank, text, line), key=f"{shown_whole(left)} {word} {shown_whole(right)}")
    near = next((n for n in ast.walk(both) if isinstance(n, ast.Call) and last_name(n.func) == "approx"), None)
    return check if near is None else replace(check, rank=min(rank, NEAR), tolerance=_tolerance(near))


def _closed(node: ast.AST) -> bool:
    return not any(isinstance(n, (ast.Name, ast.Attribute, ast.Call)) for n in ast.walk(node))


def _called(call: ast.Call, body: list[ast.stmt], text: str, line: int, *, plain: bool = False) -> Iterator[Check]:
    """The checks of ``pytest.raises(…)``, ``self.assertEqual(…)`` and their like; ``plain``: of ``assert call``."""
    called, arguments = last_name(call.func), call.args
    if called.startswith(EXPECTING):
        yield _expected(call, body, text, line)
    elif called in _COMPARING and len(arguments) > 1:
        yield _compared(arguments[0], _COMPARING[called](), arguments[1], text, line)
    elif called in ("assertTrue", "assertFalse") and arguments:
        test = arguments[0] if called == "assertTrue" else ast.UnaryOp(ast.Not(), arguments[0])
        yield from _said(test, text, line)
    elif called in ("assertIsNone", "assertIsNotNone") and arguments:
        operator = ast.Is() if called == "assertIsNone" else ast.IsNot()
        yield _compared(arguments[0], operator, ast.Constant(None), text, line)
    elif called in _NEAR and arguments:
        yield replace(_check(call, arguments[0], NEAR, text, line), tolerance=_tolerance(call))
    elif (
        called in ("all", "any") and plain and arguments and isinstance(arguments[0], (ast.GeneratorExp, ast.ListComp))
    ):
        inner = min(check.rank for check in _said(arguments[0].elt, text, line))
        yield _check(call, call, inner if called == "all" else min(inner, SOME), text, line)
    else:
        yield _check(
            call, arguments[0] if arguments else call, _RANKS.get(called, SOME if plain else EXACT), text, line
        )


def _expected(call: ast.Call, body: list[ast.stmt], text: str, line: int) -> Check:
    kinds = call.args[:1] or [k.value for k in call.keywords if k.arg == "expected_exception"]
    each = [e for kind in kinds for e in (kind.elts if isinstance(kind, ast.Tuple) else [kind])]
    match = last_name(call.func).endswith("Regex") or any(
        k.arg == "match" and not (isinstance(k.value, ast.Constant) and k.value.value in ("", ".*"))
        for k in call.keywords
    )
    within: ast.AST = (
        ast.Module(body, []) if body else ast.Tuple([ast.Expr(a).value for a in call.args[1:]], ast.Load())
    )
    check = _check(within, within, EXACT, text, line, f"raises {sorted(map(shown, each))} {match}")
    return replace(check, expects=frozenset(map(last_name, each)), match=match)


def _tolerance(call: ast.Call) -> tuple[float, float] | None:
    given: dict[int, float] = {}
    for keyword in call.keywords:
        try:
            value = float(ast.literal_eval(keyword.value))
        except (ValueError, TypeError, SyntaxError):
            continue
        if keyword.arg in ("places", "decimal"):
            given[1] = 10**-value
        elif keyword.arg in _TOLERANCES:
            given[_TOLERANCES[keyword.arg]] = value
    return (given.get(0, 0.0), given.get(1, 0.0)) if given else None
