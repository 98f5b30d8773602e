r"""Mutants, against other tools and against themselves: ``python -m benchmarks.perf.mutation --target FILE --tests FILE ...``.

With ``--peers``, whole processes, in turn, ``--pairs`` times: ``testing-crew check`` with all of its mutants, mutmut,
pytest-gremlins and cosmic-ray, each in its own virtual environment under ``--environments`` (made there where it is missing).
``mutants_per_second_vs_TOOL``: how many times as many mutants a second we try, the median over the pairs of runs of all modules.
Of cosmic-ray, which has one worker, a random ``--cosmic-ray-sample`` is tried.

With ``--both-ways N``: ``fork_agreement``, the share of at least N mutants with the same fate in a fork of a run and alone.

With neither, a full run of cosmic-ray, mutant by mutant. ``mutation_time_vs_cosmic_ray``: how many times as long it takes as we
do for all of its mutants, one worker each. ``mutation_sample_time_vs_cosmic_ray``: the same against our default operators with at
most ``--limit`` mutants. ``mutation_agreement``: the share of the mutants that both tried with the same fate: detected or not.

Several pairs may be given. The folder above both files is copied, and cosmic-ray's own commands are run there, with the project's
pytest settings and the local distributor. ``VariableInserter`` and ``VariableReplacer`` are left out on both sides: they need
arguments, and we have no such mutants. Detected is, with cosmic-ray, whatever pytest does not pass; with us ``killed``,
``raised`` and ``timed_out``. Modules that bring tests can be had from PyPI::

    pip download --no-binary :all: --no-deps inflection==0.5.1 humanize==4.17.0 boltons==26.2.0
    for each in *.tar.gz; do tar xzf $each; done
    python -m benchmarks.perf.mutation \
        --target inflection-0.5.1/inflection/__init__.py --tests inflection-0.5.1/test_inflection.py \
        --target humanize-4.17.0/src/humanize/filesize.py --tests humanize-4.17.0/tests/test_filesize.py \
        --target boltons-26.2.0/boltons/mathutils.py --tests boltons-26.2.0/tests/test_mathutils.py
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import sys
import sysconfig
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.metrics import rate
from benchmarks.perf.cosmic_ray import CosmicRay
from benchmarks.perf.forks import both_ways
from benchmarks.perf.peers import VERSIONS, Tool, against, copied, place, scripts_of
from benchmarks.perf.table import show
from benchmarks.perf.tools import Check, Gremlins, Mutmut
from testing_crew.mutation import fates as running
from testing_crew.mutation.kept import kept_edits
from testing_crew.mutation.operators import Mutant, mutants, sample
from testing_crew.mutation.text import DISABLED, Text
from testing_crew.project.code import read_source
from testing_crew.project.imports import package_root
from testing_crew.project.syntax import parse
from testing_crew.runner.plan import Plan, plan_file
from testing_crew.runner.run import Runner
from trace_logger.records import CodeUnderTest

THEIR_EXCEPTION = "CosmicRayTestingException"
DETECTED = ("killed", "raised", "timed_out")
DRAWS = 100  # samples drawn from all fates, to see how far a sample may be off


@dataclass(frozen=True)
class Theirs:
    """One mutant of cosmic-ray's: ``key`` is what it makes of the module, empty for text that is not Python."""

    key: str
    shown: str
    detected: bool


@dataclass(frozen=True)
class Ours:
    """One mutant of ours."""

    key: str
    mutant: Mutant
    fate: str

    @property
    def detected(self) -> bool:
        return self.fate in DETECTED


