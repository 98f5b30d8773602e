"""The examples that a docstring gives: what it says of the code, before anything is run."""

from __future__ import annotations

import ast
import doctest
import re
from collections.abc import Iterator

from testing_crew.project.syntax import UNREADABLE, parse_expression

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

Said = tuple[str, str, str, int]
"""The source of a call, what it is said to print, the exception that it is said to raise, the digits that count (-1: all)."""


def said_of(text: str) -> Iterator[Said]:
    """The examples of a docstring, in order: doctests, and lines such as ``add(1, 2) -> 3``."""
    try:
        parts = doctest.DocTestParser().parse(text)
    except ValueError:
        return
    plain: dict[str, list[Said]] = {}
    for part in parts:
        if not isinstance(part, str):
            if not part.options:
                raised = (part.exc_msg or "").partition(":")[0].strip()
                yield part.source, part.want, raised, -1
            continue
        for said in _plain_examples(part):
            plain.setdefault(said[0], []).append(said)
    yield from (every[0] for every in plain.values() if len(set(every)) == 1)  # not where they disagree


def _plain_examples(text: str) -> Iterator[Said]:
    doubtful = False
    for line in text.splitlines():
        matched = _EXAMPLE.match(line)
        if matched is None:
            doubtful = bool(_DOUBT.search(line)) if line.strip() else doubtful
        elif not doubtful:
            yield from _plain_example(matched.group(1).strip())


def _plain_example(text: str) -> Iterator[Said]:
    """``add(1, 2) -> 3`` and its like."""
    for end in [i + 1 for i, character in enumerate(text) if character == ")"]:
        error, value = _SAYS_ERROR.match(text[end:]), _SAYS.match(text[end:])
        try:
            call = ast.unparse(parse_expression(text[:end]))
            if error:
                yield call, "", error.group(1), -1
            elif value:
                said = parse_expression(value.group(1))
                if isinstance(said, ast.Tuple) and not value.group(1).startswith("("):
                    return  # "returns 1, 2" may be an enumeration
                # Written by hand, so its last digit may be rounded or cut off.
                digits = [len(d) for d in re.findall(r"\.(\d+)", value.group(1))]
                yield call, value.group(1), "", min(digits, default=-1)
        except UNREADABLE:
            continue
        if error or value:
            return
