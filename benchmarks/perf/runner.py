"""The runner against `python -m pytest`: ``python -m benchmarks.perf.runner [--json] [--pairs N] [--runs N]``.

On a file with one test. ``warm_vs_cold``: how many warm runs take the time of one cold ``python -m pytest``.
``warm_cov_vs_pytest_cov``: the same with branch coverage, against ``pytest --cov --cov-branch``. ``mutant_vs_warm``: the time
of a mutant's run in warm runs. ``two_workers_vs_one``: the throughput of two workers in that of one. Then ``--runs`` runs in a
row, with what grew.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.perf.table import paired, quartiles, show
from testing_crew.runner.plan import Plan, Variation, plan_text
from testing_crew.runner.run import Runner
from trace_logger.records import CodeUnderTest

MODULE = '''\
"""Prices."""


def total(prices, discount=0):
    """The sum of ``prices``, less a discount in percent."""
    if not 0 <= discount <= 100:
        raise ValueError("discount out of range")
    amount = 0
    for price in prices:
        if price < 0:
            continue
        amount += price
    return amount * (100 - discount) / 100
'''
ONE_TEST = """\
from prices import total


def test_total():
    assert total([10, 20, -5], 50) == 15
"""
SIX_TESTS = """\
import pytest
from prices import total


@pytest.mark.parametrize(("prices", "discount", "expected"), [([], 0, 0), ([10, 20], 0, 30), ([10, -5], 50, 5)])
def test_total(prices, discount, expected):
    assert total(prices, discount) == expected


def test_no_discount():
    assert total([1, 2, 3]) == 6


@pytest.mark.parametrize("discount", [-1, 101])
def test_out_of_range(discount):
    with pytest.raises(ValueError):
        total([1], discount)
"""
MUTANT = MODULE.replace("amount += price", "amount -= price")
BARE = Variation(measure=False)
CHANGED = Variation(measure=False, source=MUTANT, stop_first=True)
BLOCK = 40


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--pairs", type=int, default=30, help="pairs of measurements for each ratio")
    parser.add_argument("--runs", type=int, default=5000, help="runs in a row whose leftovers are counted; 0 for none")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "prices.py").write_text(MODULE)
        (root / "test_prices.py").write_text(ONE_TEST)
        (root / "test_six.py").write_text(SIX_TESTS)
        figures, details = measure(root, chosen.pairs)
        if chosen.runs:
            details["runs in a row"] = leftovers(root, chosen.runs)
    show("runner", figures, details, as_json=chosen.json)


def measure(root: Path, pairs: int) -> tuple[dict[str, float], dict[str, Any]]:
    """The ratios, and the times that they come from."""
    plan = _plan(root)
    with Runner(workers=1) as one, Runner(workers=2) as two:
        seen = one.execute(plan)
        assert seen.run.warm, seen.run.sandbox
        one.execute(plan, BARE)
        assert one.execute(plan, CHANGED).run.verdict == "failed"
        memory = _memory(os.getpid())  # the other runner has no worker yet
        cold, warm = paired(lambda: _pytest(root), lambda: one.execute(plan, BARE), pairs)
        covered, measured = paired(lambda: _pytest(root, *_coverage()), lambda: one.execute(plan), pairs)
        six = _plan(root, SIX_TESTS)
        six_cold, six_warm = paired(lambda: _pytest(root, file="test_six.py"), lambda: one.execute(six, BARE), pairs)
        again, changed = paired(lambda: one.execute(plan, BARE), lambda: one.execute(plan, CHANGED), pairs)
        two.execute(plan, BARE)
        two.prepare(plan, runs=10_000)
        _block(two, plan, 2)  # meanwhile the second worker starts
        alone, together = paired(lambda: _block(one, plan, 1), lambda: _block(two, plan, 2), max(pairs // 4, 5))
    middle = statistics.median
    figures = {
        "warm_vs_cold": middle(cold) / middle(warm),
        "warm_cov_vs_pytest_cov": middle(covered) / middle(measured),
        "mutant_vs_warm": middle(changed) / middle(again),
        "two_workers_vs_one": middle(alone) / middle(together),
    }
    details = {
        "pairs": pairs,
        "python -m pytest": quartiles(cold),
        "warm": quartiles(warm),
        " ".join(["python -m", *_coverage_words()]): quartiles(covered),
        "warm with branch coverage": quartiles(measured),
        "mutant": quartiles(changed),
        "six cases": f"{quartiles(six_cold)} cold, {quartiles(six_warm)} warm: {middle(six_cold) / middle(six_warm):.2f}",
        f"one worker, {BLOCK} runs": quartiles(alone),
        f"two workers, {BLOCK} runs": quartiles(together),
        "memory of a worker, MiB": round(memory / 2**20, 1),
        "sandbox": seen.run.sandbox,
        "cores": os.cpu_count(),
    }
    return figures, details


def leftovers(root: Path, runs: int) -> dict[str, Any]:
    """What this process and its workers hold after a tenth of ``runs`` runs, and after all of them."""
    plan = _plan(root)
    with Runner(workers=1) as runner:
        began = time.perf_counter()
        for _ in range(runs // 10):
            assert runner.execute(plan, BARE).run.passed
        before = _held()
        for _ in range(runs - runs // 10):
            assert runner.execute(plan, BARE).run.passed
        seconds = time.perf_counter() - began
        after = _held()
    growth = {name: {f"after {runs // 10}": before[name], f"after {runs}": after[name]} for name in before}
    return {"runs": runs, "seconds": round(seconds, 1), **growth}


def _plan(root: Path, tests: str = ONE_TEST) -> Plan:
    code = CodeUnderTest(
        source=MODULE,
        shown=MODULE,
        module="prices",
        unit="total",
        path=str(root / "prices.py"),
        root=str(root),
        interpreter=sys.executable,
    )
    return plan_text(code, tests)


def _pytest(root: Path, *more: str, file: str = "test_prices.py") -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *more, file]
    subprocess.run(command, cwd=root, check=True, capture_output=True)


def _coverage() -> list[str]:
    return ["--cov=prices", "--cov-branch", "--cov-report=term-missing"]


def _coverage_words() -> list[str]:
    return ["pytest", "--cov", "--cov-branch"]


def _block(runner: Runner, plan: Plan, threads: int) -> None:
    with ThreadPoolExecutor(threads) as pool:
        assert all(done.run.passed for done in pool.map(lambda _: runner.execute(plan, BARE), range(BLOCK)))


def _descendants(pid: int) -> list[int]:
    children: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            children += [int(word) for word in (task / "children").read_text().split()]
    return [pid for child in children for pid in (child, *_descendants(child))]


def _memory(pid: int) -> int:
    """Bytes of memory of all processes below ``pid``, what several share divided among them: of one idle worker."""
    total = 0
    for child in _descendants(pid):
        with contextlib.suppress(OSError):  # it has just ended
            lines = Path(f"/proc/{child}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def _held() -> dict[str, int]:
    me = os.getpid()
    time.sleep(0.5)  # what has just ended is gone
    status = Path("/proc/self/status").read_text()
    resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    return {
        "KiB resident": resident,
        "KiB of the worker": _memory(me) // 1024,
        "file handles": len(os.listdir("/proc/self/fd")),
        "processes": len(_descendants(me)),
        "scratch files": sum(
            len(files) + len(dirs) for _, dirs, files in os.walk(tempfile.gettempdir()) if "tcrew-" in _
        ),
    }


if __name__ == "__main__":
    main()
