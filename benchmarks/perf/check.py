r"""``testing-crew check`` against one cold ``python -m pytest`` of the same file: ``python -m benchmarks.perf.check``.

``check_vs_pytest``: how many times as long the check takes, the median over the files; ``check_cpu_vs_pytest``: the same for
processor time, all processes together, which other work on the machine changes less. Without ``--target`` and ``--tests``
the file is one for the repository's own ``examples/shop``. Modules that bring tests can be had from PyPI::

    pip download --no-binary :all: --no-deps inflection==0.5.1 humanize==4.17.0 boltons==26.2.0 toolz==1.2.0
    for each in *.tar.gz; do tar xzf $each; done
    python -m benchmarks.perf.check --target boltons-26.2.0/boltons/mathutils.py --tests boltons-26.2.0/tests/test_mathutils.py
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.perf.table import show
from testing_crew.check import check_file
from testing_crew.gate.gate import Gate
from testing_crew.project.imports import import_root
from testing_crew.runner.run import Runner

SHOP = Path(__file__).parents[2] / "examples" / "shop"
SHOP_TESTS = """\
import pytest
from prices import above, cheapest, net_price, share


@pytest.mark.parametrize(("price", "rate", "expected"), [(10, 0.2, 12.0), (0, 0.2, 0), (9.99, 0.07, 10.69)])
def test_net_price(price, rate, expected):
    assert net_price(price, rate) == expected


def test_share():
    assert share(10, 4) == 2.5


def test_above():
    assert above([1, 5, 3], 3) == [5]


def test_cheapest():
    assert cheapest([3, 1, 2]) == 1


@pytest.mark.parametrize(("call", "arguments"), [(net_price, [-1]), (share, [1, 0]), (cheapest, [[]])])
def test_refused(call, arguments):
    with pytest.raises(ValueError):
        call(*arguments)
"""


@dataclass
class Times:
    """Seconds of wall and of processor time, one entry for each run."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{statistics.median(self.wall):.2f} s ({statistics.median(self.cpu):.2f} s CPU)"

    @contextmanager
    def one(self) -> Iterator[None]:
        began, used = time.perf_counter(), _cpu()
        yield
        self.wall.append(time.perf_counter() - began)
        self.cpu.append(_cpu() - used)


@dataclass(frozen=True)
class Measured:
    """One test file."""

    name: str
    pytest: Times
    check: Times
    report: dict[str, Any]
    parts: str

    def ratio(self, kind: str) -> float:
        ours, theirs = (each.cpu if kind == "cpu" else each.wall for each in (self.check, self.pytest))
        return statistics.median(ours) / statistics.median(theirs)

    def __str__(self) -> str:
        found = self.report
        steady, mutants = found["stability"] or {}, found["mutants"] or {}
        runs = f"{steady.get('runs')} runs, {mutants.get('tried')} of {mutants.get('found')} mutants"
        return (
            f"{self.ratio('wall'):.1f} times ({self.ratio('cpu'):.1f} CPU): pytest {self.pytest}, check {self.check}, "
            f"{found['verdict']}, {runs}; {self.parts}"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", action="append", type=Path, default=[], help="a module; may be given again")
    parser.add_argument("--tests", action="append", type=Path, default=[], help="its test file; may be given again")
    parser.add_argument("--pairs", type=int, default=3, help="of a pytest run and a check, for each file")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    if len(chosen.target) != len(chosen.tests):
        parser.error("give each module with --target FILE, and its test file with --tests FILE")
    with tempfile.TemporaryDirectory() as folder:
        files = list(zip(chosen.target, chosen.tests, strict=True)) or [_shop(Path(folder) / "shop")]
        measured = [measure(target.resolve(), tests.resolve(), chosen.pairs) for target, tests in files]
    figures = {
        "check_vs_pytest": statistics.median(each.ratio("wall") for each in measured),
        "check_cpu_vs_pytest": statistics.median(each.ratio("cpu") for each in measured),
    }
    details: dict[str, Any] = {each.name: str(each) for each in measured}
    details |= {"cores": os.cpu_count(), "load": [round(load, 1) for load in os.getloadavg()]}
    show("check", figures, details, as_json=chosen.json)


def _shop(folder: Path) -> tuple[Path, Path]:
    shutil.copytree(SHOP, folder)
    (folder / "test_prices.py").write_text(SHOP_TESTS)
    return folder / "prices.py", folder / "test_prices.py"


def measure(target: Path, tests: Path, pairs: int) -> Measured:
    """Both commands in turn, each in a process of its own, then where the time of a check goes."""
    project = Path(os.path.commonpath([target.parent, tests.parent]))
    plain, check = Times(), Times()
    said = ""
    _pytest(project, target, tests)  # so that there is bytecode
    for _ in range(pairs):
        with plain.one():
            _pytest(project, target, tests)
        with check.one():
            words = ["-m", "self_improve.cli.app", "check", str(tests), "--target", str(target), "--json"]
            said = _call(project, target, words, allowed=(0, 1))
    report = json.loads(said)
    return Measured(f"{project.name}/{target.name}", plain, check, report, _parts(target, tests))


def _parts(target: Path, tests: Path) -> str:
    """Where the time goes, from one check in this process: what is imported already is not in it."""
    seen: dict[str, float] = {}
    began = time.perf_counter()

    def tell(what: str, done: int, of: int) -> None:
        seen.setdefault(f"first of the {what}", time.perf_counter() - began)
        seen[f"last of the {what}"] = time.perf_counter() - began

    with Runner() as runner:
        check_file(tests, target, Gate(runner, mutants=100, seconds=None), tell=tell)
        seen["all"] = time.perf_counter() - began
    seen["closed"] = time.perf_counter() - began
    return "after " + ", ".join(f"{seconds:.2f} s {what}" for what, seconds in seen.items())


def _pytest(project: Path, target: Path, tests: Path) -> None:
    _call(project, target, ["-m", "pytest", "-q", "-p", "no:cacheprovider", str(tests)], allowed=(0,))


def _call(project: Path, target: Path, words: Sequence[str], allowed: Sequence[int]) -> str:
    paths = [str(import_root(target)[0]), str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment = {**kept, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    done = subprocess.run(
        [sys.executable, *words], cwd=project, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode in allowed, done.stdout + done.stderr
    return done.stdout


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


if __name__ == "__main__":
    main()
