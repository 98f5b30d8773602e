"""Which expected values of a test file contradict an example in a docstring of the code: perhaps the code is wrong.

A contradiction is claimed only where it is sure: the same call with the same literal arguments, of a function that keeps no
state and reads no clock, no file and no dice. Everything else is passed over in silence.
"""

from __future__ import annotations

import ast
import builtins
import copy
import doctest
import itertools
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from inspect import Parameter, Signature
from typing import TYPE_CHECKING

from testing_crew.failures import clip
from testing_crew.runner.gate_flow import is_fixture
from testing_crew.runner.gate_names import Names, chain_of, last_name, read_names
from testing_crew.runner.gate_repair import cells_of, columns_of
from trace_logger.records import CodeUnderTest

if TYPE_CHECKING:
    from inspect import _ParameterKind

_Path = Callable[[ast.expr], "str | None"]
_Env = dict[str, ast.expr]
_UNREADABLE = (SyntaxError, ValueError, TypeError, ArithmeticError, RecursionError, MemoryError)
_MOST_ROWS = 500
_MOST_NODES = 200
_PURE_MODULES = """
    abc array base64 bisect binascii calendar cmath collections copy dataclasses datetime decimal difflib enum fractions
    functools hashlib heapq html itertools json keyword math numbers operator re statistics string struct textwrap types
    typing typing_extensions unicodedata urllib zlib __future__
"""
_IMPURE_BUILTINS = "print input open id hash exec eval globals vars setattr delattr __import__ breakpoint"
_READING_CALLS = "len sum min max sorted list set tuple dict isinstance range enumerate zip any all str"
_CLOCK = {"now", "today", "utcnow"}
_DECORATORS = {"lru_cache", "cache", "staticmethod", "classmethod"}
_MARKS_THAT_CHANGE_IT = {"usefixtures", "skip", "skipif", "xfail"}

