"""What is asked: rows of the three tasks, in the forms in which they are published and of our own, and the questions they make.

``comment``: ``{description, code_snippet, annotations: [{line_number, annotation}]}`` or ``{code_snippet, comment}``.
``issue``: ``{question, user_login, created_at, updated_at, body, answer_1 … answer_n}``, each answer with a ``body``.
``testgen``: ours, see `TestgenRow`. (Forms: the Smart Coding proposal of KubeEdge-Ianvs.)
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from benchmarks.judging.verdicts import Item
from benchmarks.sources.functions import records
from testing_crew.errors import UserMistake

TaskName = Literal["comment", "issue", "testgen"]
TASKS: tuple[TaskName, ...] = get_args(TaskName)
Language = Literal["en", "zh"]
CHINESE = re.compile(r"[\u3400-\u9fff]")  # a character
_ANSWER = re.compile(r"answer_(\d+)")


class Note(BaseModel):
    """A comment at a line of the code, counted from 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    line_number: int = Field(ge=1)
    annotation: str


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = ""
    language: Language = "en"


class CommentRow(_Row):
    """Code without comments, and what people wrote on it: line by line, in one text, or both."""

    description: str = ""
    code_snippet: str = Field(min_length=1)
    annotations: tuple[Note, ...] = ()
    comment: str = ""

    @property
    def reference(self) -> str:
        """What people wrote, as an answer has it."""
        lines = "\n".join(f"{note.line_number}: {note.annotation}" for note in self.annotations)
        return lines or self.comment


class IssueRow(_Row):
    """An issue, and the answers that people gave; the first is the one that solved it, where that is known."""

    question: str = Field(min_length=1)
    user_login: str = ""
    created_at: str = ""
    updated_at: str = ""
    body: str = ""
    answers: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _numbered(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        data = {**data, "body": "" if data.get("body") is None else data["body"]}
        if "answers" in data:
            return data
        numbered = sorted((int(found[1]), key) for key in data if (found := _ANSWER.fullmatch(key)))
        given = [data[key].get("body") if isinstance(data[key], Mapping) else data[key] for _, key in numbered]
        rest = {key: value for key, value in data.items() if not _ANSWER.fullmatch(key)}
        return {**rest, "answers": [text for text in given if text is not None and str(text).strip()]}

    @property
    def reference(self) -> str:
        """The first answer."""
        return self.answers[0] if self.answers else ""

    def to_judge(self, answer: str, model: str) -> Item:
        """What people judge of a model's ``answer``."""
        return Item(
            id=self.id, question=self.question, body=self.body, references=self.answers, answer=answer, model=model
        )


class TestgenRow(_Row):
    """The beginning of a file, and what people wrote next.

    ``kind`` ``test``: ``code`` is the module ``module``, ``prefix`` its test file so far, ``reference`` the next test. ``lines``:
    ``prefix`` is the module's text so far, ``reference`` its next lines, ``suffix`` what follows, ``tests`` a test file that
    holds for it. ``files`` are the other modules that it imports, by their paths. ``lines`` are the lines of ``code`` that the
    reference test runs, counted from 1.
    """

    __test__ = False  # pytest collects classes whose name begins with Test

    kind: Literal["test", "lines"]
    module: str
    code: str = ""
    prefix: str
    reference: str = Field(min_length=1)
    suffix: str = ""
    tests: str = ""
    files: dict[str, str] = Field(default_factory=dict)
    lines: tuple[int, ...] = ()
    source: str = ""


Row = CommentRow | IssueRow | TestgenRow
KINDS: Mapping[TaskName, type[CommentRow] | type[IssueRow] | type[TestgenRow]] = {
    "comment": CommentRow,
    "issue": IssueRow,
    "testgen": TestgenRow,
}
_PUBLISHED = {"test_case", "prompt", "judge_prompt"}


class Question(BaseModel):
    """One row, asked; ``paraphrases`` ask the same in other words."""

    model_config = ConfigDict(frozen=True)

    task: TaskName
    row: CommentRow | IssueRow | TestgenRow
    prompt: str
    paraphrases: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The row's."""
        return self.row.id

    @property
    def group(self) -> str:
        """What a limit draws evenly from: the language; of testgen what is to be written."""
        return self.row.kind if isinstance(self.row, TestgenRow) else self.row.language

    @property
    def digest(self) -> str:
        """A hash of what is asked and what is right."""
        asked = [self.task, self.prompt, self.row.model_dump_json()]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:12]


def load(task: TaskName, path: Path | None = None) -> list[Question]:
    """The questions of the rows that ship, or of a file of rows (JSON or JSONL).

    Raises UserMistake for a file that cannot be read, holds no row, or a row that is none of this task, named by its number, or
    two rows that ask the same: an answer would be both's.
    """
    made = questions(task, rows_of(task, path))
    asked: dict[str, str] = {}
    for each in made:
        if (other := asked.setdefault(each.prompt, each.id)) != each.id:
            raise UserMistake(f"{path or task}: two rows ask the same: ids {other!r} and {each.id!r}; take one out")
    return made


