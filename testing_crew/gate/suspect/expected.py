"""What the tests of a file expect of calls that can be compared: plain tests, read statement by statement."""

from __future__ import annotations

import ast
import copy
import itertools
from collections.abc import Iterator

from testing_crew.gate.flow import is_fixture
from testing_crew.gate.names import Names, last_name, read_names
from testing_crew.gate.suspect.calls import Module
from testing_crew.gate.suspect.outcome import UNREADABLE, Outcome, literal
from testing_crew.gate.suspect.rows import cells_of, columns_of
from testing_crew.gate.suspect.state import bound, is_fixed, root_name
from testing_crew.runner.failures import clip

_Env = dict[str, ast.expr]
_MOST_ROWS = 500
_MOST_NODES = 200
_READING_CALLS = "len sum min max sorted list set tuple dict isinstance range enumerate zip any all str"
_MARKS_THAT_CHANGE_IT = {"usefixtures", "skip", "skipif", "xfail"}


def expectations(module: Module, tree: ast.Module) -> Iterator[tuple[str, str, Outcome]]:
    """What the tests expect of calls that can be compared: the call as shown, its key, the outcome."""
    names = read_names(module.code, tree)
    nodes = list(ast.walk(tree))
    if names.foreign or any(_changes_the_world(node, names) for node in nodes):
        return
    rebound = {name for n in nodes if not isinstance(n, (ast.Import, ast.ImportFrom)) for name in bound(n)}

    def path_of(node: ast.expr) -> str | None:
        return None if root_name(node) in rebound else names.inside(node)

    constants = {
        n.targets[0].id: n.value for n in tree.body if isinstance(n, ast.Assign) and isinstance(n.targets[0], ast.Name)
    }
    for test in _tests(tree):
        for row in itertools.islice(_rows(test, constants), _MOST_ROWS):
            for call, outcome in _block(test.body, row):
                key = module.key(call, path_of)
                if key is not None and isinstance(call, ast.Call):
                    shown = ast.unparse(call)
                    given = shown.partition("(")[2][:-1] if root_name(call.func) else shown
                    yield f"{test.name}({clip(given)})", key, outcome


def _changes_the_world(node: ast.AST, names: Names) -> bool:
    """Whether ``node`` may change what the code does for every test of the file."""
    if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
        return names.inside(node) is not None
    if "pytestmark" in bound(node):
        return True
    if isinstance(node, ast.Module):
        return any(isinstance(n, ast.Expr) and isinstance(n.value, ast.Call) for n in node.body)
    if not isinstance(node, ast.FunctionDef) or not is_fixture(node):
        return False
    return any(k.arg == "autouse" for d in node.decorator_list if isinstance(d, ast.Call) for k in d.keywords)


