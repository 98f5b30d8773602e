"""Inputs by type: a fixed, telling row of values for each type, random ones, and plausible wrong answers."""

from __future__ import annotations

import random
from typing import Any

from testing_crew.snapshot.kinds import CANONICAL, FORMATS

# what the annotation says for text with a format
ANNOTATION = dict.fromkeys(FORMATS, "str")


def rows(kinds: list[str], count: int, rng: random.Random | None = None) -> list[tuple[Any, ...]]:
    """``count`` distinct argument rows for parameters of ``kinds``; fixed ones, or random ones when ``rng`` is given.

    The fixed rows walk each type's values at a pace of its own, so that neighbours differ in every column.
    """
    found: list[tuple[Any, ...]] = []
    seen: set[str] = set()
    for i in range(count * 4):
        if rng is None:
            row = tuple(CANONICAL[k][(i * (1 + 2 * (j % 2)) + j) % len(CANONICAL[k])] for j, k in enumerate(kinds))
        else:
            row = tuple(sample(rng, k) for k in kinds)
        if repr(row) not in seen:
            seen.add(repr(row))
            found.append(row)
        if len(found) == count:
            break
    return found


def _text(rng: random.Random, longest: int = 8) -> str:
    letters = rng.choice(("abcdefghijklmnopqrstuvwxyz", "abcABC", "ab1 2_-", "aeiou xyz"))
    return "".join(rng.choice(letters) for _ in range(rng.randint(0, longest)))


def sample(rng: random.Random, kind: str) -> Any:
    """One random value of ``kind``."""
    short = rng.randint(0, 4)
    match kind:
        case "int":
            return rng.choice((rng.randint(-10, 20), rng.randint(-1000, 1000)))
        case "float":
            return round(rng.uniform(-20, 50), rng.choice((1, 2)))
        case "bool":
            return rng.random() < 0.5
        case "str":
            return _text(rng)
        case "list[int]":
            return [rng.randint(-9, 30) for _ in range(short)]
        case "list[str]":
            return [_text(rng, 4) for _ in range(short)]
        case "list[float]":
            return [round(rng.uniform(-9, 9), 1) for _ in range(short)]
        case "list[list[int]]":
            return [[rng.randint(0, 9) for _ in range(rng.randint(0, 3))] for _ in range(rng.randint(0, 3))]
        case "list[tuple[str, int]]":
            return [(_text(rng, 3), rng.randint(0, 9)) for _ in range(rng.randint(0, 3))]
        case "tuple[int, int]":
            return (rng.randint(-9, 20), rng.randint(-9, 20))
        case "set[int]":
            return {rng.randint(0, 20) for _ in range(short)}
        case "dict[str, int]":
            return {_text(rng, 3) or "k": rng.randint(-5, 20) for _ in range(rng.randint(0, 3))}
        case "dict[str, str]":
            return {_text(rng, 3) or "k": _text(rng, 4) for _ in range(rng.randint(0, 3))}
        case _:
            return rng.choice(CANONICAL[kind])


def literal(value: Any) -> str:
    """The text of ``value`` as a literal, sets sorted so that the same value always has the same text."""
    if isinstance(value, (set, frozenset)) and value:
        inner = "{" + ", ".join(sorted(map(literal, value))) + "}"
        return f"frozenset({inner})" if isinstance(value, frozenset) else inner
    if type(value) is list:
        return "[" + ", ".join(map(literal, value)) + "]"
    if type(value) is tuple:
        return "(" + ", ".join(map(literal, value)) + ("," if len(value) == 1 else "") + ")"
    if type(value) is dict:
        return "{" + ", ".join(f"{literal(k)}: {literal(v)}" for k, v in value.items()) + "}"
    return repr(value)


def is_literal(value: Any, depth: int = 0) -> bool:
    """Whether ``value`` can be written down as a literal that equals it."""
    if value is None or type(value) in (bool, int, str, bytes):
        return True
    if type(value) is float:
        return value == value and abs(value) != float("inf")
    if depth > 3:
        return False
    if type(value) in (list, tuple, set, frozenset):
        return all(is_literal(v, depth + 1) for v in value)
    return type(value) is dict and all(is_literal(k, depth + 1) and is_literal(v, depth + 1) for k, v in value.items())


def wrong(rng: random.Random, value: Any, args: tuple[Any, ...], others: list[Any]) -> Any:
    """A plausible wrong answer in place of ``value``: near it, another row's, or an argument echoed."""
    for _ in range(6):
        pick = rng.random()
        if pick < 0.35:
            guess = near(rng, value)
        elif pick < 0.6 and others:
            guess = rng.choice(others)
        elif pick < 0.8 and args:
            guess = rng.choice(args)
        else:
            guess = unrelated(rng, value)
        if type(guess) is not type(value) or guess != value:
            return guess
    return unrelated(rng, value) if value is not None else 0


def near(rng: random.Random, value: Any) -> Any:
    """A value of the same type a small step away."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + rng.choice((-2, -1, 1, 2, 10))
    if isinstance(value, float):
        return rng.choice((value + 1, round(value / 2, 3), -value, value + 0.5))
    if isinstance(value, str):
        return rng.choice((value.upper(), value.title(), value[:-1], value + value[:1], value.strip(), value[::-1], ""))
    if isinstance(value, (list, tuple)):
        changed = list(value)
        if changed and rng.random() < 0.5:
            changed.pop(rng.randrange(len(changed)))
        elif changed and rng.random() < 0.6:
            changed.reverse()
        else:
            changed += changed[:1] or [0]
        return type(value)(changed)
    if isinstance(value, dict) and value:
        key = rng.choice(list(value))
        return {k: (near(rng, v) if k == key else v) for k, v in value.items()}
    return value


_KIND_OF = {
    bool: "bool",
    int: "int",
    float: "float",
    str: "str",
    set: "set[int]",
    dict: "dict[str, int]",
    tuple: "tuple[int, int]",
}


def unrelated(rng: random.Random, value: Any) -> Any:
    """A random value of the type of ``value``: what a counterfactual log claims the code returned."""
    if value is None:
        return rng.choice((0, "", False, [], 1))
    if isinstance(value, list):
        return sample(rng, "list[str]" if value and isinstance(value[0], str) else "list[int]")
    if isinstance(value, dict) and value and isinstance(next(iter(value.values())), str):
        return sample(rng, "dict[str, str]")
    return sample(rng, _KIND_OF.get(type(value), "int"))
