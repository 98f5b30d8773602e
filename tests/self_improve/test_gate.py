"""The gate on made-up outcomes: chance is not promoted, a better model mostly is, and floors hold."""

import random

import pytest

from benchmarks.compare import tasks_needed
from benchmarks.task import Outcome
from self_improve.gate import Rules, decide
from trace_logger.records import Attempt, Mutants, PytestRun


def outcome(number, accepted_in, *, mutants=0.8, reasons=(), verdict="passed", error=None):
    noticed = None if mutants is None else Mutants(found=100, tried=100, killed=round(100 * mutants))
    attempt = Attempt(
        unit="f", iteration=1, kind="generate", prompt="", completion="", tests="", run=PytestRun(verdict=verdict),
        accepted=accepted_in is not None, reasons=reasons, mutants=noticed, model="m",
    )  # fmt: skip
    return Outcome(
        id=str(number), passed_in=accepted_in, accepted_in=accepted_in, attempts=(attempt,), best=(0,), error=error
    )


def drawn(rng, n, share):
    return [outcome(number, rng.choice((1, 2, 3)) if rng.random() < share else None) for number in range(n)]


def decided(champion, challenger, **rules):
    return decide(champion, challenger, ("old", "new"), Rules(**rules))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_of_a_hundred_rounds_of_a_model_against_itself_at_most_five_are_promoted(share):
    rng = random.Random(7)
    rounds = [decided(drawn(rng, 100, share), drawn(rng, 100, share)) for _ in range(100)]
    assert sum(each.decision == "promoted" for each in rounds) <= 5


def test_fifteen_points_better_on_a_hundred_tasks_is_mostly_promoted():
    rng = random.Random(1)
    promoted = 0
    for _ in range(100):
        # the same tasks are hard for both: half of them are settled, on the rest the challenger has 30 points more
        hard = [rng.random() for _ in range(100)]
        old = [outcome(n, 1 if h < 0.3 or (h < 0.8 and rng.random() < 0.3) else None) for n, h in enumerate(hard)]
        new = [outcome(n, 1 if h < 0.3 or (h < 0.8 and rng.random() < 0.6) else None) for n, h in enumerate(hard)]
        promoted += decided(old, new).decision == "promoted"
    assert promoted > 50


def test_undecided_says_how_many_tasks_would_settle_it_and_so_many_do():
    old = [outcome(n, 1 if n % 4 == 0 else None) for n in range(20)]
    new = [outcome(n, 1 if n % 4 == 0 or n == 1 else None) for n in range(20)]
    few = decided(old, new)
    assert (few.decision, few.wins, few.losses) == ("undecided", 1, 0)
    assert few.needed == tasks_needed(1, 0, 20) > 20
    times = -(-few.needed // 20)
    more = decided(
        [o.model_copy(update={"id": f"{k}/{o.id}"}) for k in range(times) for o in old],
        [o.model_copy(update={"id": f"{k}/{o.id}"}) for k in range(times) for o in new],
    )
    assert more.decision == "promoted"


def test_no_better_is_kept_and_a_small_rise_is_not_worth_a_swap():
    same = [outcome(n, 1) for n in range(50)]
    assert decided(same, same).why == "it is not better on these tasks"
    old = [outcome(n, None if n < 20 else 1) for n in range(1000)]
    assert decided(old, [outcome(n, 1) for n in range(1000)], least_effect=0.05).decision == "kept"
    assert decided(old, [outcome(n, 1) for n in range(1000)], least_effect=0.01).decision == "promoted"


def test_floors_stand_before_any_rise():
    old = [outcome(n, 1 if n < 10 else None) for n in range(60)]
    weak = [outcome(n, 1, mutants=0.5) for n in range(60)]
    assert "notice 50% of the mutants" in decided(old, weak).why
    cheats = [
        outcome(n, 1 if n < 50 else None, reasons=() if n < 50 else ("no_assertion_about_target",)) for n in range(60)
    ]
    assert "17% of its files cheat or are empty" in decided(old, cheats).why
    empty = [outcome(n, 1 if n < 50 else None, verdict="passed" if n < 50 else "no_tests") for n in range(60)]
    assert decided(old, empty).decision == "kept"


def test_the_floor_of_mutants_is_taken_on_the_tasks_that_both_have():
    old = [outcome(n, 1 if n < 10 else None, mutants=0.9) for n in range(30)]
    new = [outcome(n, 1, mutants=0.9 if n < 10 else 0.7) for n in range(30)]
    assert decided(old, new).decision == "promoted"
    fallen = [outcome(n, 1, mutants=0.7 if n < 10 else 1.0) for n in range(30)]
    assert "notice 70% of the mutants" in decided(old, fallen).why


def test_tasks_with_an_error_on_either_side_are_left_out_and_counted():
    old = [outcome(n, None, error="dead" if n < 5 else None) for n in range(20)]
    new = [outcome(n, 1, error="dead" if n > 15 else None) for n in range(20)]
    verdict = decided(old, new)
    assert (verdict.n, verdict.champion.errors, verdict.challenger.errors) == (11, 5, 4)
    assert verdict.decision == "promoted"
    nothing = decided([outcome(1, 1, error="x")], [outcome(1, 1)])
    assert (nothing.decision, nothing.n) == ("undecided", 0)
