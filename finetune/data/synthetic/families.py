"""Hand-written families of everyday code, in ``functions.txt`` and ``classes.txt``; ``programs`` varies them.

A function is called ``f``, a class ``C``. A parameter's annotation is a kind of ``values``: ``csv``, ``path``, ``date`` and the
like mean a str with that format.
"""

from __future__ import annotations

from pathlib import Path


def functions() -> list[str]:
    """The source of each family of functions."""
    return _read("functions.txt")


def classes() -> list[str]:
    """The source of each family of classes."""
    return _read("classes.txt")


def _read(name: str) -> list[str]:
    return Path(__file__).with_name(name).read_text(encoding="utf-8").split("---\n")
