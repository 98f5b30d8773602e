"""Which values a parameter takes, judged by its annotation, its default, how the code uses it, and at last its name.

A **kind** is a type as an annotation would say it (``list[int]``), or a format of text (``path``). Each has a fixed row of
telling values: empty and single, zero and negative, equal neighbours, text that an ordinary string would never reach.
"""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from typing import Any

from testing_crew.project.syntax import parse_expression

CANONICAL: dict[str, tuple[Any, ...]] = {
    "int": (0, 1, 2, 5, -1, 10, 7, 100),
    "float": (0.0, 1.0, 2.5, -1.5, 10.0, 0.1),
    "bool": (True, False),
    "str": ("", "a", "hello", "Hello World", "abc123", "  x y  ", "A-b_c"),
    "list[int]": ([], [1], [1, 2, 3], [3, 1, 2], [-1, 0, 1], [2, 2, 5, 5]),
    "list[str]": ([], ["a"], ["a", "b", "c"], ["b", "a", "b"], ["Hello", "world"], ["x", "", "yy"]),
    "list[float]": ([], [1.0], [1.0, 2.0, 3.0], [0.5, -0.5], [2.5, 2.5]),
    "list[list[int]]": ([], [[1]], [[1, 2], [3, 4]], [[], [1, 2]], [[1, 2, 3], [4, 5, 6]]),
    "list[tuple[str, int]]": ([], [("a", 1)], [("a", 1), ("b", 2)], [("b", 3), ("a", 1), ("b", 5)]),
    "tuple[int, int]": ((0, 0), (1, 2), (3, 1), (-1, 4)),
    "set[int]": (set(), {1}, {1, 2, 3}, {2, 5}),
    "dict[str, int]": ({}, {"a": 1}, {"a": 1, "b": 2}, {"x": 0, "y": -1, "z": 5}, {"b": 2, "a": 2}),
    "dict[str, str]": ({}, {"a": "x"}, {"a": "x", "b": "y"}, {"k": "", "name": "Bob"}),
    "bytes": (b"", b"a", b"hello", b"\x00\xff", b"abc 123"),
    # text with a format: what an ordinary string would never reach
    "csv": ("", "a", "a,b,c", "1,2,3", " x , y ", "a,,b"),
    "pairs": ("", "a=1", "a=1;b=2", "x", "k=v=w", "a=1;a=2"),
    "path": ("", "a.txt", "dir/file.py", "/a/b/c", "name", "archive.tar.gz"),
    "url": ("http://example.com", "https://example.com/a/b?x=1#top", "", "example.com/a", "ftp://u@h:21/f", "/a?b=c"),
    "version": ("1.0", "1.2.3", "2", "0.0.1", "1.x", "10.20.30"),
    "date": ("2024-01-15", "2023-12-31", "2024-02-29", "2024-13-01", "bad"),
    "time": ("00:00", "12:30", "23:59", "7:05", "24:00", "noon"),
    "email": ("a@b.com", "user@example.org", "bad", "@x.com", "a@b", ""),
    "number": ("0", "12", "-3", "4.5", "abc", ""),
}
FORMATS = ("csv", "pairs", "path", "url", "version", "date", "time", "email", "number")  # an annotation says ``str``
CALLABLES = ("len", "str", "bool", "lambda x: x", "lambda x: x > 1", "lambda x: x * 2", "lambda x, y: x + y")
ANYTHING = ("1", "'a'", "[1, 2, 3]", "None", "{'a': 1}", "'hello'", "0", "(1, 2)")

