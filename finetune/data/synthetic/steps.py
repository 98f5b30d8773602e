"""A bound on made-up code, counted in steps and not by a clock: a call that is too slow is so on every machine, however busy."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, ParamSpec, TypeVar

MADE_UP = "<made up>"  # the file name that made-up code is compiled under: only its lines are counted
MOST_STEPS = 50_000

P = ParamSpec("P")
T = TypeVar("T")


class TooSlow(BaseException):
    """Made-up code went on for too long. No ``except Exception`` of its own catches it."""


def bounded(function: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
    """Call ``function``. Raises TooSlow when it takes more than `MOST_STEPS` lines, calls and returns of made-up code.

    A single step that does not end, such as ``10**10**10``, is not noticed.
    """
    taken = 0

    def enter(frame: FrameType, event: str, argument: Any) -> Any:
        return step(frame, event, argument) if frame.f_code.co_filename == MADE_UP else None

    def step(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal taken
        taken += 1
        if taken > MOST_STEPS:
            raise TooSlow
        return step

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        return function(*args, **named)
    finally:
        sys.settrace(before)
