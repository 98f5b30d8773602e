"""The runner and the gate on real test files: ``python -m benchmarks.perf.agreement [--json] [--kodcode FOLDER] [--mbpp FILE]``.

``agreement``: the share of test files that say the same warm and cold: the verdict, how each case ended, the coverage of the
target. ``same_verdict``: the share with the same verdict. ``ran_warm``: the share for which a warm run was to be had.
``honest_rejected``: of the files that pass and were written by people or verified by their data set, the share that the gate
rejects. Every disagreement, fallback and rejection is listed with its reason. Without options, only test files of
``--installed`` packages are tried, by default of some that the project and its extras depend on.
"""

from __future__ import annotations

import argparse
import itertools
import os
import re
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from benchmarks.perf.corpus import PACKAGES, Sample, installed, kodcode, mbpp
from benchmarks.perf.table import show
from testing_crew.errors import SandboxError, UserMistake
from testing_crew.gate.gate import Gate
from testing_crew.runner.plan import Limits
from testing_crew.runner.run import Execution, Runner

_LIMITS = Limits(wall_seconds=120, cpu_seconds=120)  # so that a busy machine is no disagreement
_TRIES = 3  # what differs is run this often in all, to tell the runner from a test that differs by itself
_RUN_COLD = "; run cold: "
_ADDRESS = re.compile(r"0x[0-9a-f]{6,}")


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kodcode", type=Path, metavar="FOLDER", help="JSON files of KodCode rows")
    parser.add_argument("--mbpp", type=Path, metavar="FILE", help="MBPP as JSON lines")
    parser.add_argument(
        "--installed", nargs="*", default=PACKAGES, metavar="PACKAGE", help="packages with tests inside"
    )
    parser.add_argument("--limit", type=int, help="test files of each source; by default all, of a package 10")
    parser.add_argument("--mutants", type=int, default=20, help="mutants that the gate tries for each file")
    parser.add_argument("--part", choices=["both", "runs", "gate"], default="both", help="what is tried")
    parser.add_argument(
        "--in-place", action="store_true", help="packages where they stand: beside pytest, so only cold"
    )
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        copies = None if chosen.in_place else Path(os.path.realpath(folder))
        samples = [s for package in chosen.installed for s in installed(package, chosen.limit or 10, copies)]
        samples += kodcode(chosen.kodcode, chosen.limit) if chosen.kodcode else []
        samples += mbpp(chosen.mbpp, chosen.limit) if chosen.mbpp else []
        figures, details = measure(samples, chosen.part, chosen.mutants)
    show("warm and cold, honest files", figures, details if chosen.json else _lines(details), as_json=chosen.json)


def measure(samples: Sequence[Sample], part: str, mutants: int) -> tuple[dict[str, float], dict[str, Any]]:
    """The shares, and the counts and findings that they come from."""
    figures: dict[str, float] = {}
    details: dict[str, Any] = {"test files": dict(Counter(sample.source for sample in samples))}
    with Runner(_LIMITS) as runner:
        done = [compare(runner, samples)] if part != "gate" else []
        done += [judge(Gate(runner, mutants=mutants), samples)] if part != "runs" else []
    for more, found in done:
        figures |= more
        details |= found
    return figures, details


def _lines(details: dict[str, Any]) -> dict[str, Any]:
    """The same with each listed finding in a line of its own, as a person reads it."""
    return {
        name: "".join(f"\n    {entry}" for entry in detail) or "none" if isinstance(detail, list) else detail
        for name, detail in details.items()
    }


@dataclass
class Findings:
    """What was found, by kind; each is said at once, too, for whoever waits."""

    of: dict[str, list[str]]
    console: Console = field(default_factory=lambda: Console(stderr=True, highlight=False, soft_wrap=True))

    def add(self, kind: str, sample: Sample, text: str) -> None:
        entry = f"{sample.source} {sample.name}: {text}"
        self.of[kind].append(entry)
        self.console.print(f"{kind}: {entry}", markup=False)

    def track(self, samples: Sequence[Sample], description: str) -> Iterator[Sample]:
        """``samples``, with a bar that says how many are done."""
        with Progress(console=self.console) as progress:
            yield from progress.track(samples, description=description)