_METHODS = {
    "str": "capitalize casefold center encode endswith expandtabs format isalpha isalnum isdigit islower isnumeric isspace "
    "isupper join ljust lower lstrip partition replace rfind rjust rpartition rsplit rstrip split splitlines startswith "
    "strip swapcase title translate upper zfill",
    "dict[str, int]": "items keys values get setdefault popitem update",
    "list[int]": "append extend insert sort reverse",
    "set[int]": "union intersection difference issubset issuperset symmetric_difference discard",
    "bytes": "decode hex",
    "callable": "__name__ __doc__ __call__",
}
_KIND_OF_METHOD = {method: kind for kind, methods in _METHODS.items() for method in methods.split()}
_NAMES = {
    "str": "s string text txt word name line msg message title label prefix suffix sep separator delimiter delim char ch token "
    "content html xml phrase sentence str_ input_string body value_str source code identifier key_name field lang language "
    "encoding unit units symbol string1 string2 s1 s2 a_string st tag attr pattern regex chars alphabet letters",
    "path": "path filename file_name filepath file_path fname dirname directory folder basename pathname",
    "url": "url uri href link address base_url",
    "version": "version ver version_string",
    "date": "date_string datestr date_str",
    "email": "email mail",
    "int": "n i j k m num number count index idx size length width height start stop end step limit year month day hour minute "
    "depth level base amount seconds position offset max_length maxlen total bits digits precision places page port number1 "
    "nb p q r times",
    "float": "ratio rate price weight alpha beta lat lon latitude longitude angle radius theta factor scale temperature fraction "
    "percentage probability epsilon x y z x1 y1 x2 y2",
    "list[int]": "items iterable seq sequence lst arr array nums numbers values xs ys l elements collection it list_ data vals "
    "list1 list2 sorted_list iterator a_list",
    "list[str]": "words lines names strings tokens keys parts args argv tags fields columns labels",
    "list[list[int]]": "matrix grid rows board table lists iterables image",
    "dict[str, int]": "d dic dict_ mapping dictionary counts graph dct obj params options config attrs headers kwargs data_dict "
    "d1 d2 settings metadata properties",
    "callable": "func f fn function callback key predicate pred op operator callable_ cmp keyfunc iteratee g factory",
    "tuple[int, int]": "point pair coords coord pos interval point1 point2 p1 p2 xy span shape",
    "bool": "flag verbose strict reverse reversed ignore_case case_sensitive inplace inclusive force recursive sort unique",
    "bytes": "b buf buffer raw payload byte_string bytes_",
}
_KIND_OF_NAME = {name: kind for kind, names in _NAMES.items() for name in names.split()}
_BASES = {
    "int": "int", "float": "float", "bool": "bool", "str": "str", "bytes": "bytes", "complex": "float", "number": "int",
    "real": "float", "integral": "int", "anystr": "str", "text": "str", "strpath": "path", "pathlike": "path",
    "list": "list[int]", "sequence": "list[int]", "iterable": "list[int]", "collection": "list[int]", "iterator": "list[int]",
    "mutablesequence": "list[int]", "reversible": "list[int]", "container": "list[int]", "deque": "list[int]",
    "tuple": "tuple[int, int]", "set": "set[int]", "frozenset": "set[int]", "abstractset": "set[int]",
    "mutableset": "set[int]", "dict": "dict[str, int]", "mapping": "dict[str, int]", "mutablemapping": "dict[str, int]",
    "defaultdict": "dict[str, int]", "ordereddict": "dict[str, int]", "counter": "dict[str, int]", "callable": "callable",
    "any": "any", "object": "any", "t": "any", "bytearray": "bytes",
}  # fmt: skip
_ITERATED = (
    "len",
    "sorted",
    "enumerate",
    "iter",
    "list",
    "sum",
    "max",
    "min",
    "tuple",
    "set",
    "reversed",
    "zip",
    "any",
    "all",
)
_NUMERIC = ("range", "abs", "round", "int", "float", "divmod", "pow", "hex", "bin", "chr")
_ARITHMETIC = (
    ast.Sub,
    ast.Mult,
    ast.Div,
    ast.FloorDiv,
    ast.Pow,
    ast.Mod,
    ast.LShift,
    ast.RShift,
    ast.BitAnd,
    ast.BitOr,
)

Function = ast.FunctionDef | ast.AsyncFunctionDef


def arguments(function: Function) -> list[ast.arg]:
    """The parameters that have names of their own, in order; a method's ``self`` is one of them."""
    given = function.args
    return [*given.posonlyargs, *given.args, *given.kwonlyargs]


def defaults(function: Function) -> dict[str, ast.expr]:
    """The parameters' defaults by name."""
    given = function.args
    plain = [*given.posonlyargs, *given.args]
    found = dict(zip([a.arg for a in plain[len(plain) - len(given.defaults) :]], given.defaults, strict=True))
    return found | {a.arg: d for a, d in zip(given.kwonlyargs, given.kw_defaults, strict=True) if d is not None}


def kinds(function: Function) -> dict[str, str]:
    """The likeliest kind of each parameter; ``any`` where nothing speaks for one."""
    used = _uses(function)
    given = defaults(function)
    return {a.arg: _kind(a, given.get(a.arg), used[a.arg]) for a in arguments(function)}


def _kind(argument: ast.arg, default: ast.expr | None, used: Counter[str]) -> str:
    said = _annotated(argument.annotation)
    by_name = _named(argument.arg)
    if said and said != "any":
        return by_name if said == "str" and by_name in FORMATS else said
    if isinstance(default, ast.Constant) and default.value is not None:
        said = _of_value(default.value)
        if said:
            return by_name if said == "str" and by_name in FORMATS else said
    if used:
        most = used.most_common(1)[0][0]
        if most == "list[int]" and by_name.startswith(("list", "str", "dict", "set", "tuple", "path")):
            return by_name  # text and mappings are iterated over as well
        return by_name if most == "str" and by_name in FORMATS else most
    return by_name or "any"


def _named(name: str) -> str:
    bare = name.strip("_").lower()
    if bare in _KIND_OF_NAME:
        return _KIND_OF_NAME[bare]
    if bare.startswith(
        ("is_", "has_", "allow_", "use_", "keep_", "ignore_", "include_", "with_", "as_", "skip_", "show_")
    ):
        return "bool"
    for part in reversed(re.split(r"_|\d", bare)):
        if len(part) > 2 and part in _KIND_OF_NAME:
            return _KIND_OF_NAME[part]
    return ""


