"""How values, messages and rows are written in a report. Runs inside the target's interpreter.

PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import inspect
import re

import pytest

LONGEST = 2_000
_NOT_RAISED = re.compile(r"DID NOT RAISE (?!<class|\(<class|any of \(<class)(any of )?\(?([\w., ]+)\)?")

_NODE = re.compile(r"^In \S*::(?=\w+: )")
_NOT_MATCHED = re.compile(r"^(Regex pattern did not match\.) Regex: (.*) Input: (.*)$")


def clip(text: str) -> str:
    """``text`` cut to what a report may hold of one value."""
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def safe_repr(value: object) -> str:
    """The repr of ``value``, or a word about why it has none."""
    try:
        return clip(repr(value))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        return f"<{type(value).__name__} whose repr raised {type(error).__name__}>"


def one_line(error: BaseException) -> str:
    """The message of ``error`` on one line, in one form for all versions of pytest."""
    try:
        text = str(error)
    except Exception as broken:
        text = f"<message that raised {type(broken).__name__}>"
    flat = " ".join(text.split())
    if isinstance(error, pytest.fail.Exception):
        flat = _NODE.sub("In ", _NOT_RAISED.sub(_with_classes, flat))
    elif isinstance(error, AssertionError):
        flat = _NOT_MATCHED.sub(r"\1 Expected regex: \2 Actual message: \3", flat)
    return clip(flat)


def _with_classes(match: re.Match[str]) -> str:
    """pytest 9 names the classes alone; earlier versions, and our readers, have their reprs."""
    names = [name.strip().rpartition(".")[2] for name in match[2].removesuffix(" exception").split(",")]
    if names == ["any"]:
        names = ["Exception"]
    shown = ", ".join(f"<class '{name}'>" for name in names)
    return f"DID NOT RAISE any of ({shown})" if match[1] else f"DID NOT RAISE {shown}"


def row_of(item: pytest.Item) -> str | None:
    """The parametrized values of ``item`` as they would be written in the file."""
    values: dict[str, object] = getattr(getattr(item, "callspec", None), "params", {})
    if not values:
        return None
    try:
        order = [
            name for name in inspect.signature(getattr(item, "function", None) or len).parameters if name in values
        ]
    except (TypeError, ValueError):
        order = []
    return "(" + ", ".join(safe_repr(values[name]) for name in order or values) + ")"