# -- warm and cold ----------------------------------------------------------------------------------------------------

VERDICT, REST, UNSTEADY = "other verdict", "other cases or coverage", "differs from itself"
MESSAGES, FALLBACK, BROKEN = "same but for messages", "fell back to a cold run", "could not be run"


def compare(runner: Runner, samples: Sequence[Sample]) -> tuple[dict[str, float], dict[str, Any]]:
    """Run each of ``samples`` warm and cold."""
    found = Findings({kind: [] for kind in (VERDICT, REST, UNSTEADY, MESSAGES, FALLBACK, BROKEN)})
    verdicts: Counter[str] = Counter()
    seconds = {"warm": 0.0, "cold": 0.0}
    for sample in found.track(samples, "warm and cold"):
        try:
            began = time.perf_counter()
            warm = runner.execute(sample.plan)
            between = time.perf_counter()
            cold = runner.execute_cold(sample.plan)
            if not warm.run.warm:
                found.add(FALLBACK, sample, warm.run.sandbox.partition(_RUN_COLD)[2])
                continue
            seconds["warm"] += between - began
            seconds["cold"] += time.perf_counter() - between
            verdicts[cold.run.verdict] += 1
            if said := differences(warm, cold):
                found.add(*_cause(runner, sample, said))
            elif _messages(warm) != _messages(cold):
                found.add(MESSAGES, sample, _first_other(_messages(warm), _messages(cold)))
        except (SandboxError, UserMistake) as mistake:
            found.add(BROKEN, sample, str(mistake).strip().splitlines()[-1])
    pairs = verdicts.total()
    steady = max(pairs - len(found.of[UNSTEADY]), 1)
    figures = {
        "agreement": 1 - (len(found.of[VERDICT]) + len(found.of[REST])) / steady,
        "same_verdict": 1 - len(found.of[VERDICT]) / steady,
        "ran_warm": pairs / max(pairs + len(found.of[FALLBACK]), 1),
    }
    spent = {f"seconds of {kind} runs": round(total, 1) for kind, total in seconds.items()}
    return figures, {"warm and cold pairs": pairs, "cold verdicts": dict(verdicts), **spent, **found.of}


def _cause(runner: Runner, sample: Sample, differing: str) -> tuple[str, Sample, str]:
    """What kind of finding it is that a file differs warm and cold: does it agree with itself?"""
    warm = [runner.execute(sample.plan) for _ in range(_TRIES)]
    cold = [runner.execute_cold(sample.plan) for _ in range(_TRIES)]
    among = [differences(first, second) for runs in (warm, cold) for first, second in itertools.pairwise(runs)]
    if any(among):
        return UNSTEADY, sample, f"{differing}; by itself: {next(filter(None, among))}"
    if again := differences(warm[0], cold[0]):
        return (VERDICT if warm[0].run.verdict != cold[0].run.verdict else REST), sample, again
    return UNSTEADY, sample, f"{differing}; only the first time"


def differences(warm: Execution, cold: Execution) -> str:
    """What the runs ``warm`` and ``cold`` of one test file do not agree on; empty when they agree."""
    parts = []
    if warm.run.verdict != cold.run.verdict:
        parts.append(f"verdict {warm.run.verdict}, cold {cold.run.verdict}{_last_words(warm, cold)}")
    ours, theirs = _outcomes(warm), _outcomes(cold)
    if ours != theirs:
        parts.append(f"cases: {_first_other(ours, theirs)}")
    if warm.run.coverage != cold.run.coverage:
        parts.append(f"coverage: {_first_other(warm.run.coverage.model_dump(), cold.run.coverage.model_dump())}")
    if warm.run.asserted_lines != cold.run.asserted_lines:
        parts.append("the lines of evaluated assertions")
    if warm.reached != cold.reached:
        parts.append(f"which case reached which line: {_first_other(dict(warm.reached), dict(cold.reached))}")
    if warm.run.target_origin != cold.run.target_origin:
        parts.append(f"origin {warm.run.target_origin}, cold {cold.run.target_origin}")
    return "; ".join(parts)


