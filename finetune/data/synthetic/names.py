"""Names for made-up code, from many sources, so that a model learns to copy a name instead of remembering it."""

from __future__ import annotations

import keyword
import random
import sys

_WORDS = """
add count merge split find total value item index first last limit score price order user name text line word key
group filter sort sum mean range step window buffer queue stack node edge path depth level token parse format join
clean strip lower upper check valid match prefix suffix pad wrap chunk batch flat unique common diff shift rotate
scale round clip clamp bound rate ratio share cost tax fee day month year hour minute second time date week start
end left right top bottom width height area size length weight color pixel row column cell grid board move turn play
win game card deck hand point vector angle speed mass force bank account deposit balance stock cart invoice email
phone address city zone map table field record entry log event task job worker retry delay cache store load save
read write encode decode hash digit number even odd prime factor power root digitize slug title label tag header
body footer page link url query param option flag mode state status code error message reply note list
""".split()  # noqa: SIM905 - a list of a word a line is hard to read
_TEXT_ARGS = ("text", "s", "value", "name", "word", "line", "title", "raw", "content", "string")
_INT_ARGS = ("n", "x", "a", "count", "value", "size", "num", "k", "limit", "total", "b", "y")
_LIST_ARGS = ("items", "values", "numbers", "data", "xs", "seq", "elements", "lst", "rows")
_DICT_ARGS = ("mapping", "counts", "table", "d", "prices", "config", "record")
_FLAG_ARGS = ("flag", "strict", "reverse", "enabled", "upper", "force")
_BY_TYPE = {
    "str": _TEXT_ARGS,
    "int": _INT_ARGS,
    "float": ("x", "rate", "price", "amount", "ratio", "value", "y"),
    "bool": _FLAG_ARGS,
    "list[int]": _LIST_ARGS,
    "list[str]": ("words", "names", "lines", "parts", "tokens", "items"),
    "list[float]": ("values", "samples", "weights", "scores"),
    "list[list[int]]": ("matrix", "grid", "rows", "board"),
    "list[tuple[str, int]]": ("pairs", "entries", "items"),
    "tuple[int, int]": ("point", "span", "pair", "bounds"),
    "set[int]": ("seen", "allowed", "ids"),
    "dict[str, int]": _DICT_ARGS,
    "dict[str, str]": ("headers", "labels", "env", "aliases"),
}


def _letters(rng: random.Random, low: int = 2, high: int = 8) -> str:
    return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(low, high)))


def word(rng: random.Random) -> str:
    """One word: mostly a real one, sometimes letters that no model has seen."""
    return rng.choice(_WORDS) if rng.random() < 0.7 else _letters(rng)


def function_name(rng: random.Random) -> str:
    """A snake_case name of one to three words."""
    while True:
        name = "_".join(word(rng) for _ in range(rng.choice((1, 2, 2, 2, 3))))
        if not keyword.iskeyword(name):
            return name


def class_name(rng: random.Random) -> str:
    """A CapWords name of one or two words."""
    return "".join(word(rng).capitalize() for _ in range(rng.choice((1, 2))))


def module_name(rng: random.Random) -> str:
    """A dotted module path of one to three parts, none of them a keyword, the first no module of the standard library."""
    while True:
        count = rng.choice((1, 1, 1, 2, 2, 3))
        parts = [function_name(rng) if rng.random() < 0.4 else word(rng) for _ in range(count)]
        if parts[0] not in sys.stdlib_module_names and not any(keyword.iskeyword(p) for p in parts):
            return ".".join(parts)


def argument_name(rng: random.Random, kind: str) -> str:
    """A parameter's name: two times in three one that suggests its type."""
    if kind in _BY_TYPE and rng.random() < 0.67:
        return rng.choice(_BY_TYPE[kind])
    return word(rng) if rng.random() < 0.7 else rng.choice("abcdefgijkmnpqrstuvwxyz")
