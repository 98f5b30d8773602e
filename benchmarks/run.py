"""One benchmark, one model: its tasks side by side, each outcome on disk when it is there, and one file of it all at the end."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import datetime, timezone
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

import testing_crew
from benchmarks.controls import PREFIX, open_model
from benchmarks.metrics import Score, reasons
from benchmarks.suite import BENCHMARKS, Benchmark
from benchmarks.task import Item, Outcome, digest
from testing_crew.backends.base import Backend, Completion, Sampling
from testing_crew.backends.files import replace
from testing_crew.backends.many import candidates_of
from testing_crew.backends.ref import SNAPSHOT
from testing_crew.config import Config
from testing_crew.errors import BackendUnavailable, GenerationFailed, SandboxError, TestingCrewError, UserMistake
from testing_crew.runner.run import Runner
from trace_logger.journal import Journal
from trace_logger.records import utc_now
from trace_logger.workspace import workspace

_DEAD = 3  # failures of the infrastructure in a row, after which nothing more is asked
_PACKAGES = ("testing-crew", "pytest", "crewai", "llama-cpp-python", "ollama", "transformers")

Told = Callable[[Outcome, int, int], None]


class Settings(BaseModel):
    """All that decides what comes of a run, beside the machine. ``tasks`` is their digest; ``revision`` what the tag served.

    ``derive``: examples of docstrings become tests before the model is asked. ``candidates``: answers that a round may draw, one
    where a server is asked. ``ways`` are the settings of the user that matter; ``code`` is a hash of ours. ``mode`` is how
    questions are asked.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    benchmark: str
    model: str
    revision: str
    tasks: str
    seed: int
    rounds: int
    samples: int
    candidates: int
    derive: bool
    ways: dict[str, Any] = {}
    code: str = ""
    mode: str = ""


class Run(BaseModel):
    """A finished run, with all that is needed to look it over: ``outcomes`` hold each prompt, answer and verdict.

    ``begun_at`` and ``seconds`` are of its last session, where it was taken up again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    settings: Settings
    versions: dict[str, str]
    begun_at: str
    finished_at: str
    seconds: float
    n: int
    infrastructure_errors: int
    scores: dict[str, Score]
    reasons: dict[str, int]
    outcomes: tuple[Outcome, ...]

    @property
    def detail(self) -> dict[str, Any]:
        """What its benchmark tells beside the scores."""
        benchmark = BENCHMARKS.get(self.settings.benchmark)
        return benchmark.detail(self.outcomes) if benchmark else {}

    @property
    def headline(self) -> str:
        """The score that a run is told by in one line."""
        benchmark = BENCHMARKS.get(self.settings.benchmark)
        return (benchmark and benchmark.headline) or f"accepted@{self.settings.rounds}"

    def summary(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        settings = self.settings
        return {
            "benchmark": settings.benchmark,
            "model": settings.model,
            "n": self.n,
            "metrics": {name: score.model_dump() for name, score in self.scores.items()},
            "errors": {"infrastructure": self.infrastructure_errors},
            "not_worked_on": {outcome.id: outcome.error for outcome in self.outcomes if outcome.error is not None},
            "reasons": self.reasons,
            **({"detail": detail} if (detail := self.detail) else {}),
            "settings": settings.model_dump(),
            "seconds": round(self.seconds, 1),
        }


class InTurn:
    """A model in this process, for several threads: one asks at a time, and gets what it would get of a model just opened."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._lock = threading.Lock()
        self.at_once: int = getattr(backend, "at_once", 1)
        self._forget: Callable[[], None] = getattr(backend, "forget", lambda: None)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def complete(self, prompt: str, sampling: Sampling) -> Completion:
        """See `Backend`."""
        with self._lock:
            self._forget()
            return self._backend.complete(prompt, sampling)

    def complete_many(self, asks: Any, stop: threading.Event) -> Iterator[Any]:
        """See `LlamaBackend`."""
        with self._lock:
            self._forget()
            yield from self._backend.complete_many(asks, stop)  # type: ignore[attr-defined]


def reports() -> Path:
    """Where runs are kept."""
    return workspace() / "reports" / "bench"


