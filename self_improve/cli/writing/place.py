"""A written test file in its place: there whole or not at all, and there only if the project's own pytest can live with it."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from self_improve.cli.writing.plan import Planned
from testing_crew.errors import UserMistake
from testing_crew.project import snippet
from testing_crew.runner.failures import failure_log
from testing_crew.runner.plan import Plan, Variation, plan_file
from testing_crew.runner.run import Runner

_NOTHING_COLLECTED = 5


@dataclass(frozen=True)
class Tried:
    """Why a file could not stay in its place (empty: it stays), what pytest said, and which options it was tried without."""

    reasons: tuple[str, ...]
    said: tuple[str, ...]
    options_left_out: tuple[str, ...]


def put(planned: Planned, tests: str, header: str, runner: Runner) -> Tried:
    """Write ``tests`` and try the file as a plain ``python -m pytest`` of the project would run it, then all that it collects.

    Where it cannot stay, what was there before is there again. Raises UserMistake when the file cannot be written.
    """
    file = planned.test_file
    with _put_back(file) as undo:
        for text in _forms(planned, tests):
            _write(file, (header + text).encode("utf-8"))
            plan = _own_plan(planned)
            verdict, said = _own_run(plan, planned.path, runner)
            if verdict == "passed":
                break
        reasons = [] if verdict == "passed" else [f"written_file:{verdict}"]
        if not reasons and (said := _breaks_collection(plan, runner)):
            reasons = ["breaks_suite"]
        if not reasons:
            undo.pop_all()
    return Tried(tuple(reasons), tuple(said.splitlines()), plan.options.left_out)


def _own_run(plan: Plan, target: Path, runner: Runner) -> tuple[str, str]:
    run = runner.execute_cold(plan, Variation(measure=False)).run
    if run.passed and run.target_origin and os.path.realpath(run.target_origin) != os.path.realpath(target):
        return "elsewhere", f"the project imports {run.target_origin} and not {target}"
    return run.verdict, failure_log(run)


def _forms(planned: Planned, tests: str) -> Iterator[str]:
    """The file as it is; then, where no import reaches the target in the project's own runs, with a header that leads to it."""
    unit, file = planned.target.units[0], planned.test_file
    if planned.target.is_snippet:
        yield snippet.attach_loader(tests, planned.path.resolve(), file, unit.module)
        return
    yield tests
    if Path(unit.root) != Path(planned.target.project):
        yield snippet.attach_path(tests, Path(unit.root), file)


def _own_plan(planned: Planned) -> Plan:
    """A run as the project's own: from its top, with nothing on the path but what it puts there itself."""
    project = Path(planned.target.project)
    code = planned.target.whole.model_copy(update={"path": str(planned.path.resolve())})
    return replace(plan_file(planned.test_file, code), top=project, path=(project,), behind=(), mode=None)


def _breaks_collection(plan: Plan, runner: Runner) -> str:
    """What pytest says of a collection of the whole suite that fails with the new file and not without; empty otherwise."""

    def collect(*more: str) -> tuple[int | None, str]:
        arguments = ["--collect-only", *more, *plan.options.paths]
        run = runner.execute_cold(plan, Variation(measure=False), plain=True, instead=arguments).run
        return run.exit_code, run.log

    code, said = collect()
    if code in (0, _NOTHING_COLLECTED, None):  # None: it took too long, and says nothing of this file
        return ""
    without, _ = collect("--ignore", plan.test)
    return said if without in (0, _NOTHING_COLLECTED) else ""


def _write(file: Path, data: bytes) -> None:
    """Write the file in one step: it is there whole or not at all."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=file.parent, suffix=".tmp", delete=False) as temporary:
            temporary.write(data)
        os.chmod(temporary.name, 0o644)
        os.replace(temporary.name, file)
    except OSError as error:
        raise UserMistake(f"cannot write {file}: {error.strerror}", hint="--out DIR writes elsewhere") from None


@contextlib.contextmanager
def _put_back(file: Path) -> Iterator[contextlib.ExitStack]:
    """What was at ``file`` is there again at the end, however that comes, unless what is yielded is emptied.

    Meanwhile it lies beside it, so that a process that is killed loses nothing: the next one begins with putting it back.
    """
    kept = file.with_name(f".{file.name}.before")
    try:
        if kept.exists():
            os.replace(kept, file)
        if there := file.exists():
            shutil.copy2(file, kept)
    except OSError as error:
        raise UserMistake(f"cannot write {kept}: {error.strerror}", hint="--out DIR writes elsewhere") from None
    new_folders = [folder for folder in file.parents if not folder.exists()]
    with contextlib.ExitStack() as undo:
        for folder in reversed(new_folders):
            undo.callback(_remove_empty, folder)
        undo.callback(lambda: os.replace(kept, file) if there else file.unlink(missing_ok=True))
        yield undo
    kept.unlink(missing_ok=True)


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):  # somebody else put something there
        folder.rmdir()
