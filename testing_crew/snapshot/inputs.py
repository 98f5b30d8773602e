"""Calls that tell something of a function or class, read from its text: what its docstring calls, what its own constants divide.

Arguments are texts of expressions, so that a test file can be written from them; nothing is run here.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from testing_crew.project.documented import said_of
from testing_crew.project.syntax import UNREADABLE, parse, parse_expression
from testing_crew.snapshot.kinds import ANYTHING, CALLABLES, CANONICAL, FORMATS, Function, arguments, defaults, kinds

LONGEST = 60  # characters of one argument
_LARGEST = 10**6
_MOST_CONSTANTS = 4
_STAR = ("(1, 2)", "()", "('a', 'b')", "(3,)", "([1, 2], [3])", "('a', 1)")
_LOOKING = ("startswith", "endswith", "split", "partition", "find", "rpartition", "strip")
_SPECIAL = ("__len__", "__contains__", "__getitem__", "__eq__", "__repr__", "__str__")
_Functions = (ast.FunctionDef, ast.AsyncFunctionDef)

Row = tuple[str, ...]


@dataclass(frozen=True)
class Inputs:
    """Calls of one function as the rows of a table, whose columns are ``names``.

    ``keyword`` names are passed by name, ``star`` is the one that holds all further positional arguments. ``said`` has what the
    docstring says of a row: the text of its result, or the exception's name with a ``!`` before it.
    """

    names: tuple[str, ...]
    rows: tuple[Row, ...]
    keyword: frozenset[str] = frozenset()
    star: str = ""
    said: dict[Row, str] = field(default_factory=dict)

    def call(self, name: str, values: Sequence[str] = ()) -> str:
        """The call as code: of ``values``, else of the column's names."""
        shown = values or self.names
        given = [self._argument(n, v, bool(values)) for n, v in zip(self.names, shown, strict=True)]
        return f"{name}({', '.join(text for text in given if text)})"

    def _argument(self, name: str, text: str, written_out: bool) -> str:
        if name == self.star:
            return text[1:-1].rstrip(",") if written_out else f"*{text}"
        return f"{name}={text}" if name in self.keyword else text


def definition(tree: ast.Module, unit: str) -> Function | ast.ClassDef | None:
    """The unit's node in the code that is shown."""
    for nodes in (tree.body, ast.walk(tree)):  # one in a class may have the same name
        found = [n for n in nodes if isinstance(n, (*_Functions, ast.ClassDef)) and n.name == unit]
        if found:
            return found[-1]
    return None


def of_function(function: Function, tree: ast.Module, most: int, docs: str = "") -> Inputs | None:
    """At most ``most`` calls of ``function``, a part of ``tree``; None where it cannot be called by what is known here.

    ``docs`` are further docstrings that may call it.
    """
    bound = arguments(function)
    given = defaults(function)
    likely = kinds(function)
    pools: dict[str, list[str]] = {}
    usual: dict[str, str] = {}
    for argument in bound:
        name = argument.arg
        if name in ("self", "cls") and argument is bound[0]:
            continue
        if name in given:
            usual[name] = ast.unparse(given[name])
            if not _is_literal(given[name]):
                continue  # a name of the module's: left to itself
        pools[name] = _pool(likely[name], function, tree, usual.get(name))
    star = function.args.vararg.arg if function.args.vararg else ""
    if star:
        pools[star] = list(_STAR)
    if not pools:
        return None
    names = tuple(pools)
    keyword = frozenset(a.arg for a in function.args.kwonlyargs if a.arg in pools)
    if star:  # what stands before it must be passed by position
        skipped = [a.arg for a in bound if a.arg not in pools and a.arg not in ("self", "cls")]
        if any(a.arg in skipped for a in (*function.args.posonlyargs, *function.args.args)):
            return None
    elif any(a.arg in usual and a.arg not in pools for a in bound):
        first = next(i for i, a in enumerate(bound) if a.arg in usual and a.arg not in pools)
        keyword |= frozenset(a.arg for a in bound[first:] if a.arg in pools)
    made = Inputs(names, (), keyword, star)
    known = dict(_documented(function, made, usual, docs))
    rows = list(known)
    for i in range(4 * most):
        row = tuple(_value(pools[n], usual.get(n), i, j) for j, n in enumerate(names))
        if row not in rows:
            rows.append(row)
        if len(rows) >= most:
            break
    said = {row: text for row, text in known.items() if text}
    return _without_idle(Inputs(names, tuple(rows[:most]), keyword, star, said), usual)


