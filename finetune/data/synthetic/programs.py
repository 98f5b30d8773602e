"""Made-up code under test: families with their names, constants, operators and annotations varied."""

from __future__ import annotations

import ast
import random
import re
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from finetune.data.synthetic import names
from finetune.data.synthetic.program import RESERVED, Parameter, Program
from finetune.data.synthetic.random_programs import random_program
from finetune.data.synthetic.values import ANNOTATION
from testing_crew.project.syntax import parse


class _Vary(ast.NodeTransformer):
    """Renames locals and, now and then, changes a constant or an operator, so that no answer can be remembered."""

    _SWAPS: ClassVar[dict[type, type]] = {
        ast.Lt: ast.LtE,
        ast.LtE: ast.Lt,
        ast.Gt: ast.GtE,
        ast.GtE: ast.Gt,
        ast.Add: ast.Sub,
        ast.Sub: ast.Add,
    }

    def __init__(self, rng: random.Random, renames: dict[str, str], change: float) -> None:
        self.rng, self.renames, self.change = rng, renames, change

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = self.renames.get(node.id, node.id)
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.arg = self.renames.get(node.arg, node.arg)
        return node

    def visit_keyword(self, node: ast.keyword) -> ast.AST:
        self.generic_visit(node)
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if self.rng.random() < self.change:
            if type(node.value) is int and node.value not in (0, 1):
                node.value = max(1, node.value + self.rng.choice((-2, -1, 1, 2, 3, 5)))
            elif isinstance(node.value, str) and 0 < len(node.value) < 12 and node.value.isalpha():
                node.value = names.word(self.rng)
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        node.ops = [self._swap(op) for op in node.ops]
        return node

    def _swap(self, op: ast.cmpop) -> ast.cmpop:
        other = self._SWAPS.get(type(op))
        return other() if other and self.rng.random() < self.change / 2 else op


def _locals(function: ast.FunctionDef) -> set[str]:
    return {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, (ast.Store, ast.Del))}


def _parameters(function: ast.FunctionDef, kinds: dict[str, str]) -> tuple[Parameter, ...]:
    args = function.args
    plain = [a for a in args.args if a.arg != "self"]
    first_default = len(plain) - len(args.defaults)
    found = [Parameter(a.arg, kinds.get(a.arg, "int"), i >= first_default) for i, a in enumerate(plain)]
    found += [
        Parameter(a.arg, kinds.get(a.arg, "int"), default is not None, True)
        for a, default in zip(args.kwonlyargs, args.kw_defaults, strict=True)
    ]
    return tuple(found)


def _all_args(function: ast.FunctionDef) -> list[ast.arg]:
    return [a for a in (*function.args.args, *function.args.kwonlyargs) if a.arg != "self"]


def _finish_function(rng: random.Random, function: ast.FunctionDef) -> None:
    """Annotations in plain Python, or none; the docstring kept, or none."""
    keep = rng.random() < 0.6
    for arg in _all_args(function):
        if arg.annotation is not None:
            plain = ANNOTATION.get(ast.unparse(arg.annotation))
            arg.annotation = (ast.Name(plain) if plain else arg.annotation) if keep else None
    if not keep:
        function.returns = None
    if ast.get_docstring(function) and rng.random() < 0.4 and len(function.body) > 1:
        function.body = function.body[1:]


def _renamed(rng: random.Random, function: ast.FunctionDef, kinds: dict[str, str], change: float) -> ast.FunctionDef:
    taken: set[str] = set()
    renames: dict[str, str] = {}
    for name in [a.arg for a in _all_args(function)] + sorted(_locals(function)):
        if rng.random() < 0.6:
            for _ in range(5):
                new = names.argument_name(rng, kinds.get(name, ""))
                if new not in taken and new not in RESERVED:
                    renames[name] = new
                    break
        taken.add(renames.get(name, name))
    if len(set(renames.values()) | (set(_locals(function)) - set(renames))) < len(renames):
        renames = {}
    varied = _Vary(rng, renames, change).visit(function)
    for old in list(kinds):
        kinds[renames.get(old, old)] = kinds[old]
    assert isinstance(varied, ast.FunctionDef)
    return varied


def _kinds(function: ast.FunctionDef) -> dict[str, str]:
    return {a.arg: ast.unparse(a.annotation) for a in _all_args(function) if a.annotation is not None}


