"""Rewards a second: ``python -m benchmarks.perf.reward [--json] [--cold N]``.

The reward of 240 files (the tests of our 60 tasks as they are, with a wrong expectation, hollow, and twice as long) by one
command, its start included, against a cold ``python -m pytest`` for each of ``--cold`` of them, as many at once as there are
processors. ``without_mutants`` and ``with_mutants`` are rewards a second in cold runs a second.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.task import TASKS, load_tasks, oracle_for

_MODULE = "target"


def files() -> list[dict[str, str]]:
    """Rows of code and tests: right, wrong, hollow, and long, of each task."""
    rows = []
    for task in load_tasks(TASKS):
        right = oracle_for(task, _MODULE)
        head = right.partition("\n")[0]
        name = head.rpartition(" ")[2]
        wrong = re.sub(r"^(\s+)assert (.*)$", r"\1assert not (\2)", right, count=1, flags=re.MULTILINE)
        hollow = f"{head}\n\n\ndef test_a():\n    assert {name} is not None\n"
        again = right.replace("def test_", "def test_again_").partition("\n")[2]
        rows += [
            {"code": task.code, "tests": tests, "module": _MODULE} for tests in (right, wrong, hollow, right + again)
        ]
    return rows


def cold(rows: list[dict[str, str]]) -> float:
    """Cold runs a second."""

    def one(row: dict[str, str]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / f"{_MODULE}.py").write_text(row["code"], encoding="utf-8")
            (Path(folder) / "test_it.py").write_text(row["tests"], encoding="utf-8")
            subprocess.run([sys.executable, "-m", "pytest", "-q"], cwd=folder, capture_output=True, check=False)

    began = time.monotonic()
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        list(threads.map(one, rows))
    return len(rows) / (time.monotonic() - began)


def graded(rows: list[dict[str, str]], mutants: int) -> tuple[float, list[dict[str, object]]]:
    """Rewards a second, and the rewards."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            "self_improve.cli.app",
            "reward",
            str(file),
            "--mutants",
            str(mutants),
            "--json",
        ]
        began = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds = time.monotonic() - began
    return len(rows) / seconds, [json.loads(line) for line in done.stdout.splitlines()]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cold", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = files()
    slow = cold(rows[:: max(1, len(rows) // options.cold)])
    plain, _ = graded(rows, 0)
    whole, rewards = graded(rows, 10)
    kinds = [rewards[start::4] for start in range(4)]
    found = {
        "files": len(rows),
        "cold_a_second": round(slow, 2),
        "without_mutants_a_second": round(plain, 2),
        "with_mutants_a_second": round(whole, 2),
        "without_mutants": round(plain / slow, 2),
        "with_mutants": round(whole / slow, 2),
        "mean_reward": {
            name: round(sum(float(str(r["value"])) for r in kind) / len(kind), 3)
            for name, kind in zip(("right", "wrong", "hollow", "long"), kinds, strict=True)
        },
    }
    print(
        json.dumps(found, indent=2) if options.json else "\n".join(f"{name}: {value}" for name, value in found.items())
    )


if __name__ == "__main__":
    main()