@dataclass(frozen=True)
class Module:
    """What was measured of one module; ``ours`` and ``again`` are cosmic-ray's mutants, before its own run and after it."""

    name: str
    theirs: Sequence[Theirs]
    ours: Sequence[Ours]
    again: Sequence[Ours]
    default: Sequence[Ours]
    their_seconds: float
    our_seconds: float
    default_seconds: float

    def both(self) -> list[tuple[Theirs, Ours]]:
        """The mutants that both tried."""
        known = {each.key: each for each in self.ours}
        return [(each, known[each.key]) for each in self.theirs if each.key in known]

    def details(self, limit: int) -> dict[str, Any]:
        """For people."""
        both, tried, known = self.both(), {each.key for each in self.ours}, {each.key for each in self.theirs}
        by_line, at_random = self._draws(limit)
        return {
            "cosmic-ray": _score(self.theirs, self.their_seconds),
            "its mutants with us": _score(self.ours, self.our_seconds),
            f"our default, at most {limit}": _score(self.default, self.default_seconds),
            "fates with us": dict(Counter(each.fate for each in self.ours)),
            "tried by both": f"{len(both)}, with the same fate {sum(a.detected == b.detected for a, b in both)}",
            "cosmic-ray's that are not Python": sum(not each.key for each in self.theirs),
            "cosmic-ray's alone": [each.shown for each in self.theirs if each.key and each.key not in tried],
            "ours alone": [each.mutant.text for each in self.ours if each.key not in known],
            "disagreements": [
                f"cosmic-ray {'killed' if a.detected else 'survived'}, ours {b.fate}: {b.mutant.operator}, {b.mutant.text}"
                for a, b in both
                if a.detected != b.detected
            ],
            "other fates the second time": [
                f"{a.fate}, then {b.fate}: {a.mutant.text}"
                for a, b in zip(self.ours, self.again, strict=True)
                if a.fate != b.fate
            ],
            f"{limit} of its mutants with us, by line as the gate draws them": by_line,
            f"{limit} of its mutants with us, at random": at_random,
        }

    def _draws(self, limit: int) -> list[str]:
        """How samples of our fates for cosmic-ray's mutants compare with all of them."""
        fates = {each.mutant.source: each.detected for each in self.ours}
        whole = sum(fates.values()) / len(fates)
        every, size = [each.mutant for each in self.ours], min(limit, len(self.ours))
        drawn = (
            [sample(every, limit, seed) for seed in range(DRAWS)],
            [random.Random(seed).sample(every, size) for seed in range(DRAWS)],
        )
        said = []
        for draws in drawn:
            hits = [sum(fates[mutant.source] for mutant in draw) for draw in draws]
            inside = sum(low <= whole <= high for low, high in (rate(hit, size).bounds for hit in hits))
            said.append(f"{sum(hits) / size / DRAWS:.1%} detected on average, {inside} of {DRAWS} agree with the whole")
        return said


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", action="append", type=Path, default=[], help="a module; may be given again")
    parser.add_argument("--tests", action="append", type=Path, default=[], help="its test file; may be given again")
    parser.add_argument("--limit", type=int, default=100, help="mutants in a sample")
    parser.add_argument("--peers", action="store_true", help="whole processes of four tools, in turn")
    parser.add_argument(
        "--environments", type=Path, metavar="FOLDER", help="of virtual environments, one for each tool"
    )
    parser.add_argument("--pairs", type=int, default=3, help="of runs of each tool, for each module")
    parser.add_argument("--cosmic-ray-sample", type=int, default=60, metavar="N", help="so many of its mutants")
    parser.add_argument("--no-gremlin-batch", action="store_true", help="pytest-gremlins: workers, but no batches")
    parser.add_argument("--both-ways", type=int, default=0, metavar="N", help="at least N mutants in forks, and alone")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    if not chosen.target or len(chosen.target) != len(chosen.tests):
        parser.error("give one or more modules with --target FILE, and the test file of each with --tests FILE")
    if chosen.peers and not chosen.environments:
        parser.error("--peers needs --environments FOLDER, where each tool has its virtual environment or gets one")
    files = [(target.resolve(), tests.resolve()) for target, tests in zip(chosen.target, chosen.tests, strict=True)]
    details: dict[str, Any]
    if chosen.peers:
        title, (figures, details) = "peers", against(_tools(chosen), files, chosen.pairs, _tell)
    elif chosen.both_ways:
        title, (figures, details) = "both ways", both_ways(files, chosen.both_ways, _tell)
    else:
        title, (figures, details) = "mutation", _cosmic_ray(files, chosen)
    details |= {"cores": os.cpu_count(), "load": [round(load, 1) for load in os.getloadavg()]}
    show(title, figures, details, as_json=chosen.json)


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def _tools(chosen: argparse.Namespace) -> list[Tool]:
    mutmut, gremlins, cosmic_ray = (scripts_of(name, chosen.environments) for name in VERSIONS)
    batches = [] if chosen.no_gremlin_batch else ["--gremlin-batch"]
    theirs = Mutmut(mutmut), Gremlins(gremlins, *batches), CosmicRay(cosmic_ray, chosen.cosmic_ray_sample)
    return [Check(), *theirs]