def _outcomes(done: Execution) -> dict[str, str]:
    outcomes: dict[str, str] = {}
    for case in done.run.cases:
        outcomes[case.node] = " ".join(filter(None, [outcomes.get(case.node), case.phase, case.outcome]))
    return outcomes


def _messages(done: Execution) -> dict[str, str]:
    return {
        case.node: _ADDRESS.sub("0x", f"{case.message}: {case.actual} for {case.expected}") for case in done.run.cases
    }


def _first_other(ours: dict[Any, Any], theirs: dict[Any, Any]) -> str:
    other = [key for key in [*ours, *(k for k in theirs if k not in ours)] if ours.get(key) != theirs.get(key)]
    said = f"{other[0]} {_short(ours.get(other[0]))}, cold {_short(theirs.get(other[0]))}" if other else "their order"
    return f"{said} (and {len(other) - 1} more)" if len(other) > 1 else said


def _short(value: object) -> str:
    text = str(sorted(value) if isinstance(value, frozenset) else value)
    return text if len(text) < 200 else f"{text[:200]}..."


def _last_words(warm: Execution, cold: Execution) -> str:
    said = [
        (*done.run.limits_hit, *(case.message for case in done.run.cases if case.outcome in ("failed", "error")))
        for done in (warm, cold)
    ]
    return f" ({_short(said[0][0]) if said[0] else '-'} | {_short(said[1][0]) if said[1] else '-'})"


# -- the gate ---------------------------------------------------------------------------------------------------------

REJECTED, SUSPECT = "rejected", "suspect"
DID_NOT_PASS, UNJUDGED = "not judged, since it does not pass", "could not be judged"
_FATES = ("tried", "killed", "raised", "timed_out", "survived", "unreached", "equivalent")


def judge(gate: Gate, samples: Sequence[Sample]) -> tuple[dict[str, float], dict[str, Any]]:
    """Have the gate judge each of ``samples``; those that pass count."""
    found = Findings({kind: [] for kind in (REJECTED, SUSPECT, DID_NOT_PASS, UNJUDGED)})
    sources: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    fates: Counter[str] = Counter()
    began = time.perf_counter()
    for sample in found.track(samples, "the gate"):
        try:
            judgement = gate.judge(sample.plan)
        except (SandboxError, UserMistake) as mistake:
            found.add(UNJUDGED, sample, str(mistake).strip().splitlines()[-1])
            continue
        if not judgement.run.passed:
            found.add(DID_NOT_PASS, sample, ", ".join(judgement.reasons))
            continue
        sources[sample.source] += 1
        mutants = judgement.mutants.model_dump(include=set(_FATES)) if judgement.mutants else {}
        fates.update(mutants)
        for text in judgement.suspects:
            found.add(SUSPECT, sample, text)
        if not judgement.accepted:
            reasons.update(reason.partition(":")[0] for reason in judgement.reasons)
            cold = judgement.stability.cold_passed if judgement.stability else None
            found.add(REJECTED, sample, f"{', '.join(judgement.reasons)} (mutants {mutants}, cold passed {cold})")
    judged = sources.total()
    spent = {"seconds of judging": round(time.perf_counter() - began, 1)}
    counts = {"honest files": judged, "of them": dict(sources), "mutants": dict(fates), "why rejected": dict(reasons)}
    return {"honest_rejected": len(found.of[REJECTED]) / max(judged, 1)}, {**counts, **spent, **found.of}


if __name__ == "__main__":
    main()
