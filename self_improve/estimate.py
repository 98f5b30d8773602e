"""What a round is going to do and what it will take, told before it starts: guesses, from what attempts took so far."""

from __future__ import annotations

import statistics
from pathlib import Path

from self_improve.improve import Line
from self_improve.rounds import current
from testing_crew.errors import UserMistake
from testing_crew.project import code as code_under_test
from trace_logger.curation.curate import Candidate, candidates
from trace_logger.records import Record
from trace_logger.store import TraceStore
from trace_logger.workspace import trace_db, workspace

_ATTEMPT = 5.0  # seconds for an answer and its judgement, where nothing is known yet
_ROUNDS = 2.0  # of a unit, on average
_PAIR = 3.0  # seconds to run both sides of a pair again
_FLOPS = 2e11  # a second, of two cores
_PAIR_TOKENS = 1200  # of the two rows that a pair gives
_SMOLLM2 = 135_000_000  # parameters; its weights may not lie there yet
_LORA = 0.04  # of the base's parameters


class Station(Record):
    """One station of the plan; ``done`` by an earlier call. Seconds, and bytes of ``memory`` and ``disk``, are guesses."""

    name: str
    what: str
    done: bool
    seconds: float
    memory: int = 0
    disk: int = 0


def stations(line: Line) -> list[Station]:
    """The plan of the round that `Line.go` would make. Raises UserMistake as that does, but runs and writes nothing."""
    options, at = line.options, current()
    done = at.state.steps
    waiting, seconds = _kept()
    once = sum(map(_units, (task.code for task in line.practice)))
    units = once * options.samples
    judged = sum(map(_units, (task.code for task in line.tasks)))
    pairs = len(waiting) + round(units / 4)
    size = _parameters(line)
    tokens = pairs * _PAIR_TOKENS * 3
    minutes = options.minutes * 60 if options.minutes else 6 * size * tokens / _FLOPS
    played = f"{once} units, {options.samples} times each" if units else "what the store has"
    return [
        Station(name="collect", what=played, done="collect" in done, seconds=units * _ROUNDS * seconds),
        Station(name="curate", what=f"about {pairs} pairs run again", done="curate" in done, seconds=pairs * _PAIR),
        Station(
            name="train",
            what=f"stage C on {line.base_name}, from {_start(line)}",
            done="train" in done,
            seconds=minutes,
            memory=round(4 * size + 2048 * 2**21 * (size / _SMOLLM2) ** 0.5),
            disk=round(size * _LORA * 12 * 3),
        ),
        Station(
            name="export",
            what=f"{options.quantisation}, proven, as local/{options.name}:v{at.state.number}",
            done="export" in done,
            seconds=20 + size / 2e6,
            memory=10 * size,
            disk=13 * size,
        ),
        Station(
            name="gate",
            what=f"{line.champion} and the new one on {len(line.tasks)} tasks of {judged} units",
            done="gate" in done,
            seconds=2 * judged * _ROUNDS * seconds,
        ),
        Station(
            name="promote", what=f"the tag in {line.project}, where the new one is better", done=False, seconds=0.0
        ),
    ]


def _kept() -> tuple[list[Candidate], float]:
    """The pairs of the store, and what an attempt took; without a store, nothing and a guess."""
    if not trace_db().is_file():
        return [], _ATTEMPT
    with TraceStore.open() as store:
        return list(candidates(store)), _per_attempt(store)


def _per_attempt(store: TraceStore) -> float:
    found = [
        attempt.seconds
        for each in store.list_traces(limit=20)
        for attempt in store.get_trace(each.id).attempts
        if attempt.seconds
    ]
    return statistics.median(found) if found else _ATTEMPT


def _units(source: str) -> int:
    try:
        return max(1, len(code_under_test.find_units(code_under_test.parse_source(source, "task"))))
    except UserMistake:
        return 1


def _parameters(line: Line) -> int:
    if line.base_name == "smollm2":
        return _SMOLLM2
    files = list(Path(line.base.source).glob("*.safetensors"))
    return sum(file.stat().st_size for file in files) // 2 or 7_000_000_000


def _start(line: Line) -> str:
    if line.options.start:
        return line.options.start
    if line.base_name == "smollm2" and not (workspace() / "bases").is_dir():
        return "the base itself"  # it was never trained on; to make it ready now would take a while
    return line.start.parent.name if line.start else "the base itself"
