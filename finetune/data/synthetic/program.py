"""A made-up module to test: its source, and what the generator knows about its parameters."""

from __future__ import annotations

import builtins
import keyword
from dataclasses import dataclass

RESERVED = {*keyword.kwlist, *dir(builtins), "self"}  # names that made-up code must not take


@dataclass(frozen=True)
class Parameter:
    """A parameter: its name, the kind of its values, and how it may be passed."""

    name: str
    kind: str
    has_default: bool = False
    keyword_only: bool = False


@dataclass(frozen=True)
class Program:
    """A module with one function or class to test."""

    source: str
    module: str
    unit: str
    parameters: tuple[Parameter, ...] = ()
    methods: tuple[tuple[str, tuple[Parameter, ...]], ...] = ()
    is_class: bool = False