def perform(
    benchmark: Benchmark,
    tasks: Sequence[Item],
    model: str,
    config: Config,
    *,
    seed: int = 0,
    mode: str | None = None,
    samples: int | None = None,
    candidates: int | None = None,
    workers: int | None = None,
    runner: Runner | None = None,
    once: bool = False,
    tell: Told = lambda outcome, done, of: None,
    say: Callable[[str], object] = lambda text: None,
) -> tuple[Run, Path]:
    """Run every task; what an earlier call of the same settings finished before it was stopped is not done again.

    With ``once`` a finished run of the same settings, at which no infrastructure failed, is taken in place of a new one.
    ``runner`` runs the tests in place of one with the configured limits. Returns the run and its file. Raises UserMistake for no
    tasks or a model that cannot be had, GenerationFailed where the model stopped answering: what was done until then stands, and
    the same call goes on.
    """
    if not tasks:
        raise UserMistake(f"{benchmark.name}: no task is left to run")
    mode = benchmark.modes[0] if mode is None else mode
    if mode not in benchmark.modes:
        raise UserMistake(f"{benchmark.name} has no mode {mode!r}", hint=f"one of {', '.join(benchmark.modes)}")
    backend = open_model(model, config.server, tasks, benchmark.controls)
    try:
        settings = Settings(
            benchmark=benchmark.name,
            model=backend.tag,
            revision=backend.revision,
            tasks=digest(tasks),
            seed=seed,
            rounds=benchmark.rounds,
            samples=benchmark.samples if samples is None else samples,
            candidates=candidates_of(backend, candidates or benchmark.candidates),
            derive=benchmark.derive,
            ways=_ways(config),
            code=_code(),
            mode=mode,
        )
        if once:
            same = [
                (run, file) for file, run in readable() if run.settings == settings and not run.infrastructure_errors
            ]
            if same:
                return same[-1]
        begun, started = utc_now(), time.monotonic()
        mark = hashlib.sha256(settings.model_dump_json().encode()).hexdigest()[:12]
        kept = reports() / f".{_plain(benchmark.name)}-{mark}.jsonl"
        done = Journal(kept, Outcome)
        _must_be_writable(kept)
        if there := sum(task.id in done for task in tasks):
            say(f"{there} of {len(tasks)} tasks are kept from before")
        errors = _work(benchmark, tasks, settings, config, backend, workers, runner, done, tell)
    finally:
        backend.close()
    outcomes = tuple(done[task.id] if task.id in done else errors[task.id] for task in tasks)
    failed = sum(outcome.error is not None for outcome in outcomes)
    if failed == len(outcomes):
        raise UserMistake(f"none of {failed} tasks could be worked on; {outcomes[0].id}: {outcomes[0].error}")
    run = Run(
        settings=settings,
        versions=versions(),
        begun_at=begun,
        finished_at=utc_now(),
        seconds=time.monotonic() - started,
        n=len(outcomes) - failed,
        infrastructure_errors=failed,
        scores=benchmark.scores(outcomes, benchmark.rounds),
        reasons=reasons(outcomes),
        outcomes=outcomes,
    )
    now = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S%f")[:-3]
    file = reports() / f"{_plain(benchmark.name)}-{_plain(backend.tag)}-{now}.json"
    replace(file, run.model_dump_json())
    kept.unlink(missing_ok=True)
    return run, file


def _work(
    benchmark: Benchmark,
    tasks: Sequence[Item],
    settings: Settings,
    config: Config,
    backend: Backend,
    workers: int | None,
    runner: Runner | None,
    done: Journal[Outcome],
    tell: Told,
) -> dict[str, Outcome]:
    """Have every task done that is not; returns those that the infrastructure failed at, which are tried again another time."""
    shared: Any = backend if hasattr(backend, "concurrency") else InTurn(backend)
    errors: dict[str, Outcome] = {}
    row = 0  # of the infrastructure's failures, one after the other
    finished = sum(task.id in done for task in tasks)
    count = workers or max(2, os.cpu_count() or 1, getattr(backend, "concurrency", 1))
    with benchmark.worker(benchmark, settings, config, shared, runner) as work, _threads(count) as pool:
        todo = iter([task for task in tasks if task.id not in done])
        going: dict[Future[Outcome], Item] = {}
        while True:
            while len(going) < count and row < _DEAD and (task := next(todo, None)) is not None:
                going[pool.submit(work, task)] = task
            if not going:
                break
            ended, _ = wait(going, return_when=FIRST_COMPLETED)
            for future in ended:
                task = going.pop(future)
                try:
                    outcome = future.result()
                except (GenerationFailed, SandboxError, BackendUnavailable) as error:
                    outcome = Outcome(id=task.id, task=task.digest, group=task.group, error=error.message)
                    last = error
                    row += 1
                else:
                    row = 0 if outcome.error is None else row
                finished += 1
                if outcome.error is None:
                    try:
                        done.add(task.id, outcome)
                    except OSError as error:
                        raise _unwritable(reports(), error) from None
                else:
                    errors[task.id] = outcome
                tell(outcome, finished, len(tasks))
        if row >= _DEAD:
            raise _gone(last, len(done), len(tasks))
    return errors


