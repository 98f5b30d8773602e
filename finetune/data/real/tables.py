"""From what came of real calls to the tests that training shows: few rows, each of which tells something of its own."""

from __future__ import annotations

import ast
import builtins
from collections import Counter
from dataclasses import replace
from typing import Any

from finetune.data.synthetic.classes import Step
from finetune.data.synthetic.program import Parameter, Program
from finetune.data.synthetic.tables import Row, Table
from testing_crew.project.syntax import parse_expression
from testing_crew.snapshot.inputs import Class, Inputs

Outcome = dict[str, Any]

MOST_ROWS = 6
_LEAST_ROWS = 3  # where there are as many: of those that give the same, too
_MOST_RAISED = 3
_MOST_ACCIDENTS = 6
_LONGEST_MESSAGE = 90  # characters
_MOST_STEPS = 8
_MOST_LOOKS = 4
# What a call with values of the wrong type raises: no test that anybody wants, unless the code says so itself.
_ACCIDENTS = {
    "TypeError", "AttributeError", "NameError", "UnboundLocalError", "RecursionError", "ImportError", "SystemError",
    "NotImplementedError", "AssertionError", "ModuleNotFoundError", "OSError", "FileNotFoundError", "PermissionError",
}  # fmt: skip


class Code:
    """An argument that is no literal, such as ``len``: written as it stands, shown by pytest as its repr."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.shown = (
            "<function <lambda> at 0x...>" if text.startswith("lambda") else repr(getattr(builtins, text, text))
        )

    def __repr__(self) -> str:
        return self.text


def value_of(text: str) -> Any:
    """The literal of a text, or the text as code."""
    try:
        return ast.literal_eval(parse_expression(text.lstrip(" \t")))
    except (ValueError, TypeError, SyntaxError, MemoryError):
        return set() if text == "set()" else Code(text)


def of_function(program: Program, inputs: Inputs, outcomes: list[Outcome]) -> Table | None:
    """The table of a function's calls; None where they tell too little."""
    pairs = list(zip(inputs.rows, outcomes, strict=True))
    returned = [(row, o) for row, o in pairs if "value" in o]
    lazy = sum(bool(o.get("lazy")) for _, o in returned)
    if lazy:
        returned = [(row, o) for row, o in returned if o.get("lazy")]
    picked: list[tuple[tuple[str, ...], Outcome]] = []
    seen: set[str] = set()
    for row, o in returned:
        if o["value"] not in seen and len(picked) < MOST_ROWS:
            seen.add(o["value"])
            picked.append((row, o))
    for row, o in returned:
        if len(picked) < _LEAST_ROWS and (row, o) not in picked:
            picked.append((row, o))
    raised: list[Row] = []
    accidents: list[Row] = []
    own: set[str] = set()
    for row, o in pairs:
        meant = "raises" in o and (o["known"] or o["own"]) and _is_meant(o["raises"], program.source)
        if "raises" in o and not meant and o["known"] and len(o["message"]) <= _LONGEST_MESSAGE:
            accidents.append(Row(tuple(map(value_of, row)), raises=o["raises"], message=o["message"]))
        if meant and len(raised) < _MOST_RAISED and sum(r.raises == o["raises"] for r in raised) < 2:
            raised.append(Row(tuple(map(value_of, row)), raises=o["raises"], message=o["message"]))
            own |= {o["raises"]} if o["own"] else set()
    if len(seen) < 2 and not (picked and raised):
        return None
    picked.sort(key=lambda pair: inputs.rows.index(pair[0]))
    rows = tuple(Row(tuple(map(value_of, row)), value_of(o["value"])) for row, o in picked)
    parameters = tuple(Parameter(n, "", False, n in inputs.keyword) for n in inputs.names)
    return Table(
        replace(program, parameters=parameters),
        inputs.names,
        rows,
        tuple(raised),
        inputs.keyword,
        "list" if lazy else "",
        star=inputs.star,
        beside=tuple(sorted(own)),
        accidents=tuple(accidents[:_MOST_ACCIDENTS]),
    )


