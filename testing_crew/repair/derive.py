"""Tests from what the code says of itself: the examples of its docstrings, before anything that was only observed in a run."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterable, Iterator, Mapping

from testing_crew.gate.examples import examples
from testing_crew.project.documented import Said
from testing_crew.project.syntax import UNREADABLE, parse, parse_expression
from testing_crew.repair.origins import claim_of, expectations
from trace_logger.records import CodeUnderTest

_NO_NAME = re.compile(r"\W")


def derived(code: CodeUnderTest) -> str:
    """A test file with a test for each docstring of the unit that gives examples; empty where there is nothing to claim."""
    tail = code.module.rpartition(".")
    own = {name: f"from {code.module} import {name}" for name in _names(parse(code.source).body)}
    own.setdefault(tail[2], f"from {tail[0]} import {tail[2]}" if tail[0] else f"import {tail[2]}")
    imports: set[str] = set()
    tests: dict[str, str] = {}
    for place, given in examples(code):
        body, names, claims = _body(given, own)
        name = f"test_{_NO_NAME.sub('_', place).strip('_').lower()}_documented"
        if claims and names <= own.keys() and name not in tests:
            imports |= {own[each] for each in names}
            tests[name] = "\n".join([f"def {name}():", *("    " + line for part in body for line in part.split("\n"))])
    if not tests:
        return ""
    head = ["import pytest"] * any("pytest." in test for test in tests.values()) + sorted(imports)
    return "\n\n\n".join(["\n".join(head), *tests.values()]) + "\n"


def _names(body: Iterable[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names if alias.name != "*")


def _body(given: list[Said], own: Mapping[str, str]) -> tuple[list[str], set[str], int]:
    """The lines of a test, the names that it needs from outside, and how many claims it makes; none where it cannot be read."""
    body: list[str] = []
    bound = {"pytest", *dir(builtins)} - own.keys()
    needed: set[str] = set()
    claims = 0
    for source, want, error, digits in given:
        try:
            parsed = parse(source.strip())
        except UNREADABLE:
            return [], set(), 0
        names = [n for n in ast.walk(parsed) if isinstance(n, ast.Name)]
        here = {n.id for n in names if not isinstance(n.ctx, ast.Load)} | set(_names(parsed.body))
        here |= {n.arg for n in ast.walk(parsed) if isinstance(n, ast.arg)}
        needed |= {n.id for n in names if isinstance(n.ctx, ast.Load)} - bound - (here - own.keys())
        bound |= here
        text = ast.unparse(parsed)
        if error:
            name = error.rpartition(".")[2]
            if name not in own and not hasattr(builtins, name):
                return [], set(), 0
            needed |= {name} - bound
            text = "\n    ".join([f"with pytest.raises({name}):", *text.split("\n")])
            claims += 1
        elif want.strip() and len(parsed.body) == 1 and isinstance(parsed.body[0], ast.Expr):
            claim = _claim(parsed.body[0].value, want.strip(), digits)
            claims += claim is not None
            text = claim or text
        body.append(text)
    return body, needed, claims


def _claim(call: ast.expr, want: str, digits: int) -> str | None:
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "print":
        return None
    try:
        expected = parse_expression(want)
        value = ast.literal_eval(expected)
    except (*UNREADABLE, TypeError):
        return None
    if isinstance(value, float) and digits >= 0:  # written by hand: its last digit may be cut off
        expected = parse_expression(f"pytest.approx({want}, abs={10.0**-digits})")
    same = ast.Is() if value is None or isinstance(value, bool) else ast.Eq()
    return f"assert {ast.unparse(ast.Compare(call, [same], [expected]))}"


def without(tests: str, names: set[str]) -> str:
    """The file without the test functions of ``names``; empty where no other is left, or none is of that name."""
    tree = parse(tests)
    kept = [node for node in tree.body if getattr(node, "name", None) not in names]
    if len(kept) == len(tree.body) or not any(isinstance(node, ast.FunctionDef) for node in kept):
        return ""
    return ast.unparse(ast.Module(kept, [])) + "\n"


def pins_contradicted(code: CodeUnderTest, tests: str, suspects: Iterable[str]) -> bool:
    """Whether ``tests`` expect what the code does of a call of which its docstring says something else (``suspects``)."""
    given = (example for _, said in examples(code) for example in said)
    wrong = dict(
        claim
        for example in given
        if any(each.startswith(f"{example[0].strip()} ") for each in suspects) and (claim := claim_of(example))
    )
    tests_of = [node for node in ast.walk(parse(tests)) if isinstance(node, ast.FunctionDef)] if wrong else []
    return any(call in wrong and want != wrong[call] for test in tests_of for call, want in expectations(test))