def _must_be_writable(file: Path) -> None:
    """Before hours of work, not after."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    except OSError as error:
        raise _unwritable(file.parent, error) from None


def _unwritable(folder: Path, error: OSError) -> UserMistake:
    return UserMistake(
        f"{folder} cannot be written: {error.strerror or error}",
        hint="make room, or set TESTING_CREW_HOME to another folder; what is done is kept, and the same command goes on",
    )


def _gone(last: TestingCrewError, done: int, of: int) -> GenerationFailed:
    return GenerationFailed(
        f"{_DEAD} tasks in a row could not be worked on; the last: {last.message}",
        hint=f"{done} of {of} tasks are kept: mend that, and the same command goes on. {last.hint}".strip(),
    )


@contextmanager
def _threads(count: int) -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(count)
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def versions() -> dict[str, str]:
    """What ran it."""
    found = {"python": platform.python_version(), "platform": platform.platform(), "processors": str(os.cpu_count())}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _ways(config: Config) -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "interpreter": config.interpreter,
        "limits": config.limits.model_dump(),
        "pass_env": list(config.sandbox.pass_env),
        "sampling": config.sampling.model_dump(mode="json", exclude={"seed", "temperature"}),
        "max_context": config.server.max_context,
    }


@cache
def _code() -> str:
    """A hash of the code that works on tasks and scores them."""
    found = hashlib.sha256()
    for folder in (Path(__file__).parent, Path(testing_crew.__file__).parent):
        for file in sorted(folder.rglob("*.py")):
            found.update(file.read_bytes())
    return found.hexdigest()[:12]


def load_run(named: str | Path) -> Run:
    """A run by its file, or by the file's name among `reports`. Raises UserMistake where there is none."""
    places = [Path(named).expanduser(), reports() / named, reports() / f"{named}.json"]
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        there = [each.stem for each in files()]
        raise UserMistake(
            f"there is no run {named}", hint=f"testing-crew bench list; the newest: {', '.join(there[-3:])}"
        )
    try:
        return Run.model_validate_json(file.read_text(encoding="utf-8"))
    except (OSError, ValidationError, ValueError) as error:
        first = str(error).partition("\n")[0]
        raise UserMistake(f"{file} is no run of a benchmark that this version reads: {first}") from None


def files() -> list[Path]:
    """The files of all runs, oldest first."""
    return sorted(reports().glob("[!.]*.json"), key=lambda file: (file.stat().st_mtime, file.name))


def readable() -> Iterator[tuple[Path, Run]]:
    """The runs that this version reads, with their files, oldest first."""
    for file in files():
        try:
            yield file, load_run(file)
        except UserMistake:
            continue


def newest() -> list[Run]:
    """The run of each benchmark, model and mode to look at, by benchmarks; models first, then the snapshot and the controls.

    It is of the newest revision of the model, and the newest of those with the most tasks.
    """
    found: dict[tuple[str, str, str], Run] = {}
    for _, run in readable():
        key = run.settings.benchmark, run.settings.model, run.settings.mode
        last = found.get(key)
        smaller = last and last.settings.revision == run.settings.revision and len(run.outcomes) < len(last.outcomes)
        if not smaller:
            found[key] = run
    order = list(BENCHMARKS)
    last_ones = (SNAPSHOT, *(PREFIX + name for each in BENCHMARKS.values() for name in each.controls))

    def place(run: Run) -> tuple[int, int, str]:
        name, model = run.settings.benchmark, run.settings.model
        where = order.index(name) if name in order else len(order)
        return where, last_ones.index(model) if model in last_ones else -1, model

    return sorted(found.values(), key=place)


def _plain(tag: str) -> str:
    return re.sub(r"[^A-Za-z0-9._]+", "_", tag).strip("_")[-60:]
