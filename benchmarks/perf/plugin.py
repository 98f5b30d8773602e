"""What the pytest plugin costs a run that does not ask for it: ``python -m benchmarks.perf.plugin``.

Whole processes of ``python -m pytest`` on a small suite, with the plugin installed and off, against ``-p no:testing_crew``, in
turn. ``plugin_off`` is the median over the pairs of how many times as long the first takes, of wall time; ``plugin_off_cpu``
of processor time, which other work on the machine changes less. ``import`` is what the plugin's import alone takes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from benchmarks.perf.check import SHOP_TESTS, Times
from benchmarks.perf.table import quartiles, show

SHOP = Path(__file__).parents[2] / "examples" / "shop"
WITHOUT = ("-p", "no:testing_crew")
IMPORT = (
    "import pytest, time; t = time.perf_counter(); import testing_crew.pytest_plugin; print(time.perf_counter() - t)"
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=40, help="of a run with the plugin and one without")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    if "testing_crew" not in entry_points(group="pytest11").names:
        parser.error("the plugin is not installed here: pip install --no-deps -e .")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "prices.py").write_bytes((SHOP / "prices.py").read_bytes())
        (Path(folder) / "test_prices.py").write_text(SHOP_TESTS)
        off, without = measure(Path(folder), chosen.pairs)
    figures: dict[str, float] = {}
    details: dict[str, Any] = {"pairs": chosen.pairs}
    for name, ours, theirs in (("plugin_off", off.wall, without.wall), ("plugin_off_cpu", off.cpu, without.cpu)):
        ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
        low, figures[name], high = statistics.quantiles(ratios, n=4)
        details[name] = f"{figures[name]:.3f} ({low:.3f} to {high:.3f}): {quartiles(ours)} and {quartiles(theirs)}"
    took = [float(_call(Path.cwd(), "-c", IMPORT)) for _ in range(20)]
    details["import"] = f"{quartiles(took)}, {statistics.median(took) / statistics.median(without.wall):.2%} of a run"
    details |= {"cores": os.cpu_count(), "load": [round(load, 1) for load in os.getloadavg()]}
    show("pytest with the plugin off, against none", figures, details, as_json=chosen.json)


def measure(project: Path, pairs: int) -> tuple[Times, Times]:
    """Wall and processor seconds of runs with the plugin and without, after one of each that is not counted.

    Which of a pair comes first changes from one to the next.
    """
    off, without = Times(), Times()
    _run(project)
    _run(project, *WITHOUT)
    for number in range(pairs):
        order = [(off, ()), (without, WITHOUT)]
        for times, words in order if number % 2 else reversed(order):
            with times.one():
                _run(project, *words)
    return off, without


def _run(project: Path, *words: str) -> None:
    _call(project, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words, "test_prices.py")


def _call(folder: Path, *words: str) -> str:
    return subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, check=True, text=True).stdout


if __name__ == "__main__":
    main()
