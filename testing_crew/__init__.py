"""TestingCrew writes pytest files for Python code, runs them, and repairs them from what pytest said.

    from testing_crew import TestingCrew

    for event in TestingCrew().run(source, "shop/prices.py"):
        print(event["type"])

Importing this package does nothing; each public name brings in what it needs when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from testing_crew.crew import TestingCrew as TestingCrew
    from testing_crew.tools import CheckTestsTool as CheckTestsTool
    from testing_crew.tools import WriteTestsTool as WriteTestsTool

__all__ = ["CheckTestsTool", "TestingCrew", "WriteTestsTool"]

_HOME = {"TestingCrew": "crew", "WriteTestsTool": "tools", "CheckTestsTool": "tools"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
