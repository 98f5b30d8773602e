"""Our own mutation operators: another value of the same type, a statement left out, and what cosmic-ray has no operator for."""

from __future__ import annotations

import ast
import re

from testing_crew.mutation.text import OTHER, Edit, Text

_AUGMENTED = {
    ast.Add: ("Add->Sub", "-="),
    ast.Sub: ("Sub->Add", "+="),
    ast.Mult: ("Mul->FloorDiv", "//="),
    ast.Div: ("Div->Mul", "*="),
    ast.FloorDiv: ("FloorDiv->Div", "/="),
    ast.Mod: ("Mod->FloorDiv", "//="),
    ast.Pow: ("Pow->Mul", "*="),
    ast.LShift: ("LShift->RShift", ">>="),
    ast.RShift: ("RShift->LShift", "<<="),
    ast.BitOr: ("BitOr->BitAnd", "&="),
    ast.BitAnd: ("BitAnd->BitOr", "|="),
    ast.BitXor: ("BitXor->BitOr", "|="),
}
_LOGS = re.compile(r"_?log(ger|ging)?|warnings", re.IGNORECASE)
_NEEDS_BRACKETS = (ast.Tuple, ast.Yield, ast.YieldFrom, ast.NamedExpr)


def value_edits(text: Text) -> list[Edit]:
    """The edits that our operators make in ``text``: all leave text that parses, bar rare layouts."""
    finder = _Finder(text)
    finder.visit(text.tree)
    return finder.edits


