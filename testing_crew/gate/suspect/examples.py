"""The examples that the docstrings of the code give: which call does what."""

from __future__ import annotations

import ast
import doctest
import re
from collections.abc import Iterator

from testing_crew.gate.names import chain_of
from testing_crew.gate.suspect.calls import Module
from testing_crew.gate.suspect.outcome import UNREADABLE, Outcome, contradict, literal

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


def examples(module: Module) -> dict[str, tuple[str, Outcome]]:
    """Each call that a docstring gives an example of → where, and what it says. Examples that disagree are left out."""
    found: dict[str, list[tuple[str, Outcome]]] = {}

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
            key = module.key(call, path_of)
            if key is not None:
                found.setdefault(key, []).append((place, outcome))
    return {
        key: said[0]
        for key, said in found.items()
        if not any(contradict(outcome, said[0][1], module.catches) for _, outcome in said)
    }


def _examples_in(text: str) -> Iterator[tuple[ast.expr, Outcome]]:
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
        except UNREADABLE:
            continue


def _doctest_example(example: doctest.Example) -> Iterator[tuple[ast.expr, Outcome]]:
    source = ast.parse(example.source.strip(), mode="eval").body
    if example.exc_msg is not None:
        yield source, Outcome(errors=(example.exc_msg.partition(":")[0].strip().rpartition(".")[2],))
    elif isinstance(source, ast.Compare) and isinstance(source.ops[0], ast.Eq) and example.want.strip() == "True":
        if len(source.ops) == 1:
            yield source.left, Outcome(literal(source.comparators[0]))
    else:
        yield source, Outcome(literal(ast.parse(example.want.strip(), mode="eval").body))


def _plain_examples(text: str) -> Iterator[tuple[ast.expr, Outcome]]:
    doubtful = False
    for line in text.splitlines():
        matched = _EXAMPLE.match(line)
        if matched is None:
            doubtful = bool(_DOUBT.search(line)) if line.strip() else doubtful
        elif not doubtful:
            yield from _plain_example(matched.group(1).strip())


def _plain_example(text: str) -> Iterator[tuple[ast.expr, Outcome]]:
    """``add(1, 2) -> 3`` and its like."""
    for end in [i + 1 for i, character in enumerate(text) if character == ")"]:
        error, value = _SAYS_ERROR.match(text[end:]), _SAYS.match(text[end:])
        try:
            call = ast.parse(text[:end], mode="eval").body
            if error:
                yield call, Outcome(errors=(error.group(1).rpartition(".")[2],))
            elif value:
                said = ast.parse(value.group(1), mode="eval").body
                if isinstance(said, ast.Tuple) and not value.group(1).startswith("("):
                    return  # "returns 1, 2" may be an enumeration
                # Written by hand, so its last digit may be rounded or cut off.
                digits = [len(d) for d in re.findall(r"\.(\d+)", value.group(1))]
                yield call, Outcome(literal(said), absolute=10.0 ** -min(digits) if digits else 0.0)
        except UNREADABLE:
            continue
        if error or value:
            return
