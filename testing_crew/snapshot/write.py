"""A test file from a prompt's text alone: first the calls with their results left open, then with what the run said of them.

What the docstring says of a call stands in the first file already, and is never replaced: where the code does otherwise, the row
fails on.
"""

from __future__ import annotations

import ast
import builtins
import re

from testing_crew.project.code import parts
from testing_crew.project.syntax import UNREADABLE, parse, parse_expression
from testing_crew.snapshot.inputs import Class, Inputs, definition, of_class, of_function

ROWS = 8  # of a function
_CALLS = 2  # of a method, and ways to make an object
_STATE = 3  # attributes that are looked at
_OPEN = "None"  # stands for a result that is not known yet
_NOTED_ROW = re.compile(r"    (.+),(?:  # (got|raised) (.+))?")
_NOTED_CLAIM = re.compile(rf"(    assert .+ == ){_OPEN}  # got (.+)")
_RAISED = re.compile(r"(\w+)\(\): raised (\w+)")
_LAZY = re.compile(r"<(generator|map|filter|zip|enumerate|reversed|itertools|\w+_iterator)\b")
_TABLE = '@pytest.mark.parametrize("'


def first(code: str) -> str:
    """The first test file for the code that a prompt shows; empty where it is not known how it can be called."""
    module, unit, tree = _read(code)
    node = definition(tree, unit) if unit else _only(tree)
    if isinstance(node, ast.ClassDef):
        known = of_class(node, tree, _CALLS)
        tests = _class_tests(known) if known else []
    else:
        inputs = of_function(node, tree, ROWS) if node is not None else None
        tests = _tables(node.name, inputs) if node is not None and inputs else []
    if node is None or not tests:
        return ""
    return "\n\n\n".join([f"import pytest\nfrom {module} import {node.name}", *tests]) + "\n"


def _read(code: str) -> tuple[str, str, ast.Module]:
    module, unit, _ = parts(code)
    try:
        tree = parse(code)
    except UNREADABLE:
        tree = ast.Module([], [])
    return module, unit, tree


def _only(tree: ast.Module) -> ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | None:
    found = [n for n in tree.body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))]
    return found[-1] if found else None


def _tables(name: str, inputs: Inputs) -> list[str]:
    raising = {row: text[1:] for row, text in inputs.said.items() if text.startswith("!")}
    rows = [(*row, inputs.said.get(row, _OPEN)) for row in inputs.rows if row not in raising]
    tests = [_table(f"test_{name}", [*inputs.names, "expected"], rows, [f"assert {inputs.call(name)} == expected"])]
    for number, error in enumerate(dict.fromkeys(raising.values()), 1):
        group = [row for row in raising if raising[row] == error]
        tests.append(_raises(f"test_{name}", number, error, list(inputs.names), group, inputs.call(name)))
    return tests if rows else tests[1:]


def _table(name: str, names: list[str], rows: list[tuple[str, ...]], body: list[str]) -> str:
    lines = [f'{_TABLE}{", ".join(names)}", [']
    lines += [f"    {row[0] if len(names) == 1 else '(' + ', '.join(row) + ')'}," for row in rows]
    return "\n".join([*lines, "])", f"def {name}({', '.join(names)}):", *("    " + line for line in body)])


def _raises(name: str, number: int, error: str, names: list[str], rows: list[tuple[str, ...]], call: str) -> str:
    suffix = "" if number == 1 else f"_{number}"
    return _table(f"{name}_raises{suffix}", names, rows, [f"with pytest.raises({error}):", f"    {call}"])


def _class_tests(known: Class) -> list[str]:
    made = known.made.call(known.name, known.made.rows[0])
    name = f"test_{known.name.lower()}"
    looks = [f"obj.{attribute}" for attribute in known.state[:_STATE]]
    tests = [_plain(name, made, [], looks)] if looks else []
    for method, inputs in known.methods:
        for number, row in enumerate(inputs.rows[:_CALLS], 1):
            shown = method.strip("_")
            call = (
                f"{shown}(obj)" if method in ("__len__", "__str__", "__repr__") else f"obj.{inputs.call(method, row)}"
            )
            suffix = "" if number == 1 else f"_{number}"
            tests.append(_plain(f"{name}_{shown}{suffix}", made, [f"result = {call}"], ["result", *looks]))
    return tests