_EXAMPLE = re.compile(
    r"^[\s*•-]*`*(?:(?:e\.g\.|i\.e\.|for example|examples?)[,:]?\s*)?`*(?:assert\s+)?([A-Za-z_][\w.]*\(.*)$",
    re.IGNORECASE,
)
_SAYS = re.compile(r"^`*\s*(?:==|->|→|=>|#\s*(?:=>|->|→|==|returns)?|returns)\s*`*(.+?)`*[.;]?$")
_SAYS_ERROR = re.compile(r"^`*\s*(?:->|→|=>|#)?\s*raises\s+(?:an? )?`*([A-Za-z_][\w.]*)`*[.;]?$")
# Prose after which an example may not be meant as what the code gives now, or not always.
_DOUBT = re.compile(
    r"\b(bugs?|wrong|not|never|incorrect|instead|old|previous\w*|before|until|was|used|version|if|when|unless|with|given)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class _Outcome:
    """What a call is said to do: raise one of ``errors``, give ``value``, or give something as true as ``truth``."""

    value: object = None
    errors: tuple[str, ...] = ()
    truth: bool | None = None
    relative: float = 1e-9
    absolute: float = 0.0

    def expected(self) -> str:
        if self.errors:
            return f"{' or '.join(self.errors)} to be raised"
        return repr(self.value) if self.truth is None else f"a {str(self.truth).lower()} value"

    def said(self) -> str:
        return f"it raises {self.errors[0]}" if self.errors else repr(self.value)


def suspects(code: CodeUnderTest, tests: str) -> tuple[str, ...]:
    """One line for each expectation of ``tests`` that a docstring of ``code`` contradicts."""
    try:
        module = _Module(code)
        said = _examples(module)
        found = [
            f"{label}: expects {clip(outcome.expected())}, the docstring of {place} says {clip(example.said())}"
            for label, key, outcome in (_expectations(code, ast.parse(tests), module) if said else ())
            for place, example in said.get(key, ())
            if _contradict(outcome, example, module)
        ]
    except _UNREADABLE:
        return ()
    return tuple(dict.fromkeys(found))


def _contradict(test: _Outcome, example: _Outcome, module: _Module) -> bool:
    if test.errors and example.errors:
        return not any(module.catches(error, example.errors[0]) for error in test.errors)
    if test.errors or example.errors:
        return True
    if test.truth is not None:
        return bool(example.value) != test.truth
    return not _same(test.value, example.value, test.relative, max(test.absolute, example.absolute))


def _same(left: object, right: object, relative: float, absolute: float) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        try:
            return left == right or math.isclose(left, right, rel_tol=relative, abs_tol=absolute)
        except OverflowError:  # an integer that no float can hold
            return False
    if isinstance(left, (list, tuple)) and isinstance(right, type(left)) and len(left) == len(right):
        return all(_same(a, b, relative, absolute) for a, b in zip(left, right, strict=True))
    if isinstance(left, dict) and isinstance(right, dict) and left.keys() == right.keys():
        return all(_same(left[key], right[key], relative, absolute) for key in left)
    return left == right


def _literal(node: ast.expr) -> object:
    """The value of a literal; raises one of `_UNREADABLE` for anything else."""
    if any(isinstance(n, ast.Constant) and n.value is ... for n in ast.walk(node)):
        raise ValueError("an ellipsis stands for something left out")
    return ast.literal_eval(node)


# -- the code ---------------------------------------------------------------------------------------------------------


class _Module:
    """The functions and classes of the code, as far as calls of them can be compared."""

    def __init__(self, code: CodeUnderTest) -> None:
        self.code = code
        self.tree = ast.parse(code.source)
        self._top: dict[str, ast.AST | None] = {}  # None: given more than once, so nothing is known of it
        for node in self.tree.body:
            for name in _bound(node) or {name for inner in ast.walk(node) for name in _bound(inner)}:
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

    def key(self, call: ast.Call, path_of: _Path) -> str | None:
        """What is called with what, the same text for the same call; None where calls of it cannot be compared."""
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
        return None if arguments is None or not self._is_steady(head) else f"{head}{made}.{name}{arguments}"

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
        skipped -= "staticmethod" in decorators
        return None if decorators - _DECORATORS else _bind(function.args, skipped, call)

    def _is_steady(self, head: str) -> bool:
        """Whether what ``head`` names, and all that it uses, gives the same for the same arguments, as far as can be seen."""
        seen: set[str] = set()
        waiting = [head]
        while waiting:
            name = waiting.pop()
            node = self._top.get(name)
            if name in seen:
                continue
            seen.add(name)
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                if _keeps_state(node):
                    return False
                waiting += _used(node)
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                if not _is_pure_import(node):
                    return False
            elif isinstance(node, (ast.Assign, ast.AnnAssign)):
                if not _is_fixed(node.value) and last_name(getattr(node.value, "func", ast.Name(""))) != "compile":
                    return False  # a list, say, that the code may change as it runs
            elif name in self._top or name in _IMPURE_BUILTINS.split() or not hasattr(builtins, name):
                return False
        return True


def _keeps_state(node: ast.FunctionDef | ast.ClassDef) -> bool:
    """Whether a function or a method leaves something behind for the next call, or asks the clock."""
    outside = _used(node)
    for inner in ast.walk(node):
        if isinstance(inner, (ast.Global, ast.Nonlocal)) or (isinstance(inner, ast.Attribute) and inner.attr in _CLOCK):
            return True
        if isinstance(inner, (ast.Import, ast.ImportFrom)) and not _is_pure_import(inner):
            return True
        if isinstance(inner, ast.arguments) and not all(map(_is_fixed, [*inner.defaults, *inner.kw_defaults])):
            return True
        if isinstance(inner, ast.ClassDef) and not all(
            _is_fixed(n.value) for n in inner.body if isinstance(n, (ast.Assign, ast.AnnAssign))
        ):
            return True
        if isinstance(inner, (ast.Attribute, ast.Subscript)) and not isinstance(inner.ctx, ast.Load):
            root = _root(inner)
            if root in (None, "cls") or root in outside:
                return True
    return False


def _used(part: ast.AST) -> set[str]:
    """The names from outside that ``part`` uses."""
    nodes = list(ast.walk(part))
    local = {name for n in nodes if n is not part for name in _bound(n)}
    return {n.id for n in nodes if isinstance(n, ast.Name)} - local


def _bound(node: ast.AST) -> set[str]:
    """The names that ``node`` itself gives a value."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {node.name}
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    if isinstance(node, ast.Name):
        return set() if isinstance(node.ctx, ast.Load) else {node.id}
    if isinstance(node, ast.arg):
        return {node.arg}
    return {node.name} if isinstance(node, ast.ExceptHandler) and node.name else set()


def _is_pure_import(node: ast.Import | ast.ImportFrom) -> bool:
    modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
    relative = isinstance(node, ast.ImportFrom) and node.level
    return not relative and all(module.partition(".")[0] in _PURE_MODULES.split() for module in modules)


def _is_fixed(value: ast.expr | None) -> bool:
    """Whether nothing can be added to a value afterwards."""
    changing = (ast.List, ast.Dict, ast.Set, ast.Call, ast.ListComp, ast.DictComp, ast.SetComp)
    return value is None or not any(isinstance(n, changing) for n in ast.walk(value))


def _root(node: ast.expr) -> str | None:
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def _bind(parameters: ast.arguments, skipped: int, call: ast.Call) -> str:
    """The literal arguments of ``call`` by the names of their parameters, as text; raises where one is no literal."""
    if any(keyword.arg is None for keyword in call.keywords):
        raise ValueError("what a mapping holds is not known")
    positional = [*parameters.posonlyargs, *parameters.args]
    defaults = [None] * (len(positional) - len(parameters.defaults)) + [*parameters.defaults]
    every = [_parameter(a, Parameter.POSITIONAL_OR_KEYWORD, d) for a, d in zip(positional, defaults, strict=True)][
        skipped:
    ]
    every += [_parameter(parameters.vararg, Parameter.VAR_POSITIONAL)] if parameters.vararg else []
    named = zip(parameters.kwonlyargs, parameters.kw_defaults, strict=True)
    every += [_parameter(a, Parameter.KEYWORD_ONLY, d) for a, d in named]
    every += [_parameter(parameters.kwarg, Parameter.VAR_KEYWORD)] if parameters.kwarg else []
    signature = Signature(every)
    bound = signature.bind(*map(_literal, call.args), **{k.arg or "": _literal(k.value) for k in call.keywords})
    bound.apply_defaults()
    return repr(sorted(bound.arguments.items()))


def _parameter(name: ast.arg, kind: _ParameterKind, default: ast.expr | None = None) -> Parameter:
    try:
        value = Parameter.empty if default is None else _literal(default)
    except _UNREADABLE:
        value = ("the default", ast.dump(default) if default else "")
    return Parameter(name.arg, kind, default=value)


# -- the examples -----------------------------------------------------------------------------------------------------


def _examples(module: _Module) -> dict[str, list[tuple[str, _Outcome]]]:
    """Each call that a docstring gives an example of → where, and what it says. Examples that disagree are left out."""
    found: dict[str, list[tuple[str, _Outcome]]] = {}

    def path_of(node: ast.expr) -> str | None:
        root, chain = chain_of(node)
        dotted = ".".join([getattr(root, "id", ""), *chain])
        own = module.code.module
        return dotted.removeprefix(f"{own}.").removeprefix(f"{own.rpartition('.')[2]}.")

    for node in ast.walk(module.tree):
        if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            continue
        place = module.code.module if isinstance(node, ast.Module) else node.name
        for call, outcome in _examples_in(ast.get_docstring(node) or ""):
            key = _key(module, call, path_of)
            if key is not None:
                found.setdefault(key, []).append((place, outcome))
    agreeing = {
        key: said for key, said in found.items() if not any(_contradict(o, said[0][1], module) for _, o in said)
    }
    return {key: said[:1] for key, said in agreeing.items()}


def _key(module: _Module, call: ast.expr, path_of: _Path) -> str | None:
    try:
        return module.key(call, path_of) if isinstance(call, ast.Call) else None
    except _UNREADABLE:
        return None


def _examples_in(text: str) -> Iterator[tuple[ast.expr, _Outcome]]:
    try:
        parts = doctest.DocTestParser().parse(text)
    except ValueError:
        return
    for part in parts:
        try:
            if isinstance(part, str):
                yield from _plain_examples(part)
            elif not part.options:
                yield from _doctest_example(part)
        except _UNREADABLE:
            continue


def _doctest_example(example: doctest.Example) -> Iterator[tuple[ast.expr, _Outcome]]:
    source = ast.parse(example.source.strip(), mode="eval").body
    if example.exc_msg is not None:
        yield source, _Outcome(errors=(example.exc_msg.partition(":")[0].strip().rpartition(".")[2],))
    elif isinstance(source, ast.Compare) and isinstance(source.ops[0], ast.Eq) and example.want.strip() == "True":
        if len(source.ops) == 1:
            yield source.left, _Outcome(_literal(source.comparators[0]))
    else:
        yield source, _Outcome(_literal(ast.parse(example.want.strip(), mode="eval").body))


def _plain_examples(text: str) -> Iterator[tuple[ast.expr, _Outcome]]:
    doubtful = False
    for line in text.splitlines():
        matched = _EXAMPLE.match(line)
        if matched is None:
            doubtful = bool(_DOUBT.search(line)) if line.strip() else doubtful
        elif not doubtful:
            yield from _plain_example(matched.group(1).strip())


def _plain_example(text: str) -> Iterator[tuple[ast.expr, _Outcome]]:
    """``add(1, 2) -> 3`` and its like."""
    for end in [i + 1 for i, character in enumerate(text) if character == ")"]:
        error, value = _SAYS_ERROR.match(text[end:]), _SAYS.match(text[end:])
        try:
            call = ast.parse(text[:end], mode="eval").body
            if error:
                yield call, _Outcome(errors=(error.group(1).rpartition(".")[2],))
            elif value:
                said = ast.parse(value.group(1), mode="eval").body
                if isinstance(said, ast.Tuple) and not value.group(1).startswith("("):
                    return  # "returns 1, 2" may be an enumeration
                # Written by hand, so its last digit may be rounded or cut off.
                digits = [len(d) for d in re.findall(r"\.(\d+)", value.group(1))]
                yield call, _Outcome(_literal(said), absolute=10.0 ** -min(digits) if digits else 0.0)
        except _UNREADABLE:
            continue
        if error or value:
            return


# -- the tests --------------------------------------------------------------------------------------------------------


def _expectations(code: CodeUnderTest, tree: ast.Module, module: _Module) -> Iterator[tuple[str, str, _Outcome]]:
    """What the tests expect of calls that can be compared: the call as shown, its key, the outcome."""
    names = read_names(code, tree)
    nodes = list(ast.walk(tree))
    if names.foreign or any(_changes_the_world(node, names) for node in nodes):
        return
    rebound = {name for n in nodes if not isinstance(n, (ast.Import, ast.ImportFrom)) for name in _bound(n)}

    def path_of(node: ast.expr) -> str | None:
        return None if _root(node) in rebound else names.inside(node)

    constants = {
        n.targets[0].id: n.value for n in tree.body if isinstance(n, ast.Assign) and isinstance(n.targets[0], ast.Name)
    }
    for test in _tests(tree):
        for row in itertools.islice(_rows(test, constants), _MOST_ROWS):
            for call, outcome in _block(test.body, row):
                key = _key(module, call, path_of)
                if key is not None and isinstance(call, ast.Call):
                    shown = ast.unparse(call)
                    given = shown.partition("(")[2][:-1] if _root(call.func) else shown
                    yield f"{test.name}({clip(given)})", key, outcome


def _changes_the_world(node: ast.AST, names: Names) -> bool:
    """Whether ``node`` may change what the code does for every test of the file."""
    if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
        return names.inside(node) is not None
    if "pytestmark" in _bound(node):
        return True
    if isinstance(node, ast.Module):
        return any(isinstance(n, ast.Expr) and isinstance(n.value, ast.Call) for n in node.body)
    automatic = isinstance(node, ast.FunctionDef) and is_fixture(node)
    return automatic and any(
        k.arg == "autouse" for d in getattr(node, "decorator_list", []) if isinstance(d, ast.Call) for k in d.keywords
    )


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


def _block(body: list[ast.stmt], known: _Env) -> Iterator[tuple[ast.expr, _Outcome]]:
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
    calls = [
        n for n in ast.walk(statement) if isinstance(n, ast.Call) and last_name(n.func) not in _READING_CALLS.split()
    ]
    used = {n.id for call in calls for n in ast.walk(call) if isinstance(n, ast.Name)}
    return {name: value for name, value in known.items() if name not in used or _is_fixed(value)}


def _asserted(test: ast.expr) -> Iterator[tuple[ast.expr, _Outcome]]:
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        for value in test.values:
            yield from _asserted(value)
    elif isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], (ast.Eq, ast.Is)):
        for call, value in ((test.left, test.comparators[0]), (test.comparators[0], test.left)):
            try:
                yield call, _expected(value)
            except _UNREADABLE:
                continue
    elif isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        yield test.operand, _Outcome(truth=False)
    else:
        yield test, _Outcome(truth=True)


def _expected(node: ast.expr) -> _Outcome:
    if not isinstance(node, ast.Call) or last_name(node.func) != "approx":
        return _Outcome(_literal(node))
    given = dict(zip(("expected", "rel", "abs"), node.args, strict=False)) | {
        k.arg or "": k.value for k in node.keywords
    }
    value, relative, absolute = (_literal(given[key]) if key in given else None for key in ("expected", "rel", "abs"))
    if relative is None:
        relative = 1e-6 if absolute is None else 0.0
    return _Outcome(value, relative=max(1e-9, _number(relative)), absolute=_number(absolute or 1e-12))


def _number(value: object) -> float:
    if not isinstance(value, (int, float)):
        raise ValueError("a tolerance is a number")
    return float(value)


def _raised(node: ast.With, known: _Env) -> Iterator[tuple[ast.expr, _Outcome]]:
    """``with pytest.raises(ValueError): f(1)``."""
    context, inside = node.items[0].context_expr, node.body[0]
    if len(node.items) > 1 or len(node.body) > 1 or not isinstance(inside, (ast.Expr, ast.Assign)):
        return
    if isinstance(context, ast.Call) and last_name(context.func) == "raises" and context.args:
        kinds = _fill(context.args[0], known)
        errors = tuple(map(last_name, kinds.elts if isinstance(kinds, ast.Tuple) else [kinds]))
        if all(errors):
            yield _fill(inside.value, known), _Outcome(errors=errors)
