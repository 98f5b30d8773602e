"""Random programs: functions put together from typed pieces, so that nothing about them can be remembered."""

from __future__ import annotations

import random
from collections.abc import Callable

from finetune.data.synthetic import names
from finetune.data.synthetic.program import RESERVED, Parameter, Program

_TYPES = ("int", "str", "list[int]", "list[str]", "bool", "dict[str, int]", "float")


class _Builder:
    """Builds expressions of a wanted type over the variables in scope."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.scope: dict[str, str] = {}

    def variable(self, kind: str) -> str | None:
        have = [n for n, k in self.scope.items() if k == kind]
        return self.rng.choice(have) if have else None

    def expression(self, kind: str, depth: int) -> str:
        variable = self.variable(kind)
        if depth <= 0 or (variable and self.rng.random() < 0.4):
            return variable or self.constant(kind)
        return self.rng.choice(_FORMS[kind])(self, depth - 1)

    def constant(self, kind: str) -> str:
        rng = self.rng
        made: dict[str, Callable[[], str]] = {
            "int": lambda: str(rng.randint(0, 12)),
            "str": lambda: repr(rng.choice(("", "-", "x", " ", "_", names.word(rng)))),
            "bool": lambda: rng.choice(("True", "False")),
            "list[int]": lambda: "[" + ", ".join(str(rng.randint(0, 9)) for _ in range(rng.randint(0, 3))) + "]",
            "list[str]": lambda: repr([names.word(rng) for _ in range(rng.randint(0, 2))]),
            "dict[str, int]": lambda: repr({names.word(rng): rng.randint(0, 9) for _ in range(rng.randint(0, 2))}),
            "float": lambda: str(round(rng.uniform(0, 5), 1)),
        }
        return made[kind]()


_Form = Callable[[_Builder, int], str]


def _form(template: str) -> _Form:
    """A builder for a template such as ``{int} + {int}``; ``K`` is a small constant."""
    parts = template.replace("{", "}").split("}")

    def build(builder: _Builder, depth: int) -> str:
        out = ""
        for i, part in enumerate(parts):
            if i % 2 == 0:
                out += part
            elif part == "K":
                out += str(builder.rng.randint(1, 9))
            elif part == "C":
                out += repr(builder.rng.choice("aeioxyz-_ ,"))
            else:
                piece = builder.expression(part, depth)
                out += f"({piece})" if " " in piece and not piece.endswith((")", "]", '"', "'")) else piece
        return out

    return build


_TEMPLATES = {
    "int": (
        "{int} + {int}",
        "{int} - {int}",
        "{int} * {K}",
        "{int} % {K}",
        "{int} // {K}",
        "len({str})",
        "len({list[int]})",
        "abs({int})",
        "max({int}, {int})",
        "min({int}, {int})",
        "sum({list[int]})",
        "{str}.count({C})",
        "{str}.find({C})",
        "len({list[str]})",
        "len({dict[str, int]})",
    ),
    "str": (
        "{str} + {str}",
        "{str}.upper()",
        "{str}.lower()",
        "{str}.strip()",
        "{str}[::-1]",
        "{str}.replace({C}, {C})",
        "{str}.title()",
        "str({int})",
        "{C}.join({list[str]})",
        "{str}[:{K}]",
        "{str}[{K}:]",
        "{str} * {K}",
        "{str}.zfill({K})",
    ),
    "list[int]": (
        "sorted({list[int]})",
        "{list[int]}[::-1]",
        "[x * {K} for x in {list[int]}]",
        "[x for x in {list[int]} if x > {K}]",
        "[x + {int} for x in {list[int]}]",
        "{list[int]} + {list[int]}",
        "{list[int]}[:{K}]",
        "[len(w) for w in {list[str]}]",
        "list(range({K}))",
        "sorted(set({list[int]}))",
        "list({dict[str, int]}.values())",
        "[x % {K} for x in {list[int]}]",
    ),
    "list[str]": (
        "{str}.split()",
        "{str}.split({C})",
        "sorted({list[str]})",
        "[w.upper() for w in {list[str]}]",
        "{list[str]} + [{str}]",
        "[w for w in {list[str]} if w]",
        "list({str})",
        "[str(x) for x in {list[int]}]",
        "sorted({dict[str, int]})",
        "{list[str]}[::-1]",
    ),
    "bool": (
        "{int} > {int}",
        "{int} == {int}",
        "{str}.startswith({C})",
        "not {bool}",
        "{C} in {str}",
        "{int} in {list[int]}",
        "{int} % {K} == 0",
        "{bool} and {bool}",
        "{bool} or {bool}",
        "{str}.isalpha()",
        "bool({list[int]})",
        "{str} in {dict[str, int]}",
    ),
    "float": (
        "{float} + {float}",
        "{float} * {K}",
        "{int} / {K}",
        "round({float}, 1)",
        "float({int})",
        "{float} - {float}",
        "abs({float})",
    ),
}
_FORMS: dict[str, list[_Form]] = {kind: [_form(t) for t in templates] for kind, templates in _TEMPLATES.items()}
_FORMS["dict[str, int]"] = [  # their own braces are in the way of a template
    lambda b, d: "{w: len(w) for w in " + b.expression("list[str]", d) + "}",
    lambda b, d: "dict(" + b.expression("dict[str, int]", d) + ")",
    lambda b, d: (
        "{k: v + " + str(b.rng.randint(1, 9)) + " for k, v in " + b.expression("dict[str, int]", d) + ".items()}"
    ),
    lambda b, d: "{c: i for i, c in enumerate(" + b.expression("str", d) + ")}",
]


def random_program(rng: random.Random) -> Program:
    """A function of random statements over one to three typed parameters."""
    builder = _Builder(rng)
    parameters: list[Parameter] = []
    for _ in range(rng.choice((1, 1, 2, 2, 3))):
        kind = rng.choice(_TYPES)
        name = names.argument_name(rng, kind)
        if name in builder.scope or name in RESERVED:
            name = f"{name}{len(parameters) + 1}"
        builder.scope[name] = kind
        parameters.append(Parameter(name, kind, has_default=False))
    returns = rng.choice(_TYPES)
    lines: list[str] = []
    if rng.random() < 0.25:
        exception = rng.choice(("ValueError", "TypeError", "KeyError", "RuntimeError", "IndexError"))
        lines += [
            f"if {builder.expression('bool', 1)}:",
            f"    raise {exception}({' '.join(names.word(rng) for _ in range(2))!r})",
        ]
    for _ in range(rng.choice((0, 1, 1, 2))):
        kind = rng.choice(_TYPES)
        local = names.argument_name(rng, kind)
        if local in builder.scope or local in RESERVED:
            continue
        form = rng.random()
        if form < 0.6:
            lines.append(f"{local} = {builder.expression(kind, 2)}")
        elif form < 0.8:
            kind = "int"
            lines += [f"{local} = {builder.constant('int')}", f"for x in {builder.expression('list[int]', 1)}:"]
            lines += (
                [f"    if x > {rng.randint(0, 5)}:", f"        {local} += x"]
                if rng.random() < 0.5
                else [f"    {local} += x"]
            )
        else:
            lines += [f"if {builder.expression('bool', 1)}:", f"    {local} = {builder.expression(kind, 1)}"]
            lines += ["else:", f"    {local} = {builder.expression(kind, 1)}"]
        builder.scope[local] = kind
    if rng.random() < 0.4:
        lines += [f"if {builder.expression('bool', 1)}:", f"    return {builder.expression(returns, 1)}"]
    lines.append(f"return {builder.expression(returns, 2)}")
    name = names.function_name(rng)
    annotated = rng.random() < 0.6
    signature = ", ".join(f"{p.name}: {p.kind}" if annotated else p.name for p in parameters)
    body = "\n".join("    " + line for line in lines)
    return Program(f"def {name}({signature}):\n{body}\n", names.module_name(rng), name, tuple(parameters))