def rows_of(task: TaskName, path: Path | None = None) -> list[Row]:
    """The rows alone; raises as `load`."""
    file = path or Path(__file__).with_name(f"{task}.jsonl")
    found: list[Row] = []
    for number, row in enumerate(records(file, ()), 1):
        try:
            own = {k: v for k, v in row.items() if k not in _PUBLISHED} if isinstance(row, dict) else row
            made: Row = KINDS[task].model_validate(own)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the row"
            raise UserMistake(
                f"{file}, row {number}, is no row for {task}: {where}: {first['msg']}",
                hint=f"the form is in docs/benchmarks.md; a row that ships: {Path(__file__).with_name(f'{task}.jsonl')}",
            ) from None
        update: dict[str, Any] = {"id": made.id or str(number)}
        if "language" not in row:
            update["language"] = language_of(_prose(made))
        found.append(made.model_copy(update=update))
    if twice := sorted(name for name, count in Counter(row.id for row in found).items() if count > 1):
        raise UserMistake(f"{file} has more than one row of the id {twice[0]!r}")
    return found


def language_of(text: str) -> Language:
    """The language that a text is in, as far as rows know them."""
    return "zh" if CHINESE.search(text) else "en"


def _prose(row: Row) -> str:
    if isinstance(row, CommentRow):
        return row.description + row.reference
    return row.question + row.body if isinstance(row, IssueRow) else ""


def questions(task: TaskName, rows: Sequence[Row]) -> list[Question]:
    """Each row asked, with what asks the same."""
    made = []
    for row in rows:
        first, *others = _asked(row)
        made.append(Question(task=task, row=row, prompt=first, paraphrases=tuple(others)))
    return made


def numbered(code: str) -> str:
    """The code with a number before each line."""
    lines = code.split("\n")
    width = len(str(len(lines)))
    return "\n".join(f"{number:{width}}| {line}" for number, line in enumerate(lines, 1))


_COMMENT = {
    "en": (
        "{description}\n\n{code}\n\nAnswer with one line for each comment and nothing else: the number of the code's line, a "
        'colon, the comment, as in "3: Stops at the first blank line."',
        "Here is Python code with its lines numbered.\n\n{code}\n\n{description} Write each comment on a line of its own, after "
        "the number of the line that it explains and a colon (3: why this line is there). Write nothing else.",
    ),
    "zh": (
        "{description}\n\n{code}\n\n每条注释占一行，格式为“行号: 注释”，例如“3: 遇到空行就停止”。不要输出其他内容。",
        "下面是带行号的 Python 代码：\n\n{code}\n\n{description} 每行只写一条注释，先写它所说明的代码行号，"
        "再写冒号和注释（如 3: 这一行的用意），除此之外什么都不要写。",
    ),
}
_DESCRIPTION = {"en": "Comment this code: say what matters, line by line.", "zh": "请为这段代码逐行写出必要的注释。"}
_WHOLE = {
    "en": (
        "{description}\n\n{code}\n\nSay in one or two sentences what this code does, and nothing else.",
        "What does this code do?\n\n{code}\n\nAnswer in no more than two sentences.",
    ),
    "zh": (
        "{description}\n\n{code}\n\n用一两句话说明这段代码的作用，不要输出其他内容。",
        "这段代码做了什么？\n\n{code}\n\n请用不超过两句话回答。",
    ),
}
_ISSUE = {
    "en": (
        "A user opened this issue. Answer it: say what the cause is and how it is solved.\n\n# {question}\n\n{body}",
        "Issue: {question}\n\n{body}\n\nWrite the reply that solves this issue.",
    ),
    "zh": (
        "一位用户提交了下面的 issue，请回答：说明原因和解决办法。\n\n# {question}\n\n{body}",
        "Issue：{question}\n\n{body}\n\n请写出能解决该 issue 的回复。",
    ),
}
_NEXT_TEST = (
    "Module `{module}`:\n\n```python\n{code}\n```\n\nIts test file so far:\n\n```python\n{prefix}\n```\n\n"
    "Write the next test: one function, in a code block, and nothing else.",
    "Below are a Python module named `{module}` and the beginning of its tests. Continue the tests by one further function; "
    "answer with its code alone.\n\n```python\n{code}\n```\n\n```python\n{prefix}\n```",
)
_NEXT_LINES = (
    "Continue this Python file ({module}.py). Write its next {count} lines and nothing else.\n\n```python\n{prefix}\n```",
    "Which {count} lines come next in {module}.py? Answer with the code alone.\n\n```python\n{prefix}\n```",
)


def _asked(row: Row) -> Iterator[str]:
    """The question in each of its wordings."""
    if isinstance(row, CommentRow):
        forms = _COMMENT if row.annotations or not row.comment else _WHOLE
        shown = numbered(row.code_snippet) if forms is _COMMENT else row.code_snippet
        for form in forms[row.language]:
            described = row.description or _DESCRIPTION[row.language]
            yield form.format(description=described, code=f"```python\n{shown}\n```")
    elif isinstance(row, IssueRow):
        for form in _ISSUE[row.language]:
            yield form.format(question=row.question, body=row.body)
    elif row.kind == "test":
        for form in _NEXT_TEST:
            yield form.format(module=row.module, code=row.code.strip(), prefix=row.prefix.strip())
    else:
        count = len(row.reference.strip("\n").split("\n"))
        for form in _NEXT_LINES:
            yield form.format(module=row.module, count=count, prefix=row.prefix.rstrip("\n"))
