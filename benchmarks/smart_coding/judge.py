"""A model that judges answers by a rubric. It is a help where code cannot tell, never the last word.

On issues its word is an estimate, to be calibrated on people's (`benchmarks.judging.estimate`).
"""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict

from benchmarks.judging.verdicts import whole
from benchmarks.smart_coding.rows import CommentRow, IssueRow, Row, TaskName, numbered
from testing_crew.backends.base import Backend, Sampling
from testing_crew.errors import GenerationFailed

_SCORE = re.compile(r"(logic|accuracy)\W{1,6}(\d{1,2})(?:\s*/\s*10)?", re.IGNORECASE)
_VERDICT = re.compile(r"verdict\W{1,6}(right|wrong)\b(?!\W{1,3}(?:or\W{1,3})?(?:right|wrong)\b)", re.IGNORECASE)
_COMMENTS = """\
You grade comments on Python code. The code, with its lines numbered:

{code}

What an experienced engineer wrote on it:

{reference}

What is to be graded:

{answer}

Grade two things from 0 to 10, strictly:
logic: how much of what matters about the code's behaviour and intent the graded comments say (10: all that the engineer said).
accuracy: how true they are, each at its line (10: nothing is wrong; take away for each false or misplaced statement).
Comments that only repeat the code in words get at most 4 for logic. Answer in this form, and with nothing else:
logic: N
accuracy: N
"""
_ISSUE = """\
You judge whether an answer solves an issue.

Issue: {question}

{body}

Answers that are known to be right:

{references}

The answer to be judged:

{answer}

It is right if a user who follows it has the problem solved, by the same way as a known answer or by another that works, and if it
says nothing false that would mislead. Length and politeness do not count. Answer in this form, and with nothing else:
verdict: right
or
verdict: wrong
"""


class Judgement(BaseModel):
    """A judge model's word: shares for comments, right or wrong for an issue; None where it said nothing that can be read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    judge: str
    logic: float | None = None
    accuracy: float | None = None
    right: bool | None = None
    said: str = ""


def judged(task: TaskName, row: Row, answer: str, judge: Backend) -> Judgement | None:
    """Ask the judge of one answer; None for a task that needs none. A judge that fails says nothing: no answer is lost by it."""
    if isinstance(row, CommentRow):
        asked = _COMMENTS.format(code=numbered(row.code_snippet), reference=row.reference, answer=answer)
    elif isinstance(row, IssueRow):
        known = "\n\n---\n\n".join(row.answers) or "(none)"
        asked = _ISSUE.format(question=row.question, body=row.body, references=known, answer=answer)
    else:
        return None
    try:
        said = judge.complete(asked, Sampling(max_tokens=64)).text
    except GenerationFailed as error:
        return Judgement(judge=judge.tag, said=f"failed: {error.message}")
    return read(said, judge.tag)


def read(said: str, judge: str) -> Judgement:
    """What a judge's answer says."""
    scores = {name.lower(): min(int(value), 10) / 10 for name, value in _SCORE.findall(said)}
    verdicts = {found.lower() for found in _VERDICT.findall(said)}
    return Judgement(
        judge=judge,
        logic=scores.get("logic"),
        accuracy=scores.get("accuracy"),
        right=verdicts == {"right"} if len(verdicts) == 1 else None,
        said=whole(said[:400]),
    )
