"""One row of training data, and its way into and out of a JSONL file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from testing_crew import prompt
from testing_crew.errors import UserMistake
from testing_crew.project import code
from trace_logger.records import Record

# The beginnings of groups whose side is settled by their source; all others are divided by chance.
TRAIN_ONLY = "train:"
DEV_ONLY = "dev:"
OUTCOME = "outcome"  # the kind of a row that asks whether a test passes


class Row(Record):
    """A prompt of ours and the test file that answers it.

    ``kind`` is generate, repair or complete; or `OUTCOME`, whose prompt is another and whose answer is a word: ``shows`` are the
    files in it. Rows of one ``group`` are never divided between train and dev.
    """

    id: str
    source: str
    kind: str
    group: str
    prompt: str
    completion: str
    licence: str = ""
    shows: tuple[str, ...] = ()


def shown_code(row: Row) -> str:
    """The code under test as the prompt shows it, the line with the module's name included."""
    return row.prompt.split(f"{prompt.CODE}\n", 1)[1].split(f"\n\n{prompt.CONSTRAINTS}", 1)[0]


def module_of(row: Row) -> tuple[str, str]:
    """The module's name and its text, as the prompt shows them."""
    module, _, text = code.parts(shown_code(row))
    return module, text + "\n"


def to_jsonl(rows: Iterable[Row]) -> bytes:
    """The rows, one JSON object a line."""
    lines = (json.dumps(row.model_dump(), ensure_ascii=False, sort_keys=True) + "\n" for row in rows)
    return "".join(lines).encode("utf-8", "backslashreplace")


def read_jsonl(path: Path) -> list[Row]:
    """The rows of a file. Raises UserMistake when it cannot be read, or a line is no row."""
    return read_as(Row, path, "a row has id, source, kind, group, prompt, completion, and may have licence")


Read = TypeVar("Read", bound=BaseModel)


def read_as(kind: type[Read], path: Path, form: str) -> list[Read]:
    """The records of a JSONL file. Raises UserMistake, with the ``form`` of one, when it cannot be read or a line is none."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise UserMistake(f"{path} cannot be read: {error.strerror}") from None
    rows = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                rows.append(kind.model_validate_json(line))
            except ValidationError as error:
                first = error.errors()[0]
                where = ".".join(map(str, first["loc"]))
                raise UserMistake(
                    f"{path}, line {number} is no row: {where + ': ' if where else ''}{first['msg']}", hint=form
                ) from None
    return rows
