"""What a test file does to its target in place of testing it: seen in its text alone.

Each rule yields a reason and its line. A rule fires on what replaces the unit under test itself, never on what replaces
something that it uses: tests stub files, clocks and networks for a living.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import PurePath

from testing_crew.gate.flow import Flow, is_fixture
from testing_crew.gate.names import Names, chain_of, last_name

_Function = (ast.FunctionDef, ast.AsyncFunctionDef)
_REAL_LOADERS = {"module_from_spec", "import_module", "reload", "__import__", "load_module", "importorskip"}
_WRITING_METHODS = {"write_text", "write_bytes", "unlink", "touch", "symlink_to", "hardlink_to"}
_WRITING_FUNCTIONS = {"remove", "unlink", "rename", "replace", "copy", "copy2", "copyfile", "move", "truncate"}
_PATH_NAMES = {"Path", "pathlib", "os", "open", "str", "__file__", "inspect", "shutil", "io"}


def objections(tree: ast.Module, names: Names, flow: Flow) -> Iterator[tuple[str, int]]:
    """The reasons against ``tree`` that its text alone gives, each at most once, with the line of the first that fires."""
    values = _assigned(tree)
    rules: dict[str, Iterator[ast.AST]] = {
        "redefines_target": _redefinitions(tree, names, flow),
        "stubs_module": (node for node in ast.walk(tree) if _stubs(node, names, values)),
        "patches_target": (node for node in ast.walk(tree) if _patches(node, names)),
        "edits_source": (node for node in ast.walk(tree) if _edits(node, names, values)),
        "always_equal": (node for node in ast.walk(tree) if _is_always_equal(node)),
        "reads_bytecode": (n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and n.attr.startswith("co_")),
    }
    for reason, nodes in rules.items():
        if (first := next(nodes, None)) is not None:
            yield reason, getattr(first, "lineno", 1)


# -- another thing under the unit's name ------------------------------------------------------------------------------


def _redefinitions(tree: ast.Module, names: Names, flow: Flow) -> Iterator[ast.AST]:
    reachable = bool(names.modules) or any(path.partition(".")[0] in names.heads for path in names.members.values())
    if names.foreign and not reachable:
        imports = (
            n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and names.heads & {a.name for a in n.names}
        )
        yield next(imports, tree)
    yield from (node for node in _top(tree.body) if _takes_name(node, names, flow, local=False))
    yield from (
        node
        for outer in ast.walk(tree)
        if isinstance(outer, _Function) and names.code.unit
        for node in ast.walk(outer)
        if node is not outer and _takes_name(node, names, flow, local=True)
    )


def _top(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        yield node
        if isinstance(node, (ast.If, ast.Try, ast.With)):
            for block in ("body", "orelse", "finalbody"):
                yield from _top(getattr(node, block, []))
            for handler in getattr(node, "handlers", []):
                yield from _top(handler.body)


def _takes_name(node: ast.AST, names: Names, flow: Flow, *, local: bool) -> bool:
    if isinstance(node, _Function):
        return node.name in names.heads and not is_fixture(node)
    if isinstance(node, ast.ClassDef):
        return node.name in names.heads and not any(flow.touches(base) for base in node.bases)
    if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
        return False
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    if not any(isinstance(t, ast.Name) and t.id in names.heads for t in targets):
        return False
    if isinstance(node.value, ast.Lambda):
        return not flow.touches(node.value)
    # In a function, ``area = 12.5`` is a value like any other; so is a literal at the top of the file.
    return not local and isinstance(node.value, (ast.Name, ast.Attribute, ast.Call)) and not flow.touches(node.value)


# -- another module in its place --------------------------------------------------------------------------------------


def _assigned(tree: ast.Module) -> dict[str, list[ast.expr]]:
    """Every plain name of the file → what it is given anywhere in it."""
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        pairs: list[tuple[ast.expr | None, ast.expr]] = []
        if isinstance(node, ast.Assign):
            pairs = [(target, node.value) for target in node.targets]
        elif isinstance(node, (ast.With, ast.AsyncWith)):
            pairs = [(item.optional_vars, item.context_expr) for item in node.items]
        for target, value in pairs:
            if isinstance(target, ast.Name):
                found.setdefault(target.id, []).append(value)
    return found


def _is_sys_modules(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return node.value == "sys.modules"
    return isinstance(node, ast.Attribute) and node.attr == "modules" and last_name(node.value).endswith("sys")


def _stubs(node: ast.AST, names: Names, values: dict[str, list[ast.expr]]) -> bool:
    pairs: list[tuple[ast.expr, ast.expr]] = []
    if isinstance(node, ast.Assign):
        places = [t for t in node.targets if isinstance(t, ast.Subscript) and _is_sys_modules(t.value)]
        pairs = [(place.slice, node.value) for place in places]
    elif isinstance(node, ast.Call):
        called, arguments = last_name(node.func), node.args
        receiver = node.func.value if isinstance(node.func, ast.Attribute) else None
        if called in ("setitem", "dict") and arguments and _is_sys_modules(arguments[0]):
            pairs = _pairs(arguments[1:], node.keywords)
        elif called in ("setdefault", "__setitem__", "update") and receiver is not None and _is_sys_modules(receiver):
            pairs = _pairs(arguments, node.keywords)
    return any(_is_target_key(key, names) and not _is_real(value, values) for key, value in pairs)


def _pairs(arguments: list[ast.expr], keywords: list[ast.keyword]) -> list[tuple[ast.expr, ast.expr]]:
    pairs: list[tuple[ast.expr, ast.expr]] = [(ast.Constant(k.arg), k.value) for k in keywords if k.arg]
    if len(arguments) == 2:
        pairs.append((arguments[0], arguments[1]))
    for mapping in arguments:
        if isinstance(mapping, ast.Dict):
            pairs += [(key, value) for key, value in zip(mapping.keys, mapping.values, strict=True) if key is not None]
    return pairs


def _is_target_key(key: ast.expr, names: Names) -> bool:
    """Whether a key of ``sys.modules`` is the target's, or may be."""
    if not isinstance(key, ast.Constant):
        return True
    own, text = names.code.module, str(key.value)
    return text == own or own.startswith(f"{text}.") or own.endswith(f".{text}")