def _plain(name: str, made: str, steps: list[str], looks: list[str]) -> str:
    seen = looks[0] if len(looks) == 1 else f"({', '.join(looks)})"
    return "\n".join([f"def {name}():", *(f"    {s}" for s in (f"obj = {made}", *steps, f"assert {seen} == {_OPEN}"))])


def mended(code: str, failed: str, log: str) -> str:
    """``failed``, which has the notes of ``prompt.notes`` beside its rows, with the results that the run gave."""
    module, _, tree = _read(code)
    raised = {name: error for line in log.splitlines() if (m := _RAISED.match(line)) for name, error in [m.groups()]}
    known = {n.name for n in ast.walk(tree) if isinstance(n, ast.ClassDef)} | {
        a.asname or a.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names
    }
    head, *tests = failed.strip("\n").split("\n\n\n")
    made: list[str] = []
    needed: set[str] = set()
    for test in tests:
        for part in _mended_table(test) if test.startswith(_TABLE) else [_mended_plain(test, raised)]:
            errors = {name for name in re.findall(r"pytest\.raises\((\w+)\)", part) if not hasattr(builtins, name)}
            if part and errors <= known:
                needed |= errors
                made.append(part)
    imported = dict.fromkeys(
        [*re.findall(r"\w+", head.partition(f"from {module} import ")[2].partition("\n")[0]), *sorted(needed)]
    )
    return "\n\n\n".join([f"import pytest\nfrom {module} import {', '.join(imported)}", *made]) + "\n"


def _mended_table(test: str) -> list[str]:
    """A table with its results; then one for each exception that its rows raised."""
    lines = test.split("\n")
    end = lines.index("])") if "])" in lines else 0
    names = lines[0].removeprefix(_TABLE).partition('"')[0].split(", ")
    if not end or names[-1] != "expected":
        return [re.sub(r"  # (?:got|raised|did not raise).*", "", test)]
    kept: list[str] = []
    raising: dict[str, list[tuple[str, ...]]] = {}
    lazy = False
    for line in lines[1:end]:
        noted = _NOTED_ROW.fullmatch(line)
        cells = _cells(noted[1]) if noted else []
        if noted is None or noted[2] is None:
            kept.append(line)
        elif cells[-1:] != [_OPEN]:
            kept.append(f"    {noted[1]},")  # what the docstring says stands
        elif noted[2] == "raised":
            raising.setdefault(noted[3], []).append(tuple(cells[:-1]))
        elif _LAZY.match(noted[3]):
            lazy = True
            kept.append(f"    {noted[1]},")
        elif _is_literal(noted[3]):
            kept.append(f"    ({', '.join([*cells[:-1], noted[3]])}),")
    name, call = re.sub(r"\(.*", "", lines[end + 1].removeprefix("def ")), lines[end + 2].strip()
    call = call.removeprefix("assert ").removesuffix(" == expected")
    body = [lines[end + 1], f"    assert list({call}) == expected" if lazy else lines[end + 2]]
    tests = ["\n".join([lines[0], *kept, "])", *body])] if kept else []
    shown = f"list({call})" if lazy else call
    for number, (error, rows) in enumerate(raising.items(), 1):
        tests.append(_raises(name, number, error, names[:-1], rows, shown))
    return tests


def _mended_plain(test: str, raised: dict[str, str]) -> str:
    lines = test.split("\n")
    name = re.sub(r"\(.*", "", lines[0].removeprefix("def "))
    if name in raised:
        steps = [line.strip() for line in lines[1:] if not line.strip().startswith("assert")]
        return "\n".join([lines[0], f"    with pytest.raises({raised[name]}):", *(f"        {s}" for s in steps)])
    noted = _NOTED_CLAIM.fullmatch(lines[-1])
    if noted is None:
        return test
    return "\n".join([*lines[:-1], noted[1] + noted[2]]) if _is_literal(noted[2]) else ""


def _cells(row: str) -> list[str]:
    try:
        node = parse_expression(row)
    except (SyntaxError, ValueError):
        return []
    return [ast.get_source_segment(row, e) or "" for e in node.elts] if isinstance(node, ast.Tuple) else [row]


def _is_literal(text: str) -> bool:
    try:
        ast.literal_eval(parse_expression(text.lstrip(" \t")))
    except (*UNREADABLE, TypeError):
        return text == "set()"
    return True