class _Finder(ast.NodeVisitor):
    """Collects edits; goes into no annotation, no f-string, no message of an exception or a log."""

    def __init__(self, text: Text) -> None:
        self.edits: list[Edit] = []
        self._text = text
        self._functions = 0  # how many functions are around the node
        defining = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        self._constants = not any(isinstance(node, defining) for node in ast.walk(text.tree))  # there is nothing else
        self._shared: list[set[str]] = []  # for each of them, the names that it declared global or nonlocal

    # Ways of editing

    def _replace(self, operator: str, start: int, end: int, new: str) -> None:
        before = self._text.source[start - 1 : start]
        space = " " if (before.isalnum() or before == "_") and new[:1].isidentifier() else ""
        self.edits.append(Edit(operator, start, end, space + new))

    def _wrap(self, operator: str, node: ast.expr, before: str, after: str) -> None:
        start, end = self._text.span(node)
        self._replace(operator, start, end, before + self._text.source[start:end] + after)

    def _other(self, operator: str, node: ast.expr | None) -> None:
        """Constants are left out: other operators change them, and None has no other value."""
        if node is None or isinstance(node, ast.Constant) or getattr(node, "id", None) == "NotImplemented":
            return
        more = isinstance(node, _NEEDS_BRACKETS)
        self._wrap(operator, node, f"{OTHER}({'(' * more}", ")" * (1 + more))

    def _remove(self, operator: str, node: ast.stmt) -> None:
        start, end = self._text.span(node)
        self._replace(operator, start, end, "pass" + " \\\n" * self._text.source.count("\n", start, end))

    # Where the walk goes

    def _visit_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for outside in (*node.decorator_list, *node.args.defaults, *node.args.kw_defaults):
            if outside is not None:
                self.visit(outside)
        self._functions += 1
        self._shared.append(set())
        for statement in node.body:
            self.visit(statement)
        self._shared.pop()
        self._functions -= 1

    visit_FunctionDef = _visit_function
    visit_AsyncFunctionDef = _visit_function

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._functions += 1
        self.visit(node.body)
        self._functions -= 1

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for inside in (*node.decorator_list, *node.bases, *node.keywords, *node.body):
            self.visit(inside)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Its parts have no certain place before Python 3.12."""

    def visit_TypeAlias(self, node: ast.AST) -> None:
        """Nothing here runs."""

    def _visit_shared(self, node: ast.Global | ast.Nonlocal) -> None:
        if self._shared:
            self._shared[-1].update(node.names)

    visit_Global = _visit_shared
    visit_Nonlocal = _visit_shared

    # Results and state

    def visit_Return(self, node: ast.Return) -> None:
        self._other("return_value", node.value)
        self.generic_visit(node)

    def visit_Yield(self, node: ast.Yield) -> None:
        self._other("yield_value", node.value)
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        if self._constants and all(getattr(target, "id", "").startswith("__") for target in node.targets):
            return  # ``__all__``, ``__version__``
        if not any(self._state(target, node.value) for target in node.targets):
            for target in node.targets:
                self._state_of_parts(target, node.value)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._state(node.target, node.value)
        text = isinstance(node.value, ast.JoinedStr) or isinstance(getattr(node.value, "value", None), (str, bytes))
        if type(node.op) in _AUGMENTED and not text:  # another operator on a text only ends in a TypeError
            name, new = _AUGMENTED[type(node.op)]
            start, end = self._text.span(node.target)[1], self._text.span(node.value)[0]
            sign = re.search(r"[^\s\\)]+=", self._text.source[start:end])
            if sign:
                self._replace(f"augmented:{name}", start + sign.start(), start + sign.end(), new)
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._state(node.target, node.value)
            self.visit(node.value)

    def _state(self, target: ast.expr, value: ast.expr) -> bool:
        shared = isinstance(target, ast.Name) and self._shared and target.id in self._shared[-1]
        if shared or isinstance(target, (ast.Attribute, ast.Subscript)):
            self._other("state", value)
            return True
        return False

    def _state_of_parts(self, target: ast.expr, value: ast.expr) -> None:
        """``self.a, self.b = x, y``: each by itself, where it is plain which is which."""
        if not (isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)):
            return
        starred = any(isinstance(part, ast.Starred) for part in (*target.elts, *value.elts))
        if len(target.elts) == len(value.elts) and not starred:
            for one, its_value in zip(target.elts, value.elts, strict=True):
                self._state(one, its_value)

    # Statements left out

    def visit_Expr(self, node: ast.Expr) -> None:
        call = node.value.value if isinstance(node.value, ast.Await) else node.value
        if isinstance(call, ast.Constant):
            return
        log = _log(call)
        if isinstance(call, ast.Call) and self._functions and log in ("", "warnings"):  # of these a caller is to hear
            self._remove("statement", node)
        if log:
            return
        self.generic_visit(node)

    def visit_Delete(self, node: ast.Delete) -> None:
        if any(isinstance(target, (ast.Attribute, ast.Subscript)) for target in node.targets):
            self._remove("statement", node)
        self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        self._remove("raise", node)

    def visit_Assert(self, node: ast.Assert) -> None:
        self.visit(node.test)

    # Conditions and constants

    def _visit_condition(self, node: ast.If | ast.While | ast.IfExp) -> None:
        self._condition(node.test)
        self.generic_visit(node)

    visit_If = _visit_condition
    visit_While = _visit_condition
    visit_IfExp = _visit_condition

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for test in node.ifs:
            self._condition(test)
        self.generic_visit(node)

    def visit_match_case(self, node: ast.match_case) -> None:
        if node.guard is not None:
            self._condition(node.guard)
        self.generic_visit(node)

    def _condition(self, test: ast.expr) -> None:
        """Other operators turn a comparison, a ``not`` and a constant round."""
        negated = isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)
        if not negated and not isinstance(test, (ast.Compare, ast.Constant)):
            self._wrap("condition", test, "not (", ")")

    def visit_Compare(self, node: ast.Compare) -> None:
        sides = [node.left, *node.comparators]
        for left, operator, right in zip(sides, node.ops, node.comparators, strict=False):
            if isinstance(operator, (ast.In, ast.NotIn)):
                start, end = self._text.span(left)[1], self._text.span(right)[0]
                between = self._text.source[start:end]
                found = re.search(r"\bnot\s+in\b" if isinstance(operator, ast.NotIn) else r"\bin\b", between)
                if found and "#" not in between and "\n" not in found[0]:
                    name, new = ("In->NotIn", "not in") if isinstance(operator, ast.In) else ("NotIn->In", "in")
                    self._replace(f"membership:{name}", start + found.start(), start + found.end(), new)
        self.generic_visit(node)

    def visit_Dict(self, node: ast.Dict) -> None:
        for inside in (
            node.values if self._constants and not self._functions else (*node.keys, *node.values)
        ):  # in a table, a key is but a name
            if inside is not None:
                self.visit(inside)

    def visit_Constant(self, node: ast.Constant) -> None:
        """In functions, where there are any: the text grows by an implicit concatenation, which is allowed in patterns too."""
        if (self._functions or self._constants) and isinstance(node.value, (str, bytes)):
            self._wrap("string", node, "(", ' "x")' if isinstance(node.value, str) else ' b"x")')


def _log(call: ast.expr) -> str:
    """``log`` of ``log.info(...)``, ``_logger`` of ``self._logger.debug(...)``; else empty. Nobody promised what one says."""
    owner = call.func.value if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) else None
    name = str(getattr(owner, "id", None) or getattr(owner, "attr", ""))
    return name if _LOGS.fullmatch(name) else ""
