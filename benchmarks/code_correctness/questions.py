"""Rows become questions, answers become outcomes and figures."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ConfigDict

from benchmarks.code_correctness import scorers
from benchmarks.code_correctness.labels import Labeller
from benchmarks.code_correctness.prompts import PROMPTS, Mode, in_mode
from benchmarks.controls import Control
from benchmarks.metrics import Score, figure, mean, rate
from benchmarks.sources.functions import from_hub, records
from benchmarks.task import Answer, Outcome
from testing_crew.backends.base import Backend
from testing_crew.config import Config
from testing_crew.errors import PromptTooLong, UserMistake
from testing_crew.prompt.outcome import HUB, LANGUAGES, OutcomeRow, ask, rows_of

if TYPE_CHECKING:
    from benchmarks.run import Settings
    from benchmarks.suite import Benchmark

ROWS = Path(__file__).with_name("rows.jsonl")
SHOTS = Path(__file__).with_name("shots.jsonl")
MODES: tuple[Mode, ...] = get_args(Mode)
LABELS = ("success", "failed")
# As lm-evaluation-harness asks where a task says nothing of it: at most 256 tokens, until a blank line.
_TOKENS: Mapping[str, int] = {"direct": 256, "reasoned": 1024}
_STOP: Mapping[str, tuple[str, ...]] = {"direct": ("\n\n",), "reasoned": ()}
_TOO_LONG = "too long"
_SHOWN = 160  # characters of an answer that is listed


class Question(BaseModel):
    """One row, asked; ``prompt`` is the question without what a mode adds to it."""

    model_config = ConfigDict(frozen=True)

    row: OutcomeRow
    prompt: str

    @property
    def id(self) -> str:
        """The row's."""
        return self.row.key

    @property
    def group(self) -> str:
        """What a limit draws evenly from: the language, and the answer."""
        return f"{self.row.inputs.lang} {self.row.outputs}"

    @property
    def digest(self) -> str:
        """A hash of the question and its answer."""
        asked = [self.id, self.prompt, self.row.inputs.lang, self.row.outputs]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:12]


def load(path: Path | None, say: Callable[[str], None]) -> list[Question]:
    """The rows that ship, those of a file, or the published set by its name on the hub.

    Raises UserMistake for rows that are none, or cannot be had.
    """
    if path is not None and str(path) == HUB:
        rows = rows_of(from_hub(HUB, "test", say, "--rows"), HUB)
    else:
        rows = rows_of(records(path or ROWS, ()), str(path or ROWS))
    return [Question(row=row, prompt=ask(row, PROMPTS[n % len(PROMPTS)])) for n, row in enumerate(rows)]


@contextmanager
def asking(
    benchmark: Benchmark, settings: Settings, config: Config, backend: Backend, runner: Any
) -> Iterator[Callable[[Question], Outcome]]:
    """Asks greedily, in the settings' mode. A question that does not fit the model has an empty answer, which is wrong."""
    mode: Mode = "reasoned" if settings.mode == "reasoned" else "direct"
    sampling = config.sampling.model_copy(
        update={"temperature": 0.0, "seed": settings.seed, "max_tokens": _TOKENS[mode], "stop": _STOP[mode]}
    )

    def work(question: Question) -> Outcome:
        started, asked = time.monotonic(), in_mode(question.prompt, mode)
        try:
            given = backend.complete(asked, sampling)
            text, finish, tokens = given.text, str(given.finish), given.completion_tokens
        except PromptTooLong:
            text, finish, tokens = "", _TOO_LONG, None
        said = _said(text, finish, mode)
        answer = Answer(
            prompt=asked,
            text=text,
            finish=finish,
            tokens=tokens,
            expected=question.row.outputs,
            read=scorers.official(said),
            plain=scorers.plain(said),
        )
        return Outcome(
            id=question.id,
            task=question.digest,
            group=question.group,
            answer=answer,
            seconds=time.monotonic() - started,
        )

    yield work


