"""The figures against published values, published formulas and scipy; and whether chance is called a difference."""

import random

import numpy
import pytest
from scipy.stats import binomtest

from benchmarks.compare import DECIDES, compare, could_see, exact, interval, paired, tasks_needed
from benchmarks.metrics import figure, mean, pass_at_k, rate
from benchmarks.task import Outcome


def test_wilson_interval_against_published_values():
    # Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29
    published = {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0.0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }
    for (hits, n), bounds in published.items():
        assert tuple(round(bound, 4) for bound in rate(hits, n).bounds) == bounds


def published_estimator(n, c, k):
    """As it is printed in Chen et al., Evaluating Large Language Models Trained on Code (2021), figure 3."""
    if n - c < k:
        return 1.0
    return 1.0 - numpy.prod(1.0 - k / numpy.arange(n - c + 1, n + 1))


@pytest.mark.parametrize(
    "n", [1, 10, 100, 200]
)  # 200 samples a task is what the paper drew, k = 1, 10 and 100 what it tells
def test_the_unbiased_estimator_is_the_published_one(n):
    for c in range(0, n + 1, max(1, n // 20)):
        for k in (k for k in (1, 3, 10, 100) if k <= n):
            assert pass_at_k(n, c, k) == pytest.approx(published_estimator(n, c, k), abs=1e-12)


def test_the_estimator_is_the_mean_over_all_draws():
    from itertools import combinations

    good = [1, 1, 0, 0, 0, 0]
    draws = [any(draw) for draw in combinations(good, 3)]
    assert pass_at_k(6, 2, 3) == pytest.approx(sum(draws) / len(draws))
    with pytest.raises(ValueError, match="5 drawn"):
        pass_at_k(4, 1, 5)


def test_the_paired_test_is_scipys_on_random_tables():
    chance = random.Random(3)
    for _ in range(300):
        wins, losses = chance.randrange(40), chance.randrange(40)
        if wins + losses:
            assert exact(wins, losses) == pytest.approx(binomtest(wins, wins + losses, 0.5).pvalue)
            greater = binomtest(wins, wins + losses, 0.5, alternative="greater").pvalue
            assert exact(wins, losses, "greater") == pytest.approx(greater)
    assert exact(0, 0) == exact(0, 0, "greater") == 1.0


def drawn(chance, hard, luck):
    """One run of a model: what it does is decided for half of the tasks, and chance for the other."""
    return [h < 0.25 or (h < 0.75 and chance.random() < luck) for h in hard]


@pytest.mark.parametrize("n", [30, 60, 200])
def test_a_model_against_itself_at_another_seed_is_seldom_called_another(n):
    chance = random.Random(5)
    found = 0
    for _ in range(200):
        hard = [chance.random() for _ in range(n)]
        runs = [
            [
                Outcome(id=str(number), task=str(number), passed_in=1 if p else None, accepted_in=1 if a else None)
                for number, (p, a) in enumerate(zip(drawn(chance, hard, 0.5), drawn(chance, hard, 0.5), strict=True))
            ]
            for _ in range(2)
        ]
        found += next(each.differs for each in compare(*runs) if each.metric in DECIDES)
    assert found <= 10


def test_a_difference_of_the_size_that_could_be_seen_is_mostly_seen():
    chance = random.Random(8)
    found = []
    for _ in range(200):
        hard = [chance.random() for _ in range(200)]
        each = paired("accepted@3", drawn(chance, hard, 0.3), drawn(chance, hard, 0.6))
        found.append((each.differs, each.low <= 0.15 <= each.high, each.could_see))
    assert 0.05 < sum(seen for _, _, seen in found) / 200 < 0.15  # so a rise by 15 points is told
    assert sum(differs for differs, _, _ in found) > 160
    assert sum(covered for _, covered, _ in found) >= 180


@pytest.mark.parametrize(("wins", "losses", "n"), [(1, 1, 10), (4, 3, 20), (12, 9, 60), (30, 25, 200)])
def test_what_could_be_seen_is_seen_in_four_of_five_times(wins, losses, n):
    rise, chance = could_see(wins, losses, n), random.Random(3)
    differing = max((wins + losses) / n, rise)

    def shown():
        moved = [chance.random() < differing for _ in range(n)]
        up = sum(m and chance.random() < (differing + rise) / (2 * differing) for m in moved)
        return exact(up, sum(moved) - up) < 0.05 and up * 2 > sum(moved)

    assert 0.76 < sum(shown() for _ in range(2000)) / 2000 < 0.9


def test_no_difference_is_told_with_what_could_have_been_seen():
    few = paired("accepted@3", [True] * 5 + [False] * 5, [True] * 6 + [False] * 4)
    assert "underpowered: 10 tasks show a rise of" in few.says
    assert few.could_see > 0.4
    assert could_see(10, 10, 1000) < could_see(10, 10, 100) < 1 < could_see(0, 0, 0)
    assert paired("accepted@3", [True], [False]).says == "no difference shown; underpowered: 1 tasks show none"
    better = paired("accepted@3", [False] * 20, [True] * 20)
    assert better.says == "better"
    assert paired("accepted@3", [True] * 20, [False] * 20).says == "worse"


def test_how_many_tasks_would_settle_it():
    assert tasks_needed(3, 3, 50) is tasks_needed(0, 0, 0) is None
    assert tasks_needed(8, 4, 50) > 50


def test_intervals_hold_their_value():
    low, high = interval(12, 3, 60)
    assert low < 9 / 60 < high
    score = mean([0.2, 0.4, 0.9, None, 0.5])
    assert (score.n, score.value) == (4, pytest.approx(0.5))
    assert 0.2 <= score.low < 0.5 < score.high <= 0.9
    assert mean([None]) is None
    assert figure([1.0, 0.0, None, 1.0]) == rate(2, 3)
    assert figure([0.0] * 9).high > 0.2  # a bootstrap would say that it is none for sure
    assert figure([0.0, 0.5]) == mean([0.0, 0.5])
    assert mean([0.2, 0.4, 0.9]) == mean([0.2, 0.4, 0.9])  # its resampling has a seed
