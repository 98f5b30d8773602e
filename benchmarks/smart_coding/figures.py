"""The figures of a set of answers: what it is good for (function), whether it says the same again (reliability), whether it
knows which lines matter (explainability). Each is defined in docs/benchmarks.md; each is a share, NaN where nothing is known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext

from benchmarks.smart_coding import scoring
from benchmarks.smart_coding.ask import Prediction
from benchmarks.smart_coding.likeness import chrf, exact, f1, numbers_in
from benchmarks.smart_coding.rows import CommentRow, IssueRow, Row, TaskName, TestgenRow, language_of
from testing_crew.runner.run import Runner

Figure = Callable[[Prediction, Runner], float | None]


def _comment(score: Callable[[CommentRow, str], float | None]) -> Figure:
    return lambda p, _: score(p.row, p.answer) if isinstance(p.row, CommentRow) else None


def _issue(score: Callable[[IssueRow, str], float | None]) -> Figure:
    return lambda p, _: score(p.row, p.answer) if isinstance(p.row, IssueRow) else None


def _logic(p: Prediction, _: Runner) -> float | None:
    if p.judgement is not None:
        return p.judgement.logic
    return scoring.comment_logic(p.row, p.answer) if isinstance(p.row, CommentRow) else None


def _accuracy(p: Prediction, _: Runner) -> float | None:
    """By place, times a judge's grade where there is one; of one text on all of the code the grade alone."""
    if not isinstance(p.row, CommentRow):
        return None
    parts = (scoring.comment_accuracy(p.row, p.answer), p.judgement.accuracy if p.judgement else None)
    known = [part for part in parts if part is not None]
    return math.prod(known) if known else None


def _comment_function(p: Prediction, runner: Runner) -> float | None:
    """The harmonic mean of the parts that are known, so that the right form and place make up for nothing where little is said.

    None where it is not known how much is said.
    """
    logic = _logic(p, runner)
    if logic is None:
        return None
    known = [part for part in (logic, _accuracy(p, runner), COMMENT["format"](p, runner)) if part is not None]
    return len(known) / sum(1 / part for part in known) if all(known) else 0.0


def _written(p: Prediction, answer: str) -> str:
    if not isinstance(p.row, TestgenRow):
        return answer
    return scoring.next_test(p.row, answer) if p.row.kind == "test" else scoring.next_lines(p.row, answer)


def _match(p: Prediction, _: Runner) -> float | None:
    return chrf(_written(p, p.answer), p.row.reference) if isinstance(p.row, TestgenRow) else None


def _exact(p: Prediction, _: Runner) -> float | None:
    return float(exact(_written(p, p.answer), p.row.reference)) if isinstance(p.row, TestgenRow) else None


def _passes(p: Prediction, runner: Runner) -> float | None:
    return scoring.passes(p.row, p.answer, runner) if isinstance(p.row, TestgenRow) else None


def _explained(p: Prediction, _: Runner) -> float | None:
    if not isinstance(p.row, TestgenRow) or p.explanation is None:
        return None
    return f1(numbers_in(p.explanation), p.row.lines)


def reliability(p: Prediction, runner: Runner) -> float | None:
    """The mean likeness (chrF) of the first answer and each of its repeats and paraphrases; None where it was asked but once.

    An empty answer is like no other: a model that never says anything is not reliable.
    """
    others = [*p.repeats, *p.paraphrases]
    first = _written(p, p.answer)
    return sum(_like(first, _written(p, each)) for each in others) / len(others) if others else None


def _like(one: str, other: str) -> float:
    return chrf(one, other) if one.strip() and other.strip() else 0.0


def _estimate(p: Prediction, _: Runner) -> float | None:
    right = p.judgement.right if p.judgement else None
    return None if right is None else float(right)


COMMENT: Mapping[str, Figure] = {
    "logic": _logic,
    "accuracy": _accuracy,
    "format": _comment(scoring.comment_format),
    "function": _comment_function,
    "reliability": reliability,
    "explainability": _comment(scoring.comment_lines),
}
ISSUE: Mapping[str, Figure] = {
    "overlap": _issue(scoring.issue_overlap),
    "judge_says": _estimate,
    "reliability": reliability,
    "explainability": _issue(scoring.issue_names),
}
TESTGEN: Mapping[str, Figure] = {
    "function": _passes,
    "match": _match,
    "exact": _exact,
    "reliability": reliability,
    "explainability": _explained,
}
FIGURES: Mapping[TaskName, Mapping[str, Figure]] = {"comment": COMMENT, "issue": ISSUE, "testgen": TESTGEN}


def read(
    task: TaskName, y_true: Sequence[object], y_pred: Sequence[object], rows: Callable[[], Sequence[Row]] = tuple
) -> list[Prediction]:
    """What a base model predicted: ours are `Prediction` in JSON, any other text is an answer.

    The row of another's is the one of ``rows`` (read where one is needed) that has the reference. Where there is none, all that
    is known of what people said is the reference: of comments and issues that is enough.
    """
    found = []
    known: dict[str, Row] | None = None
    for number, given in enumerate(y_pred):
        try:
            made = Prediction.model_validate_json(str(given))
        except ValueError:
            made = Prediction(question="", answer=str(given))
        reference = str(y_true[number]) if number < len(y_true) else ""
        if made.row is None and reference.strip():
            if known is None:
                known = {row.reference.strip("\n"): row for row in rows()}
            if row := known.get(reference.strip("\n")):
                made = made.model_copy(update={"row": row})
            elif task == "comment":
                made = made.model_copy(update={"row": _comment_row(made.question or " ", reference)})
            elif task == "issue":
                made = made.model_copy(update={"row": IssueRow(question=made.question or " ", answers=(reference,))})
        found.append(made)
    return found


def _comment_row(question: str, reference: str) -> CommentRow:
    language = language_of(reference)
    notes, share = scoring.notes_of(reference)
    if share < 1:
        return CommentRow(code_snippet=question, comment=reference, language=language)
    code = "\n".join("?" * max(note.line_number for note in notes))  # unknown lines, as many as it must have
    return CommentRow(code_snippet=code, annotations=notes, language=language)


def mean(task: TaskName, name: str, predictions: Sequence[Prediction], runner: Runner | None = None) -> float:
    """The mean of a figure over the answers that it is known of; NaN where it is of none."""
    figure = FIGURES[task][name]
    with nullcontext(runner) if runner else Runner() as used:
        values = [value for value in (figure(each, used) for each in predictions) if value is not None]
    return sum(values) / len(values) if values else math.nan
