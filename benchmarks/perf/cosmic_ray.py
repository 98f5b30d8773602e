"""cosmic-ray on one module and one test file, by its own commands and its local distributor, which has one worker."""

from __future__ import annotations

import json
import random
import shlex
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.perf.peers import Answer, environment, last_words, timed
from testing_crew.project.code import read_source
from testing_crew.project.imports import package_root

LEAST_SECONDS = 2.0  # a mutant gets so long, or ``SLOWER`` times as long as the tests themselves, as it does with us
SLOWER = 10
_CONFIG = """\
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
class Session:
    """A session of cosmic-ray: each mutant that it tried as its own ``(item, result)``, of how many, and the seconds."""

    rows: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]
    of: int
    search: float
    seconds: float


class CosmicRay:
    """cosmic-ray with its local distributor, which has one worker. ``most``: a random sample of so many of its mutants.

    ``VariableInserter`` and ``VariableReplacer`` are left out: they need arguments.
    """

    name = "cosmic-ray"

    def __init__(self, scripts: Path, most: int | None = None) -> None:
        self.scripts, self.most, self._chance = scripts, most, random.Random(0)

    def run(self, project: Path, target: Path, tests: Path) -> Answer:
        try:
            return self.read(self.session(project, target, tests))
        except subprocess.CalledProcessError as failed:
            return Answer(trouble=last_words(failed))

    def session(self, project: Path, target: Path, tests: Path) -> Session:
        """All that it says. Raises `subprocess.CalledProcessError` where the tests do not pass, or it breaks down."""
        source = read_source(project / target)
        paths = environment(package_root(project / target)[0])

        def call(*command: str) -> tuple[str, float]:
            done, seconds = timed(command, project, paths)
            done.check_returncode()
            return done.stdout, seconds

        seconds = max(LEAST_SECONDS, SLOWER * self.test(project, target, tests))
        config, session = str(project.parent / "config.toml"), str(project.parent / "session.sqlite")
        texts = {
            "module": json.dumps(str(target)),
            "command": json.dumps(shlex.join(self._pytest(tests))),
        }  # as TOML has them
        Path(config).write_text(_CONFIG.format(seconds=seconds, **texts), "utf-8")
        began = time.perf_counter()
        call(str(self.scripts / "cosmic-ray"), "init", config, session)
        call(str(self.scripts / "cr-filter-operators"), session, config)
        searched = time.perf_counter() - began
        of = _reduced(session, self.most, self._chance)
        tried = call(str(self.scripts / "cosmic-ray"), "exec", config, session)[1]
        assert read_source(project / target) == source
        rows = [json.loads(line) for line in call(str(self.scripts / "cosmic-ray"), "dump", session)[0].splitlines()]
        return Session([(item, done) for item, done in rows if done], of, searched, searched + tried)

    def test(self, project: Path, target: Path, tests: Path) -> float:
        """Seconds of a plain run of the tests. Raises `subprocess.CalledProcessError` where they do not pass."""
        done, seconds = timed(self._pytest(tests), project, environment(package_root(project / target)[0]))
        done.check_returncode()
        return seconds

    def _pytest(self, tests: Path) -> list[str]:
        return [str(self.scripts / "python"), "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", str(tests)]

    @staticmethod
    def read(session: Session) -> Answer:
        """The fates of its mutants; those that its filter left out are none."""
        fates: Counter[str] = Counter()
        for _, done in session.rows:
            if done["worker_outcome"] == "skipped":
                continue
            outcome = done["test_outcome"] if done["worker_outcome"] == "normal" else "other"
            fates["timeout" if outcome == "killed" and done["output"] == "timeout" else outcome] += 1
        killed, survived, timed_out = (fates.pop(fate, 0) for fate in ("killed", "survived", "timeout"))
        tried = killed + survived + timed_out + fates.total()
        of = session.of if session.of > tried else None
        other = fates.total()
        return Answer(killed, survived, timed_out, other=other, seconds=session.seconds, of=of, search=session.search)


def _reduced(session: str, most: int | None, chance: random.Random) -> int:
    """How many mutants are to be tried; all but ``most`` of them are taken out of the session."""
    with closing(sqlite3.connect(session)) as store, store:
        todo = "SELECT job_id FROM work_items WHERE job_id NOT IN (SELECT job_id FROM work_results) ORDER BY job_id"
        jobs = [job for (job,) in store.execute(todo)]
        if most is not None and most < len(jobs):
            left_out = [(job,) for job in set(jobs) - set(chance.sample(jobs, most))]
            store.executemany("DELETE FROM mutation_specs WHERE job_id = ?", left_out)
            store.executemany("DELETE FROM work_items WHERE job_id = ?", left_out)
    return len(jobs)
