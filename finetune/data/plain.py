"""unittest's style in pytest's: ``self.assertEqual(a, b)`` becomes ``assert a == b``; what cannot be said so is refused."""

from __future__ import annotations

import ast
import copy

from finetune.data.surgery import parse

_COMPARE: dict[str, type[ast.cmpop]] = {
    "assertEqual": ast.Eq,
    "assertEquals": ast.Eq,
    "assertNotEqual": ast.NotEq,
    "assertListEqual": ast.Eq,
    "assertDictEqual": ast.Eq,
    "assertSetEqual": ast.Eq,
    "assertTupleEqual": ast.Eq,
    "assertSequenceEqual": ast.Eq,
    "assertMultiLineEqual": ast.Eq,
    "assertIs": ast.Is,
    "assertIsNot": ast.IsNot,
    "assertIn": ast.In,
    "assertNotIn": ast.NotIn,
    "assertGreater": ast.Gt,
    "assertGreaterEqual": ast.GtE,
    "assertLess": ast.Lt,
    "assertLessEqual": ast.LtE,
}
_RENAMED = {
    "setUp": "setup_method",
    "tearDown": "teardown_method",
    "setUpClass": "setup_class",
    "tearDownClass": "teardown_class",
}


class _Refused(Exception):
    pass


def is_unittest(tree: ast.Module) -> bool:
    """Whether any class of the file is one of unittest's test cases."""
    return any(isinstance(n, ast.ClassDef) and _is_case(n) for n in tree.body)


def _is_case(node: ast.ClassDef) -> bool:
    return any(ast.unparse(base).rpartition(".")[2].endswith("TestCase") for base in node.bases)


def to_pytest(tests: str) -> str | None:
    """The file with its test cases as plain classes, or as functions where they share nothing; None when that is not simple."""
    tree = parse(tests)
    if tree is None:
        return None
    body: list[ast.stmt] = []
    try:
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and _is_case(node):
                body += _case(node, {n.name for n in tree.body if isinstance(n, ast.FunctionDef)})
            elif isinstance(node, ast.Import) and any(a.name == "unittest" for a in node.names):
                rest = [a for a in node.names if a.name != "unittest"]
                body += [ast.Import(rest)] if rest else []
            elif isinstance(node, ast.ImportFrom) and node.module == "unittest":
                rest = [a for a in node.names if a.name != "TestCase"]
                body += [ast.ImportFrom("unittest", rest, 0)] if rest else []
            elif not (isinstance(node, ast.If) and "__main__" in ast.dump(node.test)):
                body.append(node)
    except _Refused:
        return None
    made = ast.fix_missing_locations(ast.Module(body, []))
    used = {n.id for n in ast.walk(made) if isinstance(n, ast.Name)}
    if "unittest" in used and not any(isinstance(n, ast.Import) and "unittest" in ast.unparse(n) for n in body):
        return None
    if "pytest" in used and not any(isinstance(n, ast.Import) and ast.unparse(n) == "import pytest" for n in body):
        after_future = sum(isinstance(n, ast.ImportFrom) and n.module == "__future__" for n in body)
        made.body.insert(after_future, ast.Import([ast.alias("pytest")]))
    return _spaced(made)


def _spaced(tree: ast.Module) -> str:
    """`ast.unparse`, with two blank lines around functions and classes."""
    out, before = "", False
    for node in ast.fix_missing_locations(tree).body:
        block = isinstance(node, (ast.FunctionDef, ast.ClassDef))
        out += "" if not out else "\n\n\n" if block or before else "\n"
        out += ast.unparse(node)
        before = block
    return out + "\n"


def _case(node: ast.ClassDef, taken: set[str]) -> list[ast.stmt]:
    if node.keywords or node.decorator_list or len(node.bases) != 1:
        raise _Refused
    made = (_Assertions().visit(copy.deepcopy(n)) for n in node.body if not _is_docstring(n))
    methods = [ast.fix_missing_locations(method) for method in made]
    for method in methods:
        if isinstance(method, ast.FunctionDef):
            method.name = _RENAMED.get(method.name, method.name)
    alone = all(
        isinstance(m, ast.FunctionDef) and m.name.startswith("test") and not m.decorator_list and not _uses_self(m)
        for m in methods
    )
    names = {m.name for m in methods if isinstance(m, ast.FunctionDef)}
    if alone and not names & taken:
        for method in methods:
            method.args.args = method.args.args[1:]
        taken |= names
        return methods
    if any("unittest" in ast.unparse(m) for m in methods):
        raise _Refused
    name = node.name if node.name.startswith("Test") else f"Test{node.name.removesuffix('Tests').removesuffix('Test')}"
    return [ast.ClassDef(name=name, bases=[], keywords=[], body=methods, decorator_list=[], type_params=[])]  # type: ignore[call-arg,unused-ignore]


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _uses_self(method: ast.FunctionDef) -> bool:
    return any(isinstance(n, ast.Name) and n.id == "self" for n in ast.walk(method))