def from_function_family(rng: random.Random, source: str) -> Program:
    """One variation of a family of functions."""
    tree = parse(source)
    function = tree.body[0]
    assert isinstance(function, ast.FunctionDef)
    kinds = _kinds(function)
    name = names.function_name(rng)
    function.name = name
    for node in ast.walk(function):  # before a parameter may come to be called f
        if isinstance(node, ast.Name) and node.id == "f":
            node.id = name
    function = _renamed(rng, function, kinds, change=0.35)
    parameters = _parameters(function, kinds)
    _finish_function(rng, function)
    return Program(
        _with_surroundings(rng, ast.unparse(ast.fix_missing_locations(function))),
        names.module_name(rng),
        name,
        parameters,
    )


def from_class_family(rng: random.Random, source: str) -> Program:
    """One variation of a family of classes."""
    tree = parse(source)
    node = tree.body[0]
    assert isinstance(node, ast.ClassDef)
    node.name = names.class_name(rng)
    renames: dict[str, str] = {}
    for method in [n for n in node.body if isinstance(n, ast.FunctionDef) and n.name != "__init__"]:
        if rng.random() < 0.6:
            renames[method.name] = names.word(rng) + rng.choice(("", "", "_all", "_one", "_it"))
    attributes = {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)}
    for attribute in sorted(attributes):
        if rng.random() < 0.5:
            renames[attribute] = names.word(rng)
    if len(set(renames.values())) < len(renames) or set(renames.values()) & RESERVED:
        renames = {}
    methods: list[tuple[str, tuple[Parameter, ...]]] = []
    own = {n.name for n in node.body if isinstance(n, ast.FunctionDef)} | attributes
    for child in ast.walk(node):
        if (
            isinstance(child, ast.Attribute)
            and isinstance(child.value, ast.Name)
            and child.value.id == "self"
            and child.attr in own
        ):
            child.attr = renames.get(child.attr, child.attr)
    parameters: tuple[Parameter, ...] = ()
    for method in [n for n in node.body if isinstance(n, ast.FunctionDef)]:
        kinds = _kinds(method)
        method.name = renames.get(method.name, method.name)
        _Vary(rng, {}, 0.3).visit(method)
        found = _parameters(method, kinds)
        if method.name == "__init__":
            parameters = found
        else:
            methods.append((method.name, found))
        _finish_function(rng, method)
    return Program(
        ast.unparse(ast.fix_missing_locations(node)) + "\n",
        names.module_name(rng),
        node.name,
        parameters,
        tuple(methods),
        True,
    )


_SURROUNDINGS = (
    "import re",
    "import math",
    "from typing import Optional",
    "import os\nimport sys",
    "from collections import Counter",
)


def _with_surroundings(rng: random.Random, function: str) -> str:
    """Some modules import things first."""
    return (rng.choice(_SURROUNDINGS) + "\n\n\n" if rng.random() < 0.15 else "") + function + "\n"


def program(rng: random.Random, functions: list[str], classes: list[str]) -> Program:
    """One program: one in eight a class, three in eight random, else a family varied."""
    pick = rng.random()
    if pick < 0.12 and classes:
        made = from_class_family(rng, rng.choice(classes))
    elif pick < 0.5:
        made = random_program(rng)
    else:
        made = from_function_family(rng, rng.choice(functions))
    return replace(made, source=_double_quoted(made.source)) if rng.random() < 0.7 else made


def _double_quoted(source: str) -> str:
    """``ast.unparse`` writes single quotes; most people write double ones."""
    changed = re.sub(r"'([^'\"\\\n{}]*)'", r'"\1"', source)
    try:
        return changed if ast.dump(parse(changed)) == ast.dump(parse(source)) else source
    except SyntaxError:
        return source


def _families(name: str) -> list[str]:
    """Hand-written everyday code: a function is called ``f``, a class ``C``, and an annotation is a kind of ``values``."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8").split("---\n")


def split_families() -> tuple[tuple[list[str], list[str]], tuple[list[str], list[str]]]:
    """((train functions, classes), (dev functions, classes)): every eighth family is kept for dev."""
    functions, classes = _families("functions.txt"), _families("classes.txt")
    return (
        ([f for i, f in enumerate(functions) if i % 8 != 7], [c for i, c in enumerate(classes) if i % 8 != 7]),
        ([f for i, f in enumerate(functions) if i % 8 == 7], [c for i, c in enumerate(classes) if i % 8 == 7]),
    )
