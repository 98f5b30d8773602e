"""How far judges agree, and how many answers are right by what they say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

from pydantic import BaseModel, ConfigDict

from benchmarks.judging.verdicts import Item, Verdict, Verdicts, consensus
from benchmarks.metrics import Score, rate

ByJudge = Mapping[str, Mapping[str, Verdict]]


class Pair(BaseModel):
    """Two judges on the ``n`` items that both judged: the share of equal verdicts, and Cohen's kappa, each None if undefined."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    one: str
    other: str
    n: int
    agreement: float | None
    kappa: float | None


class Accuracy(BaseModel):
    """How many answers are right. ``accuracy``: of those with a consensus (see `consensus`).

    ``disputed``: of the ``judged_by_two`` (two judges or more, any verdicts), those without one; ``at_least`` and ``at_most``:
    the share of right ones among ``judged_by_two`` if every disputed one were wrong, or right. ``by_judge``: the share of right
    ones among each judge's right and wrong verdicts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n: int
    judged_by_two: int
    disputed: int
    accuracy: Score
    at_least: float
    at_most: float
    by_judge: dict[str, Score]


class Agreement(Accuracy):
    """The same over all answers, and how far the judges agree; answers that are alike count once here.

    ``judged``: how many each judged. ``agreement``: the share of ``judged_by_two`` on which all verdicts are the same, None of
    none. ``models``: the accuracy of each model, where there are several. ``stale``: verdicts that count and are on no item here.
    """

    judges: tuple[str, ...]
    judged: dict[str, int]
    agreement: float | None
    pairs: tuple[Pair, ...]
    models: dict[str, Accuracy]
    stale: int


def cohen_kappa(a: Sequence[str], b: Sequence[str]) -> float | None:
    """Agreement beyond chance of two judges of the same items in the same order (Cohen 1960).

    (p_o - p_e) / (1 - p_e); None where p_e is 1 (both always say the same one thing) or there is no item. Raises ValueError where
    they are not as many.
    """
    n = len(a)
    if n != len(b):
        raise ValueError(f"{n} verdicts of one judge, {len(b)} of the other")
    equal = sum(one == other for one, other in zip(a, b, strict=True))
    ours, theirs = Counter(a), Counter(b)
    chance = sum(ours[said] * theirs[said] for said in ours)  # p_e n², so that nothing is rounded
    return None if chance == n * n else (n * equal - chance) / (n * n - chance)


def compare(by_judge: ByJudge, one: str, other: str, items: Iterable[str]) -> Pair:
    """Two judges on the items (digests) that both judged."""
    both = [item for item in items if item in by_judge[one] and item in by_judge[other]]
    a, b = ([by_judge[judge][item].verdict for item in both] for judge in (one, other))
    equal = sum(x == y for x, y in zip(a, b, strict=True)) / len(both) if both else None
    return Pair(one=one, other=other, n=len(both), agreement=equal, kappa=cohen_kappa(a, b))


def report(items: Sequence[Item], verdicts: Verdicts) -> Agreement:
    """All of it, from the file as it is now. Raises UserMistake where that cannot be read."""
    digests = list(dict.fromkeys(item.digest for item in items))
    given, here = verdicts.by_judge(), set(digests)
    by_judge = {judge: said for judge, said in given.items() if here & set(said)}
    twice = [said for said in _said(digests, by_judge) if len(said) > 1]
    names = sorted({item.model for item in items})
    return Agreement(
        **_accuracy(digests, by_judge).model_dump(),
        judges=tuple(by_judge),
        judged={judge: len(here & set(said)) for judge, said in by_judge.items()},
        agreement=sum(len(set(said)) == 1 for said in twice) / len(twice) if twice else None,
        pairs=tuple(compare(by_judge, one, other, digests) for one, other in combinations(by_judge, 2)),
        models={name: _accuracy([item.digest for item in items if item.model == name], by_judge) for name in names}
        if len(names) > 1
        else {},
        stale=sum(len(set(said) - here) for said in given.values()),
    )


def _said(digests: Iterable[str], by_judge: ByJudge) -> list[list[str]]:
    """The verdicts on each item."""
    return [[said[item].verdict for said in by_judge.values() if item in said] for item in digests]


def _accuracy(digests: Sequence[str], by_judge: ByJudge) -> Accuracy:
    twice = [consensus(said) for said in _said(digests, by_judge) if len(said) > 1]
    right, disputed, n = twice.count("right"), twice.count(None), len(twice)
    own = {judge: Counter(said[item].verdict for item in digests if item in said) for judge, said in by_judge.items()}
    return Accuracy(
        n=len(digests),
        judged_by_two=n,
        disputed=disputed,
        accuracy=rate(right, n - disputed),
        at_least=right / n if n else 0.0,
        at_most=(right + disputed) / n if n else 1.0,
        by_judge={judge: rate(counts["right"], counts["right"] + counts["wrong"]) for judge, counts in own.items()},
    )