def _value(pool: list[str], usual: str | None, i: int, j: int) -> str:
    """The fixed rows walk each column's values at a pace of its own; an optional one is left at its default every other time."""
    if usual is not None and i % 2 == 0:
        return usual
    return pool[(i * (1 + 2 * (j % 2)) + j) % len(pool)]


def _without_idle(made: Inputs, usual: dict[str, str]) -> Inputs:
    """Without the columns at the end that have their default in every row: nobody would write them."""
    keep = len(made.names)
    while keep > 1 and made.names[keep - 1] in usual and made.names[keep - 1] != made.star:
        if {row[keep - 1] for row in made.rows} != {usual[made.names[keep - 1]]}:
            break
        keep -= 1
    said = {row[:keep]: text for row, text in made.said.items()}
    rows = tuple(dict.fromkeys(row[:keep] for row in made.rows))
    return Inputs(made.names[:keep], rows, made.keyword & set(made.names[:keep]), made.star, said)


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except (*UNREADABLE, TypeError):
        return False
    return len(ast.unparse(node)) <= LONGEST


def _pool(kind: str, function: Function, tree: ast.Module, usual: str | None) -> list[str]:
    """The texts of values that a parameter of ``kind`` is tried with."""
    if kind == "callable":
        return list(CALLABLES)
    fixed = [repr(v) if v != set() else "set()" for v in CANONICAL.get(kind, ())] or list(ANYTHING)
    own: list[str] = []
    if kind in ("int", "float"):
        numbers = list(dict.fromkeys(_numbers(function)))[:_MOST_CONSTANTS]
        own = [repr(n + step) for n in numbers for step in (0, -1, 1)]
    elif kind == "str" or kind in FORMATS:
        own = [repr(text) for text in list(dict.fromkeys(_texts(function, tree)))[: 2 * _MOST_CONSTANTS]]
    mixed = [text for pair in zip(fixed, own, strict=False) for text in pair]
    longer = fixed[len(own) :] + own[len(fixed) :]
    every = dict.fromkeys([*([usual] if usual and usual != "None" else []), *mixed, *longer])
    return list(every)


def _numbers(function: Function) -> Iterator[int]:
    for node in ast.walk(function):
        parts: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
        elif isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mod, ast.FloorDiv)):
            parts = [node.right]
        for part in parts:
            if isinstance(part, ast.Constant) and type(part.value) is int and 1 < abs(part.value) < _LARGEST:
                yield part.value


def _texts(function: Function, tree: ast.Module) -> Iterator[str]:
    """Texts that the function compares with, looks up, or looks for."""
    named = {n.id for n in ast.walk(function) if isinstance(n, ast.Name)}
    tables = [
        n.value
        for n in tree.body
        if isinstance(n, ast.Assign) and isinstance(n.targets[0], ast.Name) and n.targets[0].id in named
    ]
    for node in [*ast.walk(function), *tables]:
        parts: list[ast.expr | None] = []
        if isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
            parts += [e for c in node.comparators if isinstance(c, (ast.Tuple, ast.List, ast.Set)) for e in c.elts]
        elif isinstance(node, ast.Dict):
            parts = list(node.keys)[:_MOST_CONSTANTS]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _LOOKING:
            parts = [e for a in node.args for e in (a.elts if isinstance(a, ast.Tuple) else [a])]
        for part in parts:
            if isinstance(part, ast.Constant) and isinstance(part.value, str) and 0 < len(part.value) <= LONGEST // 2:
                text = part.value
                yield text if not isinstance(node, ast.Call) or len(text) > 2 else f"a{text}b"


def _documented(function: Function, made: Inputs, usual: dict[str, str], docs: str) -> Iterator[tuple[Row, str]]:
    """The rows that docstrings call, each with what is said of it; empty where nothing is that can be compared."""
    texts = (ast.get_docstring(function) or "", docs)
    for source, want, error, digits in (said for text in texts for said in said_of(text)):
        try:
            node = parse_expression(source.strip())
        except UNREADABLE:
            continue
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("list", "tuple"):
            node = node.args[0] if len(node.args) == 1 else node
        if not isinstance(node, ast.Call) or ast.unparse(node.func).rpartition(".")[2] != function.name:
            continue
        row = _bound(node, made, usual)
        if row is not None:
            known = error or _is_literal_text(want)
            yield row, (f"!{error}" if error else want.strip()) if known and digits == -1 else ""