def _tests(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    """The tests that nothing but their own text has a hand in."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test") and _is_plain(node):
            yield node
        elif isinstance(node, ast.ClassDef) and not node.bases and not node.decorator_list:
            functions = [n for n in node.body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
            if not any(is_fixture(f) or f.name.lower().startswith(("setup", "teardown")) for f in functions):
                tests = [f for f in functions if isinstance(f, ast.FunctionDef) and f.name.startswith("test")]
                yield from filter(_is_plain, tests)


def _is_plain(test: ast.FunctionDef) -> bool:
    """Whether a test gets nothing but rows of its own, and has no mark or patch that changes what it means."""
    marks = [d.func if isinstance(d, ast.Call) else d for d in test.decorator_list]
    columns = {name for d in _parametrized(test) for name in columns_of(d.args[0])}
    parameters = test.args.posonlyargs + test.args.args + test.args.kwonlyargs
    return (
        all(isinstance(m, ast.Attribute) and last_name(m.value) == "mark" for m in marks)
        and _MARKS_THAT_CHANGE_IT.isdisjoint(map(last_name, marks))
        and all(not d.keywords or {k.arg for k in d.keywords} == {"ids"} for d in _parametrized(test))
        and {p.arg for p in parameters} - {"self"} <= columns
    )


def _parametrized(test: ast.FunctionDef) -> list[ast.Call]:
    calls = [d for d in test.decorator_list if isinstance(d, ast.Call) and len(d.args) == 2]
    return [call for call in calls if last_name(call.func) == "parametrize"]


def _rows(test: ast.FunctionDef, constants: _Env) -> Iterator[_Env]:
    """What the parameters are in each case of a test, as expressions."""
    tables: list[list[_Env]] = []
    for call in _parametrized(test):
        columns = columns_of(call.args[0])
        rows = constants.get(call.args[1].id, call.args[1]) if isinstance(call.args[1], ast.Name) else call.args[1]
        table = [_row(columns, row) for row in getattr(rows, "elts", [])]
        tables.append([row for row in table if row is not None] or [{}])
    for combination in itertools.product(*tables):
        yield {name: value for row in combination for name, value in row.items()}


def _row(columns: list[str], row: ast.expr) -> _Env | None:
    if isinstance(row, ast.Call) and any(k.arg == "marks" for k in row.keywords):
        return None
    values = cells_of(row, columns)
    return dict(zip(columns, values, strict=True)) if len(values) == len(columns) else None


class _Fill(ast.NodeTransformer):
    """Puts what names stand for in their place."""

    def __init__(self, known: _Env) -> None:
        self._known = known

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return copy.deepcopy(self._known[node.id]) if node.id in self._known else node


def _fill(node: ast.expr, known: _Env) -> ast.expr:
    filled: ast.expr = _Fill(known).visit(copy.deepcopy(node))
    return filled


def _block(body: list[ast.stmt], known: _Env) -> Iterator[tuple[ast.expr, Outcome]]:
    """What a straight run of statements expects of which call; what comes after anything else is left alone."""
    for statement in body:
        if isinstance(statement, ast.Assert):
            yield from _asserted(_fill(statement.test, known))
        elif isinstance(statement, ast.With):
            yield from _raised(statement, known)
        elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            value = _fill(statement.value, known)
            if len(statement.targets) > 1 or len(list(ast.walk(value))) > _MOST_NODES:
                return
            known = {**_unspent(statement, known), statement.targets[0].id: value}
            continue
        elif not isinstance(statement, (ast.Import, ast.ImportFrom, ast.Pass)) and not _is_text(statement):
            return
        known = _unspent(statement, known)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _unspent(statement: ast.stmt, known: _Env) -> _Env:
    """``known`` without what a call in ``statement`` may have changed: lists it was handed, objects whose method it was."""
    calls = [n for n in ast.walk(statement) if isinstance(n, ast.Call) and last_name(n.func) not in _READING_CALLS]
    used = {n.id for call in calls for n in ast.walk(call) if isinstance(n, ast.Name)}
    return {name: value for name, value in known.items() if name not in used or is_fixed(value)}


def _asserted(test: ast.expr) -> Iterator[tuple[ast.expr, Outcome]]:
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        for value in test.values:
            yield from _asserted(value)
    elif isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], (ast.Eq, ast.Is)):
        for call, value in ((test.left, test.comparators[0]), (test.comparators[0], test.left)):
            try:
                yield call, _expected(value)
            except UNREADABLE:
                continue
    elif isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        yield test.operand, Outcome(truth=False)
    else:
        yield test, Outcome(truth=True)


def _expected(node: ast.expr) -> Outcome:
    if not isinstance(node, ast.Call) or last_name(node.func) != "approx":
        return Outcome(literal(node))
    given = dict(zip(("expected", "rel", "abs"), node.args, strict=False)) | {
        k.arg or "": k.value for k in node.keywords
    }
    value, relative, absolute = (literal(given[key]) if key in given else None for key in ("expected", "rel", "abs"))
    if relative is None:
        relative = 1e-6 if absolute is None else 0.0
    return Outcome(value, relative=max(1e-9, _number(relative)), absolute=_number(absolute or 1e-12))


def _number(value: object) -> float:
    if not isinstance(value, (int, float)):
        raise ValueError("a tolerance is a number")
    return float(value)


def _raised(node: ast.With, known: _Env) -> Iterator[tuple[ast.expr, Outcome]]:
    """``with pytest.raises(ValueError): f(1)``."""
    context, inside = node.items[0].context_expr, node.body[0]
    if len(node.items) > 1 or len(node.body) > 1 or not isinstance(inside, (ast.Expr, ast.Assign)):
        return
    if isinstance(context, ast.Call) and last_name(context.func) == "raises" and context.args:
        kinds = _fill(context.args[0], known)
        errors = tuple(map(last_name, kinds.elts if isinstance(kinds, ast.Tuple) else [kinds]))
        if all(errors):
            yield _fill(inside.value, known), Outcome(errors=errors)