class _Assertions(ast.NodeTransformer):
    """Calls of ``self.assert…`` as statements of pytest's; any other method of a TestCase is refused."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        call = node.value
        name = _method(call)
        if not (isinstance(call, ast.Call) and name):
            return self.generic_visit(node)
        return _statement(name, call)

    def visit_With(self, node: ast.With) -> ast.AST:
        for item in node.items:
            name, call = _method(item.context_expr), item.context_expr
            if name in ("assertRaises", "assertRaisesRegex") and isinstance(call, ast.Call):
                item.context_expr = _raises(name, call.args, call.keywords)
            elif name == "subTest":
                raise _Refused
        if any(_reads_exception(node, item.optional_vars) for item in node.items):
            raise _Refused
        return self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if isinstance(node.value, ast.Name) and node.value.id == "self" and _is_unittests(node.attr):
            raise _Refused
        return self.generic_visit(node)


def _is_unittests(name: str) -> bool:
    import unittest

    return hasattr(unittest.TestCase, name) and name not in ("setUp", "tearDown", "__class__", "__dict__")


def _reads_exception(node: ast.With, var: ast.expr | None) -> bool:
    return var is not None  # ``cm.exception`` is ``info.value`` in pytest, and is read after the block


def _method(node: ast.AST) -> str:
    func = node.func if isinstance(node, ast.Call) else None
    mine = isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name) and func.value.id == "self"
    return func.attr if mine and isinstance(func, ast.Attribute) and _is_unittests(func.attr) else ""


def _raises(name: str, args: list[ast.expr], keywords: list[ast.keyword]) -> ast.Call:
    if len(args) != (1 if name == "assertRaises" else 2) or keywords:
        raise _Refused
    match = [ast.keyword("match", args[1])] if len(args) == 2 else []
    return ast.Call(ast.Attribute(ast.Name("pytest", ast.Load()), "raises", ast.Load()), args[:1], match)


def _statement(name: str, call: ast.Call) -> ast.stmt:
    args = call.args
    keywords = {k.arg: k.value for k in call.keywords}
    if any(isinstance(a, ast.Starred) for a in args) or None in keywords:
        raise _Refused
    if name in _COMPARE and len(args) in (2, 3) and keywords.keys() <= {"msg"}:
        operator = _COMPARE[name]()
        if isinstance(operator, ast.Eq) and _is_singleton(args[1]):
            operator = ast.Is()
        return ast.Assert(ast.Compare(args[0], [operator], [args[1]]))
    if name in ("assertTrue", "assertFalse") and len(args) in (1, 2) and keywords.keys() <= {"msg"}:
        return ast.Assert(args[0] if name == "assertTrue" else ast.UnaryOp(ast.Not(), args[0]))
    if name in ("assertIsNone", "assertIsNotNone") and len(args) in (1, 2):
        operator = ast.Is() if name == "assertIsNone" else ast.IsNot()
        return ast.Assert(ast.Compare(args[0], [operator], [ast.Constant(None)]))
    if name in ("assertIsInstance", "assertNotIsInstance") and len(args) in (2, 3):
        is_one: ast.expr = ast.Call(ast.Name("isinstance", ast.Load()), args[:2], [])
        return ast.Assert(is_one if name == "assertIsInstance" else ast.UnaryOp(ast.Not(), is_one))
    if name == "assertAlmostEqual" and len(args) in (2, 3) and keywords.keys() <= {"places", "delta"}:
        return ast.Assert(ast.Compare(args[0], [ast.Eq()], [_approx(args, keywords)]))
    if name in ("assertCountEqual", "assertItemsEqual") and len(args) == 2:
        sides = [ast.Call(ast.Name("sorted", ast.Load()), [a], []) for a in args]
        return ast.Assert(ast.Compare(sides[0], [ast.Eq()], [sides[1]]))
    if name == "assertRaises" and len(args) > 1:
        called = ast.Expr(ast.Call(args[1], args[2:], call.keywords))
        return ast.With([ast.withitem(_raises(name, args[:1], []))], [called])
    raise _Refused


def _is_singleton(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and (node.value is None)


def _approx(args: list[ast.expr], keywords: dict[str | None, ast.expr]) -> ast.expr:
    places = args[2] if len(args) == 3 else keywords.get("places", ast.Constant(7))
    if "delta" in keywords:
        bound: ast.expr = keywords["delta"]
    elif isinstance(places, ast.Constant) and isinstance(places.value, int):
        bound = ast.Constant(float(f"5e-{places.value + 1}"))  # unittest rounds the difference to so many places
    else:
        raise _Refused
    return ast.Call(
        ast.Attribute(ast.Name("pytest", ast.Load()), "approx", ast.Load()),
        [args[1]],
        [ast.keyword("abs", bound), ast.keyword("rel", ast.Constant(0))],
    )
