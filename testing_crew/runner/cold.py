"""One run in a process of its own from the start: the target's interpreter, pytest with our plugin, inside the sandbox."""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from pathlib import Path

from testing_crew.project.python import Interpreter, variables
from testing_crew.runner import sandbox as box
from testing_crew.runner.inside.around import read_plain
from testing_crew.runner.inside.launch import USAGE, VARIABLE
from testing_crew.runner.inside.room import MOST_REPORT_BYTES
from testing_crew.runner.plan import Limits, Plan, Variation
from testing_crew.runner.process import run_child
from testing_crew.runner.scratch import PROBE_PACKAGE, Scratch
from testing_crew.runner.verdict import Ending

KEPT_VARIABLES = ("PATH", "LANG", "LANGUAGE", "TZ", "LD_LIBRARY_PATH", "SYSTEMROOT", "WINDIR", "COMSPEC", "PATHEXT")


def run_cold(
    plan: Plan,
    variation: Variation,
    limits: Limits,
    kind: box.Kind,
    *,
    plain: bool = False,
    instead: Sequence[str] = (),
    stopped: Callable[[], bool] = lambda: False,
) -> tuple[Ending, Path]:
    """Make one run of ``plan``, and say in which folder of its own it was.

    A ``plain`` one is without our plugin; ``instead`` are arguments of pytest's in place of the plan's test file. It ends early
    when ``stopped`` says so.
    """
    with Scratch() as scratch:
        for relative, data in plan.files.items():
            scratch.write(relative, data)
        placed = plan.place(scratch.work)
        started = start_mark()
        view = box.View(str(scratch.path), plan.needed, str(placed.cwd))
        settings = {
            **variation.settings(plan, placed, str(scratch.report)),
            "limits": {**asdict(limits), "process_limit": process_limit(limits.processes, kind)},
            "die_with_parent": kind == "limits",
            "alone": kind != "limits",
            "started": started,
            "behind": placed.behind,
        }
        settings_file = scratch.report.parent / "settings.json"
        settings_file.write_text(json.dumps(settings), encoding="utf-8")
        plugin = [] if plain else ["-p", f"{PROBE_PACKAGE}.watch.plugin"]
        arguments = [*placed.options, *placed.late, *plugin, *(instead or [str(placed.test)])]
        variables = {
            **environment(plan.interpreter, scratch.path, variation.hash_seed, limits.pass_env),
            "PYTHONPATH": os.pathsep.join(placed.path),
            VARIABLE: str(settings_file),
        }
        finished = run_child(
            box.wrap(kind, [plan.interpreter.executable, str(scratch.launcher), *arguments], view),
            variables,
            str(placed.cwd),
            variation.wall_seconds or limits.wall_seconds,
            limits.output_bytes,
            mark=f"HOME={scratch.home}" if kind == "limits" and sys.platform == "linux" else "",
            stopped=stopped,
        )
        cpu_seconds, peak_bytes, over = _usage(f"{scratch.report}{USAGE}")
        ending = Ending(
            exit_code=finished.exit_code,
            output=finished.output.replace(started, "", 1),
            cut_bytes=finished.cut_bytes,
            over="wall" if finished.timed_out else over,
            seconds=finished.seconds,
            started=started in finished.output,
            report=read_plain(str(scratch.report), MOST_REPORT_BYTES),
            cpu_seconds=cpu_seconds,
            peak_bytes=peak_bytes,
        )
        return ending, scratch.work


def environment(interpreter: Interpreter, place: Path, hash_seed: int, passed: Collection[str]) -> dict[str, str]:
    """All the variables that a child gets, whose own folders lie in ``place``; what leads to the target comes later.

    ``passed`` names variables of ours that it gets besides; none of those that are set here.
    """
    kept = {k: v for k, v in variables().items() if k.upper() in KEPT_VARIABLES or k.startswith("LC_") or k in passed}
    if interpreter.user_base:
        kept["PYTHONUSERBASE"] = interpreter.user_base
    return {
        **kept,
        "HOME": str(place / "home"),
        "USERPROFILE": str(place / "home"),
        **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(place / "tmp")),
        "COLUMNS": "120",
        "PYTHONHASHSEED": str(hash_seed),
        "PYTHONDONTWRITEBYTECODE": "1",
        # One thread each: numerical libraries reserve memory by the number of cores, up to the limit of the run.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def process_limit(wanted: int, kind: box.Kind) -> int | None:
    """The limit as the kernel counts: all of the user's processes and threads, unless the namespace has its own count."""
    if not sys.platform.startswith("linux"):
        return None
    if kind != "limits":
        release = tuple(int(part) for part in os.uname().release.split(".")[:2] if part.isdigit())
        return wanted if release >= (5, 14) else None
    running = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if entry.stat().st_uid == os.getuid():
                    running += len(os.listdir(entry / "task"))
            except OSError:  # it ended meanwhile
                continue
    return running + wanted


def start_mark() -> str:
    """What a child says when pytest begins, so that it cannot be unsaid by what the child does to its files."""
    return f"<{secrets.token_hex(16)}>\n"


def _usage(note: str) -> tuple[float | None, int | None, str]:
    try:
        cpu_seconds, peak_bytes, over = json.loads(read_plain(note, 1000) or "")
        return float(cpu_seconds), int(peak_bytes), over if over in ("processes", "memory") else ""
    except (ValueError, TypeError, OverflowError, RecursionError):
        return None, None, ""
