"""One target worked on: a repair loop for each of its units, the attempts kept as they come, and one file made of the best."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from testing_crew.backends.base import Sampling
from testing_crew.gate.gate import Gate, Judgement
from testing_crew.project import snippet
from testing_crew.project.targets import Target
from testing_crew.repair.loop import RepairLoop, Writer, explain
from testing_crew.repair.mend import mend
from testing_crew.repair.merge import log_for, merge, split_tests
from testing_crew.repair.recorder import Recorder
from testing_crew.runner.plan import plan_text
from testing_crew.runner.run import Runner
from trace_logger.records import Attempt, CodeUnderTest


@dataclass
class Job:
    """The work on one target. ``round`` makes one round of every unit that is not done."""

    target: Target
    runner: Runner
    writer: Writer
    recorder: Recorder
    sampling: Sampling
    target_coverage: float
    loops: list[RepairLoop] = field(init=False)

    def __post_init__(self) -> None:
        earlier = self.recorder.start(self.target.project, self.target.name, self.target.units, self.writer.tag)
        self.loops = [
            RepairLoop(unit, self.writer, self.judge, self.sampling, self.target_coverage, list(earlier.get(unit, ())))
            for unit in self.target.units
        ]

    def judge(self, code: CodeUnderTest, tests: str, failed: str | None = None) -> Judgement:
        """Run and judge one test file."""
        return Gate(self.runner).judge(plan_text(code, tests, self.target.files), failed)

    def round(self, iteration: int) -> Iterator[tuple[RepairLoop, Attempt | None]]:
        """Make round ``iteration``, unit by unit; each attempt is recorded before it is handed out.

        A unit that an earlier, interrupted run brought this far is passed over.
        """
        for loop in self.loops:
            if loop.done or len(loop.attempts) >= iteration:
                continue
            attempt = loop.step(iteration)
            if attempt is not None:
                self.recorder.keep(attempt)
            yield loop, attempt

    @property
    def done(self) -> bool:
        """Whether no unit can gain by another round."""
        return all(loop.done for loop in self.loops)

    def tests(self, *, accepted_only: bool = False) -> str:
        """The best test file of every unit, as one; only the accepted ones where asked. Empty when there is none."""
        best = [loop.best for loop in self.loops]
        kept = [a.tests for a in best if a is not None and a.tests and (a.accepted or not accepted_only)]
        return merge(kept) if len(kept) > 1 else (kept[0] if kept else "")

    def seed(self, previous_tests: str, previous_failures: str, iteration: int) -> None:
        """Take up from a test file that somebody else kept: each unit gets its part, which is run and judged here.

        ``previous_failures`` is shown to the model where it says something of that part, else what the run said.
        """
        tests = snippet.detach(previous_tests)
        parts = split_tests(tests, [loop.unit for loop in self.loops]) if len(self.loops) > 1 else [tests]
        for loop, part in zip(self.loops, parts, strict=True):
            mended = mend(part, loop.code).tests
            if not mended:
                continue
            found = self.judge(loop.code, mended)
            told = log_for(previous_failures, mended) if not found.accepted else ""
            loop.attempts.append(
                Attempt(
                    unit=loop.unit,
                    iteration=iteration - 1,
                    kind="generate",
                    prompt="",
                    completion=part,
                    tests=mended,
                    **found.fields(),
                    failure_log=told or explain(loop.code, found),
                    model=self.writer.tag,
                )
            )
