"""Run a test file against the code that it is for, contained, and say what pytest said.

Each run is a cold process: the target's own interpreter, pytest with our plugin, inside the best sandbox of this machine.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from testing_crew.errors import SandboxError, UserMistake
from testing_crew.runner import sandbox as box
from testing_crew.runner.interpreter import Interpreter, inspect_interpreter
from testing_crew.runner.inside.launch import STARTED, USAGE, VARIABLE
from testing_crew.runner.limits import Limits
from testing_crew.runner.process import Finished, run_child
from testing_crew.runner.project import module_file, pytest_settings, top_of, unit_range
from testing_crew.runner.scratch import PROBE_PACKAGE, Scratch
from testing_crew.runner.verdict import decide, read_report, read_usage
from trace_logger.records import CodeUnderTest, Coverage, PytestRun

__all__ = ["Limits", "Runner"]

TEST_NAME = "test_generated.py"
_KEPT_VARIABLES = ("PATH", "LANG", "LANGUAGE", "TZ", "LD_LIBRARY_PATH", "SYSTEMROOT", "WINDIR", "COMSPEC", "PATHEXT")
_PYTEST = ["-q", "--tb=short", "--color=no", "--no-header", "-p", f"{PROBE_PACKAGE}.plugin", "-p", "no:cacheprovider"]
_OVERRIDES = ["addopts=", "log_file="]
_DEFAULT_NAMES = ["python_functions=test", "python_classes=Test"]


@dataclass(frozen=True)
class _Plan:
    """One run: ``test`` in view of ``target``, started in ``cwd``, with ``path`` in front of what can be imported."""

    code: CodeUnderTest
    test: Path
    target: Path
    cwd: Path
    path: tuple[Path, ...]
    options: tuple[str, ...]
    needed: tuple[Path, ...]


class Runner:
    """Runs test files. One object may serve many runs, also from several threads at once.

    ``sandbox`` asks for one of `sandbox.KINDS` in place of the best that works here.
    """

    def __init__(self, limits: Limits | None = None, *, sandbox: box.Kind | None = None) -> None:
        self.limits = limits or Limits()
        self._sandbox = sandbox

    def run(self, code: CodeUnderTest, tests: str, *, files: Mapping[str, str] | None = None) -> PytestRun:
        """Run the text ``tests`` against ``code``.

        ``files`` (relative path → text) are put beside the tests, before the project in what can be imported. Without
        them (None), code that stands in no file is written there under its module's name. `PytestRun.target_origin` is
        relative to that folder for a target in it.

        Raises `UserMistake` for an interpreter or a root that cannot be used, `SandboxError` when nothing could be run.
        """
        interpreter = inspect_interpreter(code.interpreter)
        with Scratch() as scratch:
            beside = dict(files or {})
            if files is None and code.path is None:
                beside = {module_file(code.module): code.source}
            for relative, text in beside.items():
                scratch.write(relative, text)
            test = scratch.write(TEST_NAME, tests)
            root = _root(code, scratch.work)
            settings = pytest_settings(root, interpreter.pytest)
            options = ["--rootdir", str(root), "--confcutdir", str(scratch.work), *_overrides(*_DEFAULT_NAMES)]
            plan = _Plan(
                code=code,
                test=test,
                target=Path(code.path) if code.path else scratch.work / module_file(code.module),
                cwd=root,
                path=(scratch.work, root) if beside else (root,),
                options=(*options, *_settings_option(settings)),
                needed=(root, *([settings] if settings else [])),
            )
            return self._execute(plan, interpreter, scratch)

    def verify(self, code: CodeUnderTest, tests: str) -> PytestRun:
        """Run ``tests`` against ``code`` again: the `Verifier` of `trace_logger`."""
        return self.run(code, tests)

    def check(self, test_path: Path, code: CodeUnderTest) -> PytestRun:
        """Run a person's own test file where it stands, with its ``conftest.py`` and whatever its name.

        A file that pytest cannot import (its name does not end in ``.py``, or has another dot) is run from a copy, with
        copies of the ``conftest.py`` files above it.

        Raises `UserMistake` for a file, an interpreter or a root that cannot be used, `SandboxError` when nothing could be
        run.
        """
        test = Path(os.path.abspath(test_path))
        if not test.is_file():
            raise UserMistake(f"There is no test file at {test_path}.")
        interpreter = inspect_interpreter(code.interpreter)
        with Scratch() as scratch:
            if code.path is None:
                scratch.write(module_file(code.module), code.source)
            root = _root(code, scratch.work)
            settings = pytest_settings(test.parent, interpreter.pytest)
            top = top_of(root, settings, test)
            path = [root, test.parent, top]
            mode = "prepend"
            if test.suffix != ".py" or "." in test.stem:
                test = _copied(test, top, scratch.work)
            elif test.stem == code.module.partition(".")[0]:
                mode = "importlib"  # as a module of that name it would hide the target
            plan = _Plan(
                code=code,
                test=test,
                target=Path(code.path) if code.path else scratch.work / module_file(code.module),
                cwd=top,
                path=(*([] if code.path else [scratch.work]), *path),
                options=(
                    "--rootdir",
                    str(top),
                    "--confcutdir",
                    str(top),
                    f"--import-mode={mode}",
                    *_settings_option(settings),
                ),
                needed=(root, top, *([settings] if settings else [])),
            )
            return self._execute(plan, interpreter, scratch)

    def _kind(self) -> box.Kind:
        if self._sandbox is None:
            return box.available()[0]
        if self._sandbox not in box.available():
            raise SandboxError(
                f"The sandbox {self._sandbox!r} does not work on this machine; {', '.join(box.available())} do.",
                hint="Install bubblewrap, or let the runner choose.",
            )
        return self._sandbox

    def _execute(self, plan: _Plan, interpreter: Interpreter, scratch: Scratch) -> PytestRun:
        kind = self._kind()
        places = (interpreter.executable, *interpreter.places, str(plan.target))
        view = box.View(
            scratch=str(scratch.path),
            slash_tmp=str(scratch.slash_tmp),
            needed=box.needed_paths([*map(str, plan.needed), *places]),
            cwd=str(plan.cwd),
        )
        pytest = [*_PYTEST, *_overrides(*_OVERRIDES), *plan.options, str(plan.test)]
        finished = run_child(
            box.wrap(kind, [interpreter.executable, str(scratch.launcher), *pytest], view),
            self._environment(plan, interpreter, scratch, kind),
            str(plan.cwd),
            self.limits.wall_seconds,
            self.limits.output_bytes,
            mark=f"HOME={scratch.home}" if kind == "limits" and sys.platform == "linux" else "",
        )
        described = box.DESCRIPTIONS[kind] + (view.remarks if kind != "limits" else "")
        run = _record(plan, finished, scratch, self.limits, described)
        if run.verdict == "crashed" and not Path(f"{scratch.report}{STARTED}").exists():
            raise SandboxError(f"pytest could not be started: {finished.output.strip() or 'the sandbox ended at once'}")
        return run

    def _environment(self, plan: _Plan, interpreter: Interpreter, scratch: Scratch, kind: box.Kind) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if k.upper() in _KEPT_VARIABLES or k.startswith("LC_")}
        tmp = str(scratch.tmp)
        settings = {
            "report": str(scratch.report),
            "module": plan.code.module,
            "target": os.path.realpath(plan.target),
            "test": os.path.realpath(plan.test),
            "range": unit_range(plan.code.source, plan.code.unit),
            "die_with_parent": kind == "limits",
            "limits": {**asdict(self.limits), "processes": _processes(self.limits.processes, kind)},
        }
        if interpreter.user_base:
            kept["PYTHONUSERBASE"] = interpreter.user_base
        return {
            **kept,
            "HOME": str(scratch.home),
            "USERPROFILE": str(scratch.home),
            **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), tmp),
            "COLUMNS": "120",
            "PYTHONPATH": os.pathsep.join(map(str, plan.path)),
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
            # One thread each: numerical libraries reserve memory by the number of cores, up to the limit of the run.
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            VARIABLE: json.dumps(settings),
        }


def _root(code: CodeUnderTest, work: Path) -> Path:
    root = Path(os.path.abspath(code.root))
    if code.path is None and not (code.root and root.is_dir()):
        return work  # a snippet needs no project
    if not root.is_dir():
        raise UserMistake(f"There is no folder at {code.root}, which should be the root of {code.module}.")
    return root


def _overrides(*settings: str) -> list[str]:
    return [word for setting in settings for word in ("-o", setting)]


def _settings_option(settings: Path | None) -> list[str]:
    return ["-c", str(settings)] if settings else ["-c", os.devnull]


def _copied(test: Path, top: Path, work: Path) -> Path:
    """A copy of ``test`` under a name that pytest takes, with the ``conftest.py`` files from ``top`` down to it."""
    place = work
    for folder in [top, *(p for p in reversed(test.parents) if p.is_relative_to(top) and p != top)]:
        place = work / folder.relative_to(top)
        place.mkdir(parents=True, exist_ok=True)
        if (folder / "conftest.py").is_file():
            shutil.copyfile(folder / "conftest.py", place / "conftest.py")
    return Path(shutil.copyfile(test, place / TEST_NAME))


def _processes(wanted: int, kind: box.Kind) -> int | None:
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


def _record(plan: _Plan, finished: Finished, scratch: Scratch, limits: Limits, described: str) -> PytestRun:
    report = read_report(scratch.report)
    usage = read_usage(Path(f"{scratch.report}{USAGE}"))
    verdict, hits = decide(finished, report, usage, limits)
    common = {
        "verdict": verdict,
        "exit_code": None if finished.timed_out else finished.exit_code,
        "duration": finished.seconds,
        "log": finished.output,
        "limits_hit": hits,
        "sandbox": described,
    }
    if report is None:
        return PytestRun.model_validate(common)
    origin = report.origin
    if origin and Path(origin).is_relative_to(scratch.work):
        origin = Path(origin).relative_to(scratch.work).as_posix()
    folders = [f"{folder}{os.sep}" for folder in (scratch.work, plan.cwd)]
    return PytestRun.model_validate(
        {
            **common,
            "cases": tuple(c.model_copy(update={"message": _without(c.message, folders)}) for c in report.cases),
            "coverage": report.coverage or Coverage(),
            "asserted_lines": report.asserted,
            "target_origin": origin,
        }
    )


def _without(message: str, folders: list[str]) -> str:
    for folder in folders:
        message = message.replace(folder, "")
    return message
