r"""Our mutants against a full run of cosmic-ray: ``python -m benchmarks.perf.mutation --target FILE --tests FILE ...``.

``mutation_time_vs_cosmic_ray``: how many times as long cosmic-ray takes as we do for all of its mutants, one worker each.
``mutation_sample_time_vs_cosmic_ray``: the same against our default operators with at most ``--limit`` mutants.
``mutation_agreement``: the share of the mutants that both tried with the same fate: detected or not.

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
import json
import os
import random
import shlex
import shutil
import subprocess
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
from benchmarks.perf.table import show
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
LEAST_SECONDS = 2.0  # a mutant gets so long, or ``SLOWER`` times as long as the tests themselves, as it does with us
SLOWER = 10
CONFIG = """\
[cosmic-ray]
module-path = {module}
timeout = {seconds}
excluded-modules = []
test-command = {command}
[cosmic-ray.distributor]
name = "local"
[cosmic-ray.filters.operators-filter]
exclude-operators = ["core/VariableInserter", "core/VariableReplacer"]
"""


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
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    if not chosen.target or len(chosen.target) != len(chosen.tests):
        parser.error("give one or more modules with --target FILE, and the test file of each with --tests FILE")
    modules = []
    for target, tests in zip(chosen.target, chosen.tests, strict=True):
        modules.append(measure(target.resolve(), tests.resolve(), chosen.limit))
        print(f"{modules[-1].name} is done", file=sys.stderr)
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
    details |= {"cores": os.cpu_count(), "load": [round(load, 1) for load in os.getloadavg()]}
    show("mutation", figures, details, as_json=chosen.json)


def measure(target: Path, tests: Path, limit: int) -> Module:
    """Both, in copies of their own. Our time is the mean of two runs, since others may use the machine."""
    project = Path(os.path.commonpath([target.parent, tests.parent]))
    places = target.relative_to(project), tests.relative_to(project)
    with tempfile.TemporaryDirectory() as folder:
        copies = [Path(folder) / name / project.name for name in ("theirs", "ours")]
        for copy in copies:
            shutil.copytree(project, copy, ignore=shutil.ignore_patterns("__pycache__", ".git", ".pytest_cache"))
            _pytest(copy, *places)  # once before, so that there is bytecode as in any project
        code = _code(copies[1] / places[0])
        plan, of_theirs = plan_file(copies[1] / places[1], code), _of_cosmic_ray(code.source)
        before, before_seconds = _ours(plan, of_theirs, None)
        theirs, their_seconds = _cosmic_ray(copies[0], *places)
        after, after_seconds = _ours(plan, of_theirs, None)
        default, default_seconds = _ours(plan, mutants(code.source), limit)
    name, our_seconds = f"{project.name}/{places[0].as_posix()}", (before_seconds + after_seconds) / 2
    return Module(name, theirs, before, after, default, their_seconds, our_seconds, default_seconds)


def _cosmic_ray(project: Path, target: Path, tests: Path) -> tuple[list[Theirs], float]:
    """What cosmic-ray says of every mutant, and the seconds that it took to find and to try them."""
    source = read_source(project / target)
    seconds = max(LEAST_SECONDS, SLOWER * _pytest(project, target, tests))
    config, session = str(project.parent / "config.toml"), str(project.parent / "session.sqlite")
    texts = {"module": json.dumps(str(target)), "command": json.dumps(shlex.join(_command(tests)))}  # as TOML has them
    Path(config).write_text(CONFIG.format(seconds=seconds, **texts))

    def call(name: str, *arguments: str) -> str:
        run = [str(Path(sysconfig.get_path("scripts")) / name), *arguments]
        environment = _environment(project / target)
        return subprocess.run(run, cwd=project, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout

    began = time.perf_counter()
    call("cosmic-ray", "init", config, session)
    call("cr-filter-operators", session, config)
    call("cosmic-ray", "exec", config, session)
    taken = time.perf_counter() - began
    assert read_source(project / target) == source
    rows = map(json.loads, call("cosmic-ray", "dump", session).splitlines())
    ran = [(item["mutations"][0], done) for item, done in rows if done["worker_outcome"] == "normal"]
    return [_theirs(source, mutation, done["test_outcome"] != "survived") for mutation, done in ran], taken


def _command(tests: Path) -> list[str]:
    return [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", str(tests)]


def _environment(target: Path) -> dict[str, str]:
    paths = [str(package_root(target)[0]), os.environ.get("PYTHONPATH", "")]
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _pytest(project: Path, target: Path, tests: Path) -> float:
    """Seconds of a plain run of the tests, which must pass."""
    began = time.perf_counter()
    subprocess.run(_command(tests), cwd=project, env=_environment(project / target), check=True, capture_output=True)
    return time.perf_counter() - began


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
