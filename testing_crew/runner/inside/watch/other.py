"""What mutants call: another value of the same type, and the exception of a target whose functions only raise.

Runs inside the target's interpreter; standard library only. The runner puts ``other`` and ``TargetDisabled`` among the
builtins, as ``__testing_crew_other__`` and ``__testing_crew_disabled__``.
PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import copy
import dataclasses
import datetime
import enum
import math
from collections import deque
from collections.abc import Callable, Generator
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePath
from types import GeneratorType
from typing import Any

changed = 0  # how many values were replaced: a mutant that never replaced one shows no difference
_DAY = datetime.timedelta(days=1)
_DEEPEST = 4  # of records in records
_SAME = object()  # there is no other value


class TargetDisabled(BaseException):
    """Raised by every function of a disabled target; no ``except Exception`` catches it."""


def other(value: Any) -> Any:
    """A value of the type of ``value`` that is not equal to it; ``value`` itself where none is known. Never raises."""
    global changed
    try:
        found = _other(value, 0)
    except Exception:  # a constructor, a comparison or a repr of the target's own
        return value
    if found is _SAME:
        return value
    changed += not isinstance(value, GeneratorType)  # that one counts for itself, once it runs
    return found


def _other(value: Any, depth: int) -> Any:
    """As ``other``, but ``_SAME`` where none is known; may raise."""
    if value is None or value is NotImplemented or value is Ellipsis or isinstance(value, type) or depth > _DEEPEST:
        return _SAME
    if isinstance(value, bool):
        return not value
    if isinstance(value, GeneratorType):
        return _SAME if depth else _without_first(value)  # inside a record the original would be spent by the copy
    found = _SAME
    if isinstance(value, enum.Enum):
        found = _next_member(value)
    elif dataclasses.is_dataclass(value):
        record: Any = value
        names = [field.name for field in dataclasses.fields(record) if field.init]
        found = _with_field(record, names, lambda changes: dataclasses.replace(record, **changes), depth)
    elif isinstance(value, tuple):
        found = _tuple(value, depth)
    else:
        for kinds, change in _CHANGES:
            if isinstance(value, kinds):
                found = change(value)
                break
    if found is _SAME:
        return _SAME
    if type(found) is not type(value):
        found = type(value)(found)  # a subclass whose arithmetic gives the plain type
    return found if type(found) is type(value) and found != value else _SAME


def _next_member(value: enum.Enum) -> Any:
    members = list(type(value))
    if value in members:
        members = [*members[members.index(value) + 1 :], *members]
    return next((member for member in members if member is not value), _SAME)


def _with_field(value: Any, names: list[str], replaced: Callable[[dict[str, Any]], Any], depth: int) -> Any:
    """``value`` with the first of its fields changed that can be."""
    for name in names:
        try:
            found = _other(getattr(value, name), depth + 1)
            if found is not _SAME:
                return replaced({name: found})
        except Exception:  # the record refuses this value; the next field may do
            continue
    return _SAME


def _tuple(value: tuple[Any, ...], depth: int) -> Any:
    """One element changed, since the length of a tuple is mostly part of what it means; else one dropped."""
    if hasattr(value, "_replace") and hasattr(value, "_fields"):
        return _with_field(value, list(value._fields), lambda changes: value._replace(**changes), depth)
    for index, element in enumerate(value):
        try:
            found = _other(element, depth + 1)
        except Exception:
            continue
        if found is not _SAME:
            return (*value[:index], found, *value[index + 1 :])
    return value[1:] if value else (None,)


def _without_first(values: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    global changed
    for _ in values:
        changed += 1
        break
    return (yield from values)


def _float(value: float) -> float:
    if not math.isfinite(value):
        return 0.0
    return value + 1.0 if value + 1.0 != value else value / 2.0


def _complex(value: complex) -> complex:
    if not (math.isfinite(value.real) and math.isfinite(value.imag)):
        return 0j
    return value + 1.0 if value + 1.0 != value else value / 2.0


def _decimal(value: Decimal) -> Decimal:
    if not value.is_finite():
        return Decimal(0)
    return value + 1 if value + 1 != value else value / 2


def _text(value: str) -> str:
    """Changed in the middle: noticed by ``==``, and by most of ``in``, ``startswith`` and ``endswith``."""
    middle = len(value) // 2
    return value[:middle] + "x" + value[middle:]


def _bytes(value: Any) -> Any:
    middle = len(value) // 2
    return value[:middle] + b"x" + value[middle:]


def _sequence(value: Any) -> Any:
    copied = copy.copy(value)
    if len(copied):
        del copied[0]
    else:
        copied.append(None)
    return copied


def _dict(value: Any) -> Any:
    copied = copy.copy(value)
    if len(copied):
        del copied[list(copied)[-1]]
    else:
        copied[None] = None
    return copied


def _set(value: Any) -> Any:
    """Without the element whose repr comes first, so that the hash seed does not matter."""
    return value - {min(value, key=repr)} if len(value) else value | {None}


def _moment(value: Any) -> Any:
    try:
        return value + _DAY
    except OverflowError:
        return value - _DAY


def _time(value: datetime.time) -> datetime.time:
    return value.replace(hour=(value.hour + 1) % 24)


def _path(value: PurePath) -> PurePath:
    return value.with_name(value.name + "x") if value.name else value / "x"


_CHANGES: list[tuple[Any, Callable[[Any], Any]]] = [
    (int, lambda value: int(value) + 1),
    (float, _float),
    (complex, _complex),
    (str, _text),
    ((bytes, bytearray), _bytes),
    ((list, deque), _sequence),
    (dict, _dict),
    ((set, frozenset), _set),
    (range, lambda value: value[1:] if len(value) else range(1)),
    (Decimal, _decimal),
    (Fraction, lambda value: value + 1),
    ((datetime.date, datetime.timedelta), _moment),  # a datetime is a date
    (datetime.time, _time),
    (PurePath, _path),
]