def _is_meant(name: str, source: str) -> bool:
    return name not in _ACCIDENTS or f"raise {name}" in source


def snippets_of_class(found: Class) -> list[tuple[str, str, str, list[str]]]:
    """(the method's name, how the object is made, what is done with it, what is looked at) of each call that is tried."""
    made = [found.made.call(found.name, row) for row in found.made.rows]
    looks = _looks(found)
    tried = [("", text, "obj", looks) for text in made]
    for text in made[:3]:
        for name, inputs in found.methods[:10]:
            for row in inputs.rows[:3]:
                tried.append((name, text, _subject(name, inputs, row), looks))
    return tried


def _looks(found: Class) -> list[str]:
    return [f"obj.{name}" for name in found.state[:_MOST_LOOKS]]


def _subject(name: str, inputs: Inputs, row: tuple[str, ...]) -> str:
    if name in ("__len__", "__str__", "__repr__"):
        return f"{name.strip('_')}(obj)"
    if name in ("__contains__", "__getitem__", "__eq__"):
        return {"__contains__": f"{row[0]} in obj", "__getitem__": f"obj[{row[0]}]", "__eq__": f"obj == {row[0]}"}[name]
    return f"obj.{inputs.call(name, row)}"


def of_class(program: Program, found: Class, outcomes: list[Outcome]) -> list[Step] | None:
    """One test for the state of a new object and up to two for each method; None where they tell too little."""
    tried = snippets_of_class(found)
    fresh: dict[str, list[str | None]] = {}
    useful: Counter[str] = Counter()
    for (method, made, _, looks), o in zip(tried, outcomes, strict=True):
        if "raises" in o:
            continue
        if not method:
            fresh[made] = o.get("after") or [None] * len(looks)
        elif made in fresh and ("value" in o or o.get("after")):
            useful[made] += 1
    if not fresh:
        return None
    best = max(fresh, key=lambda made: (useful[made], len([v for v in fresh[made] if v is not None])))
    name = f"test_{program.unit.lower()}"
    steps = [
        Step(f"{name}_{look.removeprefix('obj.')}", best, (), look, value_of(value))
        for look, value in zip(_looks(found), fresh[best], strict=False)
        if value is not None
    ][:2]
    per_method: Counter[str] = Counter()
    values: set[tuple[str, str]] = set()
    for (method, made, subject, looks), o in zip(tried, outcomes, strict=True):
        if not method or made != best or per_method[method] == 2 or len(steps) == _MOST_STEPS:
            continue
        step = _step(f"{name}_{method.strip('_')}", made, subject, looks, o, fresh[best], program.source)
        if step is None or (method, repr((step.value, step.raises))) in values:
            continue
        values.add((method, repr((step.value, step.raises))))
        per_method[method] += 1
        steps.append(step if per_method[method] == 1 else replace(step, name=f"{step.name}_2"))
    told = {repr((s.value, s.raises)) for s in steps}
    return steps if len(steps) > 1 and len(told) > 1 and any(per_method.values()) else None


def _step(
    name: str, made: str, subject: str, looks: list[str], o: Outcome, fresh: list[str | None], source: str
) -> Step | None:
    if "raises" in o:
        meant = o["known"] and _is_meant(o["raises"], source)
        return Step(f"{name}_raises", made, (), subject, raises=o["raises"]) if meant else None
    if o.get("lazy") and "value" in o:
        return Step(name, made, (), f"list({subject})", value_of(o["value"]))
    if o.get("value") not in (None, "None"):
        return Step(name, made, (), subject, value_of(o["value"]))
    for look, after, before in zip(looks, o.get("after") or [], fresh, strict=False):
        if after is not None and after != before:
            return Step(name, made, (subject,), look, value_of(after))
    return None