def _cosmic_ray(
    files: Sequence[tuple[Path, Path]], chosen: argparse.Namespace
) -> tuple[dict[str, float], dict[str, Any]]:
    modules = []
    for target, tests in files:
        modules.append(measure(target, tests, chosen.limit))
        _tell(f"{modules[-1].name} is done")
    both = [pair for module in modules for pair in module.both()]
    full = sum(module.their_seconds for module in modules)
    figures = {
        "mutation_time_vs_cosmic_ray": full / sum(module.our_seconds for module in modules),
        "mutation_sample_time_vs_cosmic_ray": full / sum(module.default_seconds for module in modules),
        "mutation_agreement": sum(a.detected == b.detected for a, b in both) / len(both),
    }
    details: dict[str, Any] = {module.name: module.details(chosen.limit) for module in modules}
    if not chosen.json:  # one line for each
        details = {f"{name}, {what}": value for name, each in details.items() for what, value in each.items()}
    return figures, details


def measure(target: Path, tests: Path, limit: int) -> Module:
    """Both, in copies of their own. Our time is the mean of two runs, since others may use the machine."""
    project, module, file = place(target, tests)
    theirs = CosmicRay(Path(sysconfig.get_path("scripts")))
    with tempfile.TemporaryDirectory() as folder:
        copies = [copied(project, Path(folder) / name) for name in ("theirs", "ours")]
        for copy in copies:
            theirs.test(copy, module, file)  # once before, so that there is bytecode as in any project
        code = _code(copies[1] / module)
        plan, of_theirs = plan_file(copies[1] / file, code), _of_cosmic_ray(code.source)
        before, before_seconds = _ours(plan, of_theirs, None)
        session = theirs.session(copies[0], module, file)
        after, after_seconds = _ours(plan, of_theirs, None)
        default, default_seconds = _ours(plan, mutants(code.source), limit)
    ran = [(item["mutations"][0], done) for item, done in session.rows if done["worker_outcome"] == "normal"]
    fates = [_theirs(code.source, mutation, done["test_outcome"] != "survived") for mutation, done in ran]
    name, our_seconds = f"{project.name}/{module.as_posix()}", (before_seconds + after_seconds) / 2
    return Module(name, fates, before, after, default, session.seconds, our_seconds, default_seconds)


def _theirs(source: str, mutation: Mapping[str, Any], detected: bool) -> Theirs:
    # Late: only what measures needs cosmic-ray.
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    mutated = mutate_code(source, get_operator(mutation["operator_name"])(), mutation["occurrence"])
    shown = f"line {mutation['start_pos'][0]}: {mutation['operator_name']} {mutation['occurrence']}"
    return Theirs(key(mutated), shown, detected)


def key(source: str) -> str:
    """The module's syntax tree, in which a mutant is the same however it is written; empty where there is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(source, "<target>", "exec", dont_inherit=True)
            return ast.dump(parse(source.replace(THEIR_EXCEPTION, DISABLED)))
    except (SyntaxError, ValueError):
        return ""


def _code(target: Path) -> CodeUnderTest:
    source = read_source(target)
    root, module = package_root(target)
    return CodeUnderTest(
        source=source, shown=source, module=module, path=str(target), root=str(root), interpreter=sys.executable
    )


def _of_cosmic_ray(source: str) -> list[Mutant]:
    """Those of our mutants that cosmic-ray's operators make."""
    text = Text(source)
    theirs = {text.applied(edit) for edit in kept_edits(text, every=True)}
    return [mutant for mutant in mutants(source, every=True) if mutant.source in theirs]


def _ours(plan: Plan, found: list[Mutant], limit: int | None) -> tuple[list[Ours], float]:
    """The fates of ``found`` with one worker, and the seconds with the search, the worker's start and the measured run."""
    began = time.perf_counter()
    mutants(plan.code.source, every=limit is None)
    with Runner(workers=1) as runner, mock.patch.object(running, "mutants", return_value=found):
        baseline = runner.execute(plan)
        assert baseline.run.passed, baseline.run.log
        fates = running.try_mutants(runner, plan, baseline, limit=limit, every=limit is None)
    seconds = time.perf_counter() - began
    return [Ours(key(mutant.source), mutant, fate) for mutant, fate in fates.of], seconds


def _score(tried: Sequence[Theirs] | Sequence[Ours], seconds: float) -> str:
    hits, of = sum(each.detected for each in tried), len(tried)
    low, high = rate(hits, of).bounds
    each = seconds / of * 1e3
    return f"{of} mutants, {hits / of:.1%} detected ({low:.1%} to {high:.1%}), {seconds:.1f} s, {each:.0f} ms each"


if __name__ == "__main__":
    main()