def _annotated(node: ast.expr | None) -> str:
    if node is None:
        return ""
    if isinstance(node, ast.Constant):
        try:
            return _annotated(parse_expression(node.value)) if isinstance(node.value, str) else ""
        except SyntaxError:
            return ""
    if isinstance(node, ast.BinOp):
        return _annotated(node.left) or _annotated(node.right)
    if isinstance(node, ast.Subscript):
        head = ast.unparse(node.value).rpartition(".")[2].lower()
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if head in ("optional", "union", "annotated", "final", "classvar"):
            return next((kind for part in inner if (kind := _annotated(part))), "")
        kind = _BASES.get(head, "")
        parts = [_annotated(part) for part in inner]
        if not parts:
            return kind
        if kind == "list[int]" and parts[0] in ("str", "float"):
            return f"list[{parts[0]}]"
        if kind == "list[int]" and parts[0].startswith("list"):
            return "list[list[int]]"
        if kind == "list[int]" and parts[0].startswith("tuple"):
            return "list[tuple[str, int]]"
        if kind == "dict[str, int]" and len(parts) > 1 and parts[1] == "str":
            return "dict[str, str]"
        return kind
    return _BASES.get(ast.unparse(node).rpartition(".")[2].lower(), "")


def _of_value(value: object) -> str:
    kind = type(value).__name__
    return kind if kind in ("int", "float", "bool", "str", "bytes") else ""


def _uses(function: Function) -> dict[str, Counter[str]]:
    """For each parameter the kinds that the code's use of it speaks for, with how often."""
    names = {a.arg for a in arguments(function)}
    found: dict[str, Counter[str]] = defaultdict(Counter)

    def says(node: ast.AST, kind: str, weight: int = 1) -> None:
        if isinstance(node, ast.Name) and node.id in names:
            found[node.id][kind] += weight

    for node in ast.walk(function):
        if isinstance(node, ast.Attribute) and node.attr in _KIND_OF_METHOD:
            says(node.value, _KIND_OF_METHOD[node.attr], 3)
        elif isinstance(node, ast.Call):
            _call(node, says)
        elif isinstance(node, (ast.For, ast.comprehension)):
            says(node.iter, "list[int]")
        elif isinstance(node, ast.Subscript):
            says(node.value, "list[int]")
        elif isinstance(node, ast.BinOp):
            _operation(node, says)
        elif isinstance(node, ast.Compare):
            for side, other in ((node.left, node.comparators[0]), (node.comparators[0], node.left)):
                if isinstance(other, ast.Constant):
                    says(side, _of_value(other.value) or "any", 2 if _of_value(other.value) else 0)
                elif isinstance(other, (ast.Tuple, ast.List, ast.Set)) and other.elts and side is node.left:
                    first = other.elts[0]
                    says(side, _of_value(first.value) or "any", 2) if isinstance(first, ast.Constant) else None
    return found


def _call(node: ast.Call, says: Any) -> None:
    name = ast.unparse(node.func).rpartition(".")[2]
    says(node.func, "callable", 4)
    for keyword in node.keywords:
        if keyword.arg == "key":
            says(keyword.value, "callable", 2)
    if not node.args:
        return
    if name == "isinstance" and len(node.args) == 2:
        first = node.args[1].elts[0] if isinstance(node.args[1], ast.Tuple) and node.args[1].elts else node.args[1]
        said = _annotated(first)
        says(node.args[0], said or "any", 3 if said else 0)
    elif name in ("map", "filter", "reduce", "filterfalse", "takewhile", "dropwhile", "callable"):
        says(node.args[0], "callable", 2)
        for other in node.args[1:]:
            says(other, "list[int]")
    elif name in _ITERATED and isinstance(node.func, ast.Name):
        for other in node.args:
            says(other, "list[int]")
    elif name in _NUMERIC and isinstance(node.func, ast.Name):
        says(node.args[0], "int", 2)
    elif isinstance(node.func, ast.Attribute):
        owner = ast.unparse(node.func.value)
        if owner in ("math", "cmath"):
            says(node.args[0], "float", 2)
        elif owner in ("re", "os.path", "posixpath", "ntpath", "unicodedata", "html", "shlex"):
            for other in node.args:
                says(other, "path" if "path" in owner else "str", 2)


def _operation(node: ast.BinOp, says: Any) -> None:
    for side, other in ((node.left, node.right), (node.right, node.left)):
        if isinstance(other, (ast.JoinedStr, ast.Constant)) and isinstance(node.op, ast.Add):
            says(side, "str" if isinstance(other, ast.JoinedStr) else _of_value(other.value) or "any", 2)
        elif isinstance(node.op, _ARITHMETIC) and not (isinstance(node.op, ast.Mod) and side is node.right):
            texts = isinstance(other, ast.Constant) and isinstance(other.value, str)
            says(side, "str" if texts else "int", 1)