def _is_literal_text(text: str) -> bool:
    try:
        return _is_literal(parse_expression(text.strip()))
    except UNREADABLE:
        return False


def _bound(call: ast.Call, made: Inputs, usual: dict[str, str]) -> Row | None:
    """The call as a row; None where it passes what a row cannot hold."""
    positional = [n for n in made.names if n not in made.keyword and n != made.star]
    if any(isinstance(a, ast.Starred) for a in call.args) or any(k.arg is None for k in call.keywords):
        return None
    if any(not (_is_literal(a) or isinstance(a, ast.Lambda)) for a in (*call.args, *(k.value for k in call.keywords))):
        return None
    plain = [ast.unparse(a) for a in call.args]
    found = dict(zip(positional, plain, strict=False))
    rest = plain[len(positional) :]
    if made.star:
        found[made.star] = f"({', '.join(rest)}{',' if len(rest) == 1 else ''})"
    elif rest:
        return None
    found |= {str(k.arg): ast.unparse(k.value) for k in call.keywords}
    if set(found) - set(made.names):
        return None
    row = tuple(found.get(n, usual.get(n, "")) for n in made.names)
    return row if all(row) and all(len(text) <= LONGEST for text in row) else None


@dataclass(frozen=True)
class Class:
    """How a class is made and what its public methods are called with; ``state`` names what its objects show of themselves."""

    name: str
    made: Inputs
    methods: tuple[tuple[str, Inputs], ...]
    state: tuple[str, ...]


def of_class(node: ast.ClassDef, tree: ast.Module, most: int) -> Class | None:
    """At most ``most`` calls of the class and of each of its public methods; None where it is not known how one is made."""
    own = {n.name: n for n in node.body if isinstance(n, _Functions)}
    docs = ast.get_docstring(node) or ""
    init = own.get("__init__") or own.get("__new__") or _fields(node)
    if init is None:
        return None
    called = ast.copy_location(ast.FunctionDef(node.name, init.args, init.body, [], None), init)
    if len(arguments(called)) <= 1 and not called.args.vararg:
        made: Inputs | None = Inputs((), ((),))
    else:
        made = of_function(called, tree, most, docs)
    if made is None or any(
        isinstance(d, ast.Name) and d.id == "abstractmethod" for f in own.values() for d in f.decorator_list
    ):
        return None
    methods = []
    for name, function in own.items():
        shown = not name.startswith("_") or name in _SPECIAL
        if not shown or function.decorator_list or isinstance(function, ast.AsyncFunctionDef):
            continue
        alone = len(arguments(function)) == 1 and not function.args.vararg
        found = Inputs((), ((),)) if alone else of_function(function, tree, most, docs)
        if found is not None:
            methods.append((name, found))
    return Class(node.name, made, tuple(methods), tuple(_state(node, own)))


def _fields(node: ast.ClassDef) -> ast.FunctionDef | None:
    """The ``__init__`` that a dataclass or a named tuple is given; an empty one for a class without bases."""
    decorated = any(
        "dataclass" in ast.unparse(d) or ast.unparse(d).startswith(("attr", "define")) for d in node.decorator_list
    )
    named = any(ast.unparse(base).rpartition(".")[2] == "NamedTuple" for base in node.bases)
    if not decorated and not named:
        return None if node.bases or node.decorator_list else _init([])
    return _init([n for n in node.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)])


def _init(fields: list[ast.AnnAssign]) -> ast.FunctionDef | None:
    head = "".join(
        f", {ast.unparse(f.target)}: {ast.unparse(f.annotation)}" + (f" = {ast.unparse(f.value)}" if f.value else "")
        for f in fields
    )
    try:
        made = parse(f"def __init__(self{head}): ...").body[0]
    except SyntaxError:  # keyword-only fields, inherited order
        return None
    return made if isinstance(made, ast.FunctionDef) else None


def _state(node: ast.ClassDef, own: dict[str, Function]) -> list[str]:
    """The public attributes that its methods set, its properties, and a dataclass's fields."""
    found = [
        n.attr
        for f in own.values()
        for n in ast.walk(f)
        if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store) and ast.unparse(n.value) == "self"
    ]
    found += [f.name for f in own.values() if any(ast.unparse(d) == "property" for d in f.decorator_list)]
    found += [n.target.id for n in node.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)]
    return [name for name in dict.fromkeys(found) if not name.startswith("_")]
