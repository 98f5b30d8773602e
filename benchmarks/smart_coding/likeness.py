"""How alike two answers are: texts by their letters, sets by F1."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Hashable, Iterable

LONGEST = 20_000  # characters of an answer that are read: more than its limit of tokens gives
_NUMBERS = re.compile(r"(?<![A-Za-z\d_.])(\d{1,4})(?:\s*(?:-|–|to|至|到)\s*(\d{1,4}))?(?![A-Za-z\d_.]*[A-Za-z\d_])")
_SPACE = re.compile(r"\s+")
_CHRF_MOST = 6
_CHRF_BETA = 2.0


def numbers_in(text: str) -> set[int]:
    """The line numbers that a text names, ``3-5`` and ``3 to 5`` being three of them."""
    found: set[int] = set()
    for first, last in _NUMBERS.findall(text[:LONGEST]):
        end = int(last) if last else int(first)
        if int(first) <= end <= int(first) + 200:
            found.update(range(int(first), end + 1))
    return found


def f1(said: Iterable[Hashable], right: Iterable[Hashable]) -> float | None:
    """2PR / (P + R) of two sets; None where nothing is right, 0 where they share nothing."""
    one, other = set(said), set(right)
    if not other:
        return None
    return 2 * len(one & other) / (len(one) + len(other)) if one else 0.0


def exact(answer: str, reference: str) -> bool:
    """The same, however it is spaced."""
    return _SPACE.sub(" ", answer).strip() == _SPACE.sub(" ", reference).strip()


def chrf(text: str, reference: str, known: str = "", least: int = 1) -> float:
    """Character n-gram F-score, n from ``least`` to 6, beta 2, whitespace left out (Popović 2015); for Chinese as for English.

    N-grams of ``known``, which both had before them, are counted in neither. The same text is always 1.
    """
    one, other, given = (_SPACE.sub("", each[:LONGEST]) for each in (text, reference, known))
    if not one or not other or one == other:
        return float(one == other)
    precisions, recalls = [], []
    for n in range(least, _CHRF_MOST + 1):
        before = set(_grams(given, n))
        mine, theirs = _grams(one, n, before), _grams(other, n, before)
        if not theirs or len(one) < n:
            continue  # one is shorter than n, or there is nothing new
        common = sum((mine & theirs).values())
        precisions.append(common / mine.total() if mine else 0.0)
        recalls.append(common / theirs.total())
    if not recalls:
        return 0.0
    precision, recall = sum(precisions) / len(precisions), sum(recalls) / len(recalls)
    weight = _CHRF_BETA**2
    return (1 + weight) * precision * recall / (weight * precision + recall) if precision + recall else 0.0


def _grams(text: str, n: int, but: Container[str] = ()) -> Counter[str]:
    return Counter(gram for at in range(len(text) - n + 1) if (gram := text[at : at + n]) not in but)