def _is_real(value: ast.expr, values: dict[str, list[ast.expr]]) -> bool:
    """Whether ``value`` is a module that the import system made, or None, which only forbids an import."""
    if isinstance(value, ast.Constant) and value.value is None:
        return True
    sources = values.get(value.id, []) if isinstance(value, ast.Name) else [value]
    return any(
        last_name(n.func) in _REAL_LOADERS if isinstance(n, ast.Call) else _is_sys_modules(n)
        for source in sources
        for n in ast.walk(source)
    )


# -- the unit itself patched ------------------------------------------------------------------------------------------


def _patches(node: ast.AST, names: Names) -> bool:
    if names.code.unit is None:
        return False  # in a whole module, one function is stubbed to test another
    if isinstance(node, ast.Assign):
        return any(isinstance(t, ast.Attribute) and names.inside(t) == names.code.unit for t in node.targets)
    if not isinstance(node, ast.Call) or not node.args or any(k.arg == "wraps" for k in node.keywords):
        return False
    called, first = last_name(node.func), node.args[0]
    if called == "patch" or (called in ("setattr", "delattr") and isinstance(first, (ast.Constant, ast.JoinedStr))):
        return _is_target_text(first, names)
    if called in ("setattr", "delattr", "object") and len(node.args) > 1:
        attribute, path = node.args[1], names.inside(first)
        name = attribute.value if isinstance(attribute, ast.Constant) else None
        return path is not None and isinstance(name, str) and f"{path}.{name}".lstrip(".") == names.code.unit
    if called == "multiple":
        whole = names.inside(first) == "" or names.mentioned(getattr(first, "value", None))
        return whole and any(k.arg == names.code.unit for k in node.keywords)
    return False


def _is_target_text(node: ast.expr, names: Names) -> bool:
    """Whether ``"pkg.mod.add"``, or ``f"{mod.__name__}.add"``, names the unit."""
    unit = names.code.unit or ""
    if isinstance(node, ast.JoinedStr) and node.values:
        last = node.values[-1]
        return isinstance(last, ast.Constant) and str(last.value) == f".{unit}"
    if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or not node.value.endswith(f".{unit}"):
        return False
    return names.relation(node.value.removesuffix(f".{unit}")) != "far"


# -- objects that agree with everything ---------------------------------------------------------------------------------


def _is_always_equal(node: ast.AST) -> bool:
    """Whether a class says that it equals whatever it is compared with."""
    if not isinstance(node, ast.ClassDef):
        return False
    methods = [m for m in node.body if isinstance(m, ast.FunctionDef) and m.name == "__eq__"]
    returned = [n.value for m in methods for n in ast.walk(m) if isinstance(n, ast.Return)]
    return bool(returned) and all(isinstance(value, ast.Constant) and value.value is True for value in returned)


# -- files of the project written -------------------------------------------------------------------------------------


def _edits(node: ast.AST, names: Names, values: dict[str, list[ast.expr]]) -> bool:
    if not isinstance(node, ast.Call):
        return False
    called = last_name(node.func)
    receiver = node.func.value if isinstance(node.func, ast.Attribute) else None
    module_call = isinstance(receiver, ast.Name) and receiver.id in ("os", "shutil")
    if called == "open":
        modes = [*node.args, *(k.value for k in node.keywords)]
        writes = any(isinstance(m, ast.Constant) and m.value in _WRITE_MODES for m in modes)
        places = ([receiver] if receiver is not None else []) + node.args[:1]
        return writes and any(_is_protected(place, names, values) for place in places)
    if called in _WRITING_METHODS and receiver is not None and not module_call:
        return _is_protected(receiver, names, values)
    if called in _WRITING_FUNCTIONS and module_call:
        return any(_is_protected(place, names, values) for place in node.args)
    return False


_WRITE_MODES = {f"{a}{b}{c}" for a in "wax" for b in ("", "b", "t") for c in ("", "+")} | {"r+", "rb+", "r+b", "w+b"}


def _is_protected(place: ast.expr, names: Names, values: dict[str, list[ast.expr]], depth: int = 0) -> bool:
    """Whether ``place`` is the target's file or a ``conftest.py`` of the project, as far as its text tells."""
    parts = list(ast.walk(place))
    if depth < 4:
        inner = [v for p in parts if isinstance(p, ast.Name) for v in values.get(p.id, [])]
        if any(_is_protected(value, names, values, depth + 1) for value in inner):
            return True
    for part in parts:
        if isinstance(part, ast.Attribute) and part.attr in ("__file__", "__spec__") and names.inside(part.value) == "":
            return True
        if isinstance(part, ast.Call) and last_name(part.func) in ("getsourcefile", "getfile"):
            return any(names.inside(a) is not None for a in part.args)
    roots = {chain_of(p)[0] for p in parts if isinstance(p, (ast.Name, ast.Attribute))}
    if any(isinstance(root, ast.Name) and root.id not in _PATH_NAMES for root in roots):
        return False  # below a folder that the test was given or made
    own = PurePath(names.code.path or f"{names.code.module.rpartition('.')[2]}.py").name
    texts = [p.value for p in parts if isinstance(p, ast.Constant) and isinstance(p.value, str)]
    return any(PurePath(text).name in ("conftest.py", own) for text in texts)
