"""The nouns: what one run of the agent leaves behind.

Every record is frozen, refuses unknown keys and carries the version of its own shape, so that a store written today can be
read by tomorrow's code. Durations are seconds; times are UTC, ISO 8601; line numbers start at 1.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

Verdict = Literal["passed", "failed", "error", "timeout", "no_tests", "skipped", "crashed", "out_of_memory"]
Outcome = Literal["passed", "failed", "error", "skipped", "xfailed", "xpassed"]
AttemptKind = Literal["generate", "repair", "complete"]


def utc_now() -> str:
    """The time now, ISO 8601 in UTC with seconds."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


class Record(BaseModel):
    """The base of every noun: immutable, strict about its keys, versioned."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1


class CodeUnderTest(Record):
    """One function or class (or a whole module) that tests are written for.

    ``source`` is the text of the whole module as it stands on disk (or the snippet, when ``path`` is None); ``shown`` is
    the part that a model is shown: the unit, with the imports and helpers it uses.
    """

    source: str
    shown: str
    module: str
    unit: str | None = None
    path: str | None = None
    root: str
    interpreter: str


class CaseResult(Record):
    """One test case as pytest's hooks reported it.

    ``row`` is the repr of a parametrized case's values, ``(1, 2, 5)``; ``actual`` and ``expected`` are the reprs of the
    two sides of the comparison that failed, sorted by which of them is the code's answer. ``claim`` says whether it was the
    test's own word that did not hold (an assertion, an exception that did not come), and not an exception on the way there.
    """

    node: str
    function: str
    outcome: Outcome
    phase: Literal["collect", "setup", "call", "teardown"] = "call"
    duration: float = 0.0
    row: str | None = None
    line: int | None = None
    exception: str | None = None
    message: str = ""
    actual: str | None = None
    expected: str | None = None
    claim: bool = False


class Coverage(Record):
    """Coverage of the unit under test (or of the whole target when no unit is named), as fractions of 1."""

    line: float | None = None
    branch: float | None = None
    missed_lines: tuple[int, ...] = ()
    missed_branches: tuple[tuple[int, int], ...] = ()


class PytestRun(Record):
    """One execution of one test file."""

    verdict: Verdict
    cases: tuple[CaseResult, ...] = ()
    coverage: Coverage = Field(default_factory=Coverage)
    asserted_lines: tuple[int, ...] = ()
    target_origin: str | None = None
    exit_code: int | None = None
    duration: float = 0.0
    log: str = ""
    limits_hit: tuple[str, ...] = ()
    sandbox: str = ""
    warm: bool = False

    @property
    def passed(self) -> bool:
        """pytest's word: something was collected and all of it passed."""
        return self.verdict == "passed"

    def count(self, *outcomes: Outcome) -> int:
        """How many cases ended in one of ``outcomes``."""
        return sum(case.outcome in outcomes for case in self.cases)


class Mutants(Record):
    """What became of small changes to the unit under test, of which ``found`` were possible and ``tried`` looked at.

    ``killed``: a test's own claim failed. ``raised``: the test only died of an exception on the way, which proves nothing.
    ``timed_out``: the run did not end in its time. ``equivalent``: the change shows no difference. ``survived``: every test
    still passed; ``unreached`` of these without a run, since no test executes their line. ``survivors`` describes them.
    """

    found: int = 0
    tried: int = 0
    killed: int = 0
    raised: int = 0
    timed_out: int = 0
    survived: int = 0
    unreached: int = 0
    equivalent: int = 0
    survivors: tuple[str, ...] = ()

    @property
    def counted(self) -> int:
        """How many of those tried make a difference."""
        return self.tried - self.equivalent

    @property
    def score(self) -> float | None:
        """The share that a claim killed, of those tried that make a difference; None when there is none."""
        return self.killed / self.counted if self.counted else None


class Stability(Record):
    """How often the same file was run again (in other orders, under other hash seeds, from cold), and how often it passed.

    ``failures`` is what the first of those runs that did not pass said.
    """

    runs: int = 0
    passed: int = 0
    cold_passed: bool | None = None
    failures: tuple[str, ...] = ()


class Attempt(Record):
    """One test file for one unit: what was asked, what came back, what pytest said, what the gate found.

    ``candidate`` counts the answers to one prompt of a round: 0 is the first, the others were drawn since it was not accepted.
    ``suspects`` are examples in the code's docstrings that it contradicts: the code may be wrong, not the test. ``seconds`` is
    for the answer (``model_seconds``) and its judgement.
    """

    unit: str
    iteration: int
    candidate: int = 0
    kind: AttemptKind
    prompt: str
    completion: str
    tests: str
    run: PytestRun
    accepted: bool
    reasons: tuple[str, ...] = ()
    mutants: Mutants | None = None
    stability: Stability | None = None
    suspects: tuple[str, ...] = ()
    mended: tuple[str, ...] = ()
    failure_log: str = ""
    model: str
    model_revision: str = ""
    sampling: dict[str, Any] = Field(default_factory=dict)
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    model_seconds: float = 0.0
    seconds: float = 0.0
    created_at: str = Field(default_factory=utc_now)


class Trace(Record):
    """Everything that was tried for one target in one run, in order."""

    id: str
    run_id: str
    project: str
    target: str
    units: tuple[CodeUnderTest, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    model: str
    started_at: str
    finished_at: str | None = None
    accepted: bool | None = None
    test_file: str | None = None


class RepairPair(Record):
    """A failed test file and the accepted one that came after it, for the same code."""

    trace_id: str
    unit: str
    code: str
    failed_test: str
    failure_log: str
    fixed_test: str

    def row(self) -> dict[str, str]:
        """The four columns of the JSONL export."""
        return {
            "code": self.code,
            "failed_test": self.failed_test,
            "failure_log": self.failure_log,
            "fixed_test": self.fixed_test,
        }


class Verified(Record):
    """What a test file is worth when it is run again: pytest's word, and the gate's with its reasons."""

    passed: bool
    accepted: bool
    reasons: tuple[str, ...] = ()
    suspects: tuple[str, ...] = ()


class Verifier(Protocol):
    """Whatever can run a test file against its code again and judge it; callers hand in the gate."""

    def verify(self, code: CodeUnderTest, tests: str, failed: str | None = None) -> Verified:
        """Run ``tests`` against ``code``; as a repair of ``failed`` where that is given, else only pytest's word is asked."""
        ...
