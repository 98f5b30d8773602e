"""Ask a model: each question once, again with other seeds, in other words, and for the lines that matter."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from benchmarks.judging.verdicts import whole
from benchmarks.smart_coding.judge import Judgement, judged
from benchmarks.smart_coding.rows import CommentRow, IssueRow, Question, TestgenRow, numbered
from testing_crew.backends.base import Backend, Sampling
from testing_crew.errors import PromptTooLong
from trace_logger.journal import Journal

_MOST = {"comment": 512, "issue": 512, "testgen": 320}  # tokens of an answer
_WARM = 0.7  # of the repeats: greedy, they would say nothing
_EXPLAIN = (
    "\n\nHere is the module with its lines numbered:\n\n{code}\n\nA test was written for it:\n\n```python\n{test}\n```\n\n"
    "Which lines of the module does this test run? Answer with line numbers alone."
)


class Prediction(BaseModel):
    """What a model answered to one question; ``row`` is what was asked, None where only the question is known.

    ``repeats`` answered the same question with other seeds at a temperature of 0.7, ``paraphrases`` the other wordings of it,
    ``explanation`` which lines the next test runs. ``finish`` is ``too long`` where the question does not fit the model.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str
    answer: str
    row: CommentRow | IssueRow | TestgenRow | None = None
    repeats: tuple[str, ...] = ()
    paraphrases: tuple[str, ...] = ()
    explanation: str | None = None
    judgement: Judgement | None = None
    finish: str = "stop"
    tokens: int | None = None
    seconds: float = 0.0


def predict(
    question: Question,
    backend: Backend,
    *,
    seed: int = 0,
    repeats: int = 1,
    paraphrases: int = 1,
    judge: Backend | None = None,
) -> Prediction:
    """Ask it all. The first answer is greedy. Raises GenerationFailed where the model stopped answering."""
    started = time.monotonic()
    greedy = Sampling(seed=seed, max_tokens=_MOST[question.task])
    text, finish, tokens = _one(backend, question.prompt, greedy)
    again = [
        _one(backend, question.prompt, greedy.model_copy(update={"temperature": _WARM, "seed": seed + n}))[0]
        for n in range(1, repeats + 1)
    ]
    others = [_one(backend, prompt, greedy)[0] for prompt in question.paraphrases[:paraphrases]]
    row = question.row
    explanation = None
    if isinstance(row, TestgenRow) and row.lines:
        asked = _EXPLAIN.format(code=numbered(row.code), test=row.reference.strip()).strip()
        explanation = _one(backend, asked, greedy.model_copy(update={"max_tokens": 96}))[0]
    return Prediction(
        question=question.prompt,
        answer=text,
        row=row,
        repeats=tuple(again),
        paraphrases=tuple(others),
        explanation=explanation,
        judgement=judged(question.task, row, text, judge) if judge else None,
        finish=finish,
        tokens=tokens,
        seconds=round(time.monotonic() - started, 3),
    )


def _one(backend: Backend, prompt: str, sampling: Sampling) -> tuple[str, str, int | None]:
    try:
        given = backend.complete(prompt, sampling)
    except PromptTooLong:
        return "", "too long", None
    return whole(given.text), str(given.finish), given.completion_tokens


def predict_all(
    asked: Sequence[str],
    known: dict[str, Question],
    backend: Backend,
    *,
    kept: Path | None = None,
    tell: Callable[[int, int], object] = lambda done, of: None,
    **ways: Any,
) -> list[Prediction]:
    """A prediction for each text of ``asked``, in its order; what ``kept`` holds of an earlier call is not asked again.

    ``known`` finds the question to a text; a text that is in no row is asked as it is.
    """
    journal = Journal(kept, Prediction)
    judge = ways.get("judge")
    mark = json.dumps(
        [
            backend.tag,
            backend.revision,
            *(f"{k}={v}" for k, v in sorted(ways.items()) if k != "judge"),
            judge and judge.tag,
        ]
    )
    found = []
    for number, text in enumerate(asked):
        question = known.get(text)
        key = f"{mark} {question.digest if question else ''} {text}"
        if key not in journal:
            if question is None:
                answer, finish, tokens = _one(backend, text, Sampling(max_tokens=512))
                made = Prediction(question=text, answer=answer, finish=finish, tokens=tokens)
            else:
                made = predict(question, backend, **ways)
            journal.add(key, made)
        found.append(journal[key])
        tell(number + 1, len(asked))
    return found
