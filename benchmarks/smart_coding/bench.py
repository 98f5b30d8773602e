"""The three tasks as benchmarks of our own harness: the same questions and figures as in Ianvs, resumed, compared, reported."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.controls import Control
from benchmarks.metrics import Score, figure, mean
from benchmarks.smart_coding.ask import predict
from benchmarks.smart_coding.figures import FIGURES
from benchmarks.smart_coding.rows import IssueRow, Question, TestgenRow, language_of
from benchmarks.task import Answer, Outcome
from testing_crew.backends.base import Backend
from testing_crew.config import Config
from testing_crew.crew import runner_for
from testing_crew.project.syntax import parse

_FITS_ALL = {
    "en": "Return the value of the given object, or the default if it is not set, and raise an error when it is invalid.",
    "zh": "根据给定的参数计算结果并返回，参数无效时抛出异常。",
}

if TYPE_CHECKING:
    from benchmarks.run import Settings
    from benchmarks.suite import Benchmark


@contextmanager
def asking(
    benchmark: Benchmark, settings: Settings, config: Config, backend: Backend, runner: Any
) -> Iterator[Callable[[Question], Outcome]]:
    """Asks each question, once more with another seed and once in other words, and scores the answers by code alone."""
    with runner or runner_for(config) as used:

        def work(question: Question) -> Outcome:
            made = predict(question, backend, seed=settings.seed)
            figures = {name: score(made, used) for name, score in FIGURES[question.task].items()}
            answer = Answer(
                prompt=made.question,
                text=made.answer,
                finish=made.finish,
                tokens=made.tokens,
                expected=None,
                read="",
                plain="",
            )
            return Outcome(
                id=question.id,
                task=question.digest,
                group=question.group,
                answer=answer,
                figures={name: value for name, value in figures.items() if value is not None},
                seconds=made.seconds,
            )

        yield work


def scores(outcomes: Sequence[Outcome], most: int = 0) -> dict[str, Score]:
    """The mean of each figure over the questions that have it, and what a question costs."""
    counted = [outcome for outcome in outcomes if outcome.error is None]
    names = list(dict.fromkeys(name for outcome in counted for name in outcome.figures))
    found = {name: figure([outcome.figures.get(name) for outcome in counted]) for name in names}
    found["seconds"] = mean([outcome.seconds for outcome in counted])
    found["tokens"] = mean([outcome.tokens for outcome in counted])
    return {name: score for name, score in found.items() if score is not None}


def to_judge(questions: Sequence[Question], outcomes: Sequence[Outcome], model: str) -> str:
    """The answers for ``bench judge``, an item a line."""
    rows = {question.id: question.row for question in questions if isinstance(question.row, IssueRow)}
    items = (rows[o.id].to_judge(o.answer.text, model) for o in outcomes if o.answer)
    return "".join(item.model_dump_json() + "\n" for item in items)


def _reference(questions: Sequence[Question]) -> Control:
    known = {prompt: each.row.reference for each in questions for prompt in (each.prompt, *each.paraphrases)}
    return Control("reference", lambda prompt: known.get(prompt, _lines(prompt, questions)))


def _lines(prompt: str, questions: Sequence[Question]) -> str:
    """The lines that the test in a prompt for an explanation runs."""
    asked = (each.row for each in questions if getattr(each.row, "lines", ()) and each.row.reference.strip() in prompt)
    return ", ".join(map(str, getattr(next(asked, None), "lines", ())))


def _echo(questions: Sequence[Question]) -> Control:
    """Says of each line what the line says, or says the question again: what a writer would have that understands nothing."""

    def answer(prompt: str) -> str:
        lines = re.findall(r"^ *(\d+)\| (.*\S.*)$", prompt, re.MULTILINE)
        return "\n".join(f"{number}: {line.strip()}" for number, line in lines) or prompt

    return Control("echo", answer)


def _spam(questions: Sequence[Question]) -> Control:
    """Says the same of every line, and that a test runs every line."""

    def answer(prompt: str) -> str:
        numbers = re.findall(r"^ *(\d+)\| .*\S", prompt, re.MULTILINE)
        return "\n".join(f"{number}: This line matters for the result." for number in numbers)

    return Control("spam", answer)


def _sentence(questions: Sequence[Question]) -> Control:
    """One sentence that fits the code of any question."""

    def answer(prompt: str) -> str:
        return _FITS_ALL[language_of(prompt)]

    return Control("constant", answer)


def _last_test(kind: str, changed: Callable[[ast.FunctionDef], None], questions: Sequence[Question]) -> Control:
    """The last test of the file so far, changed and under a new name, where the next test is asked for."""
    rows = {prompt: each.row for each in questions for prompt in (each.prompt, *each.paraphrases)}

    def answer(prompt: str) -> str:
        row = rows.get(prompt)
        shown = parse(row.prefix).body if isinstance(row, TestgenRow) and row.kind == "test" else []
        found = [node for node in shown if isinstance(node, ast.FunctionDef) and node.name.startswith("test")]
        if not found:
            return ""
        changed(found[-1])
        found[-1].name = "test_once_more"
        return ast.unparse(ast.fix_missing_locations(found[-1]))

    return Control(kind, answer)


def _in_bool(test: ast.FunctionDef) -> None:
    for node in ast.walk(test):
        if isinstance(node, ast.Assert):
            node.test = ast.Call(ast.Name("bool", ast.Load()), [node.test], [])


def _without_claims(test: ast.FunctionDef) -> None:
    class Bare(ast.NodeTransformer):
        def visit_Assert(self, node: ast.Assert) -> ast.Expr:
            return ast.Expr(node.test)

    Bare().visit(test)
    test.body += parse("assert True").body


def _constant(text: str, kind: str, questions: Sequence[Question]) -> Control:
    return Control(kind, lambda prompt: text)


CONTROLS: Mapping[str, Callable[[Sequence[Any]], Backend]] = {
    "reference": _reference,
    "echo": _echo,
    "spam": _spam,
    "silent": partial(_constant, "", "silent"),
    "constant": _sentence,
    "copy": partial(_last_test, "copy", _in_bool),
    "runs": partial(_last_test, "runs", _without_claims),
}
