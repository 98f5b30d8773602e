"""One target worked on: a repair loop for each of its units, the attempts kept as they come, and one file made of the best."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace

from testing_crew.backends.base import Sampling
from testing_crew.errors import PromptTooLong, TestingCrewError
from testing_crew.gate.gate import Gate, Judgement
from testing_crew.project import snippet
from testing_crew.project.targets import Target
from testing_crew.repair.derive import derived, pins_contradicted, without
from testing_crew.repair.loop import Ask, RepairLoop, Writer, explain, sampled
from testing_crew.repair.mend import mend
from testing_crew.repair.merge import log_for, merge, split_tests
from testing_crew.repair.recorder import Recorder
from testing_crew.runner.plan import plan_text
from testing_crew.runner.run import Runner
from trace_logger.records import Attempt, CodeUnderTest

DOCSTRINGS = "docstrings"  # stands for the model of an attempt that was derived


@dataclass
class Job:
    """The work on one target. ``round`` makes one round of every unit that is not done.

    ``candidates`` is how many answers a round asks for of a unit whose first one is not accepted.
    """

    target: Target
    runner: Runner
    writer: Writer
    recorder: Recorder
    sampling: Sampling
    target_coverage: float
    candidates: int = 1
    loops: list[RepairLoop] = field(init=False)

    def __post_init__(self) -> None:
        earlier = self.recorder.start(self.target.project, self.target.name, self.target.units, self.writer.tag)
        self.loops = [
            RepairLoop(unit, self.writer, self.judge, self.sampling, self.target_coverage, list(earlier.get(unit, ())))
            for unit in self.target.units
        ]

    def judge(self, code: CodeUnderTest, tests: str, failed: str | None = None) -> Judgement:
        """Run and judge one test file."""
        found = Gate(self.runner).judge(plan_text(code, tests, self.target.files), failed)
        if found.accepted and found.suspects and pins_contradicted(code, tests, found.suspects):
            return replace(found, accepted=False, reasons=("pins_possible_bug",))
        return found

    def derive(self) -> None:
        """Give each unit that nothing was tried of yet the tests that its docstrings give, where these are accepted.

        A docstring that the code contradicts gives none: the judgement of any other file of the unit tells of it.
        """
        for loop in self.loops:
            tests = derived(loop.code) if not loop.attempts else ""
            while tests:
                found = self.judge(loop.code, tests)
                loop.suspects = found.suspects
                if found.run.passed:
                    break
                tests = without(tests, {case.function for case in found.run.cases if case.outcome != "passed"})
            if tests and found.accepted:
                loop.attempts.append(
                    Attempt(
                        unit=loop.unit,
                        iteration=0,
                        kind="generate",
                        prompt="",
                        completion="",
                        tests=tests,
                        **found.fields(),
                        failure_log="",
                        model=DOCSTRINGS,
                    )
                )
                self.recorder.keep(loop.attempts[-1])

    def round(self, iteration: int, is_last: bool = False) -> Iterator[tuple[RepairLoop, Attempt | None]]:
        """Make round ``iteration`` of all units together; each attempt is recorded as soon as it is judged.

        Every unit's first answer is asked for at once, then, where it pays (`_pays`), ``candidates`` in all. Yields each unit
        with the round's best. A unit that an earlier, interrupted run brought this far is passed over.
        """
        going = [loop for loop in self.loops if not loop.done and loop.rounds < iteration]
        later = {loop: loop.asked(iteration) for loop in self.loops if self._is_half_way(loop, iteration, is_last)}
        for loop, ask, attempt in self.answers([(loop, loop.ask(), 0) for loop in going], iteration):
            if attempt is None or not self._pays(attempt, is_last):
                yield loop, attempt
            else:
                later[loop] = ask
        made = {loop: {a.candidate for a in loop.attempts if a.iteration == iteration} for loop in later}
        more = [(loop, n) for loop in later for n in range(1, self.candidates) if n not in made[loop]]
        waiting = list(later)
        for loop, _, _ in self.answers([(loop, sampled(later[loop], n), n) for loop, n in more], iteration):
            while waiting and waiting[0] is not loop:
                yield waiting[0], waiting.pop(0).latest
        for loop in waiting:
            yield loop, loop.latest

    def _pays(self, first: Attempt, is_last: bool) -> bool:
        """Whether more answers are drawn beside a round's first: not where a repair of it may still come, or it was an extra.

        A first file mostly fails by the values that it expects, which the log tells and no other draw knows.
        """
        if self.candidates == 1 or first.accepted or first.kind == "complete":
            return False
        return first.kind == "repair" or first.run.verdict == "no_tests" or is_last

    def _is_half_way(self, loop: RepairLoop, iteration: int, is_last: bool) -> bool:
        """Whether an earlier, interrupted run asked for some of the round's answers only."""
        made = [attempt for attempt in loop.attempts if attempt.iteration == iteration]
        begun = not loop.done and loop.rounds == iteration and not loop.was_accepted_in(iteration)
        return begun and len(made) < self.candidates and self._pays(made[0], is_last)

    def answers(
        self, asks: list[tuple[RepairLoop, Ask, int]], iteration: int
    ) -> Iterator[tuple[RepairLoop, Ask, Attempt | None]]:
        """Ask, take and record, in the order of ``asks``; a prompt that is too long is asked again with less of the code.

        Once one of a unit's drawn answers is accepted, the others are left unread. Raises GenerationFailed when what was answered
        is recorded.
        """
        failure: TestingCrewError | None = None
        while asks and failure is None:
            again: list[tuple[RepairLoop, Ask, int]] = []
            with closing(self.writer.write_many([ask for _, ask, _ in asks])) as answers:  # type: ignore[type-var]
                for (loop, ask, number), answer in zip(asks, answers, strict=True):
                    if isinstance(answer, PromptTooLong):
                        less = loop.shorter(ask, answer)
                        if less is None:
                            yield loop, ask, None
                        else:
                            again.append((loop, less, number))
                    elif isinstance(answer, TestingCrewError):
                        failure = failure or answer
                    elif not (number and loop.was_accepted_in(iteration)):
                        attempt = loop.take(ask, answer, iteration, number)
                        if attempt is not None:
                            self.recorder.keep(attempt)
                        yield loop, ask, attempt
                        if number and all(other.was_accepted_in(iteration) for other, _, _ in asks):
                            break  # nobody reads what is being decoded still
            asks = again
        if failure is not None:
            raise failure

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