def _said(text: str, finish: str, mode: str) -> str:
    """What of a model's text is its answer."""
    return scorers.concluded(text, finish == "length") if mode == "reasoned" else text


def scores(outcomes: Sequence[Outcome], most: int = 0) -> dict[str, Score]:
    """``exact_match``: right answers, as MERA counts them, of all and of each language. ``plain_match``: by our reading.

    ``majority``: what always giving the commoner answer would have had. A question without a published answer is in none.
    """
    known = [(o, o.answer) for o in outcomes if o.error is None and o.answer and o.answer.expected is not None]
    commonest = max(Counter(answer.expected for _, answer in known).values(), default=0)
    found: dict[str, Score | None] = {}
    if known:
        found["exact_match"] = rate(sum(answer.right for _, answer in known), len(known))
        found["plain_match"] = rate(sum(answer.plain == answer.expected for _, answer in known), len(known))
        found["majority"] = rate(commonest, len(known))
    for language in LANGUAGES:
        own = [float(answer.right) for outcome, answer in known if outcome.group.startswith(f"{language} ")]
        found[f"exact_match_{language.lower()}"] = figure(own)
    found["seconds"] = mean([outcome.seconds for outcome in outcomes if outcome.error is None])
    found["tokens"] = mean([outcome.tokens for outcome in outcomes if outcome.error is None])
    return {name: score for name, score in found.items() if score is not None}


def detail(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The confusion matrix (expected → read as), the balance by language, what gave no answer, and where the readings differ."""
    answers = [(o, o.answer) for o in outcomes if o.error is None and o.answer]
    known = [(outcome, answer) for outcome, answer in answers if answer.expected is not None]
    unlike = [(outcome, answer) for outcome, answer in answers if answer.read != answer.plain]
    return {
        "confusion": {
            label: dict(Counter(answer.read for _, answer in known if answer.expected == label)) for label in LABELS
        },
        "balance": {
            language: dict(Counter(str(a.expected) for o, a in known if o.group.startswith(f"{language} ")))
            for language in LANGUAGES
        },
        "no_answer": dict(
            Counter(
                _TOO_LONG if answer.finish == _TOO_LONG else answer.read
                for _, answer in answers
                if answer.read not in LABELS
            )
        ),
        "not_published": len(answers) - len(known),
        "readings_differ": [
            {"id": o.id, "expected": a.expected, "official": a.read, "plain": a.plain, "answer": a.text[:_SHOWN]}
            for o, a in unlike
        ],
    }


def submission(outcomes: Sequence[Outcome], mode: str = MODES[0]) -> dict[str, Any]:
    """The file that MERA takes (`scripts/log_to_submission.py` of MERA Code); what was not asked has an empty answer.

    Raises UserMistake where an id is no number.
    """
    rows = []
    for outcome in outcomes:
        if not outcome.id.isdecimal():
            raise UserMistake(f"MERA's ids are numbers; {outcome.id} is none")
        given = outcome.answer
        said = _said(given.text, given.finish, mode) if given else ""
        rows.append({"outputs": said, "meta": {"id": int(outcome.id)}})
    return {"data": {"test": rows}}


def _constant(kind: str, questions: Sequence[Question]) -> Control:
    return Control(kind, lambda prompt: kind)


def _majority(questions: Sequence[Question]) -> Control:
    known = Counter(question.row.outputs for question in questions if question.row.outputs)
    commonest = known.most_common(1)[0][0] if known else LABELS[0]
    return Control("majority", lambda prompt: commonest)


def _runner(questions: Sequence[Question]) -> Control:
    labeller = Labeller()
    rows = {in_mode(question.prompt, mode): question.row for question in questions for mode in MODES}
    return Control("runner", lambda prompt: labeller.label(rows[prompt]).label or "", labeller.close)


CONTROLS: Mapping[str, Callable[[Sequence[Any]], Backend]] = {
    "runner": _runner,
    "majority": _majority,
    **{label: partial(_constant, label) for label in LABELS},
}
