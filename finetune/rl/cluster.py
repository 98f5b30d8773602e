"""Rewards from the machines of a Ray cluster: each worker is an actor around the same runner.

Code that stands in no file goes to the worker as it is, and is run by the worker's own Python; code of a project has to lie at
the same place on every machine. A worker that dies is started again, and what it was at is given to another.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from finetune.reward import MUTANTS, Grader, Reward, Sample, surely
from testing_crew.errors import BackendUnavailable, GenerationFailed, SandboxError
from testing_crew.runner.plan import Limits
from testing_crew.runner.run import Runner
from trace_logger.records import CodeUnderTest

LOCAL = "local"  # a cluster of this machine alone, which ends with the run
_TRIES = 5  # of one file, each on a worker that lived when it was sent
_AHEAD = 2  # files that wait for each worker
_SECONDS = 10  # to answer at all


class Worker:
    """What runs on each machine: one runner, one file at a time."""

    def __init__(self, limits: Limits, mutants: int) -> None:
        self._runner, self._mutants = Runner(limits, workers=1), mutants

    def grade(self, code: str, tests: str, files: Mapping[str, str] | None) -> str:
        """A reward as JSON."""
        meant = CodeUnderTest.model_validate_json(code)
        if not meant.root:
            meant = meant.model_copy(update={"interpreter": sys.executable})
        return surely(self._runner, Sample(meant, tests, files), self._mutants).model_dump_json()

    def process(self) -> int:
        """Its process id, and that it is ready."""
        return os.getpid()


class RayGrader(Grader):
    """A grader whose files are run on the workers of the cluster at ``address``, one for each of its processors."""

    def __init__(
        self,
        address: str,
        limits: Limits,
        kept: Path | None = None,
        *,
        mutants: int = MUTANTS,
        workers: int | None = None,
    ) -> None:
        super().__init__(Runner(limits), kept, mutants=mutants)
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would tell its makers
        try:
            ray: Any = importlib.import_module("ray")
        except ImportError:
            raise BackendUnavailable("ray is not installed", hint="pip install 'testing-crew[ray]'") from None
        self._ray = ray
        _must_answer(address)
        here = {"num_cpus": workers, "include_dashboard": False} if address == LOCAL else {}
        try:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR", **here)
        except (ConnectionError, OSError, ValueError, RuntimeError) as error:
            first = str(error).strip().partition("\n")[0]
            raise BackendUnavailable(
                f"there is no Ray cluster at {address}: {first}", hint="ray start --head there; or --ray local"
            ) from None
        count = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        made = ray.remote(num_cpus=1, max_restarts=-1)(Worker)
        self.workers: list[Any] = [made.remote(limits, mutants) for _ in range(count)]

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        with contextlib.suppress(Exception):  # a cluster that is gone has nothing to be told
            for worker in self.workers:
                self._ray.kill(worker)
        self._ray.shutdown()

    def _each(self, todo: Mapping[str, Sample], keep: Callable[[str, Reward], None]) -> None:
        """As Grader's. Raises GenerationFailed where a file was lost with every worker that it was given to."""
        waiting = [(key, 0) for key in todo]
        going: dict[Any, tuple[str, int, int]] = {}
        load = dict.fromkeys(range(len(self.workers)), 0)
        while waiting or going:
            while waiting and (free := min(load, key=lambda number: load[number])) is not None and load[free] < _AHEAD:
                key, tries = waiting.pop(0)
                sample = todo[key]
                asked = self.workers[free].grade.remote(sample.code.model_dump_json(), sample.tests, sample.files)
                going[asked] = key, tries, free
                load[free] += 1
            ended, _ = self._ray.wait(list(going), num_returns=1)
            key, tries, number = going.pop(ended[0])
            load[number] -= 1
            try:
                keep(key, Reward.model_validate_json(self._ray.get(ended[0])))
            except self._ray.exceptions.RayTaskError as error:
                if isinstance(error.cause, SandboxError):
                    raise error.cause from None
                raise
            except self._ray.exceptions.RayError as error:
                if tries + 1 == _TRIES:
                    first = str(error).strip().partition("\n")[0]
                    raise GenerationFailed(f"no worker of the cluster could run a file: {first}") from None
                waiting.insert(0, (key, tries + 1))


def _must_answer(address: str) -> None:
    """Ray itself looks for minutes where nobody answers."""
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=_SECONDS).close()
    except OSError as error:
        raise BackendUnavailable(
            f"there is no Ray cluster at {address}: {error}", hint="ray start --head there; or --ray local"
        ) from None
