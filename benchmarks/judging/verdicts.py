"""Answers to judge, and people's verdicts on them: JSONL in, and a file beside it that is only appended to."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from io import FileIO
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from testing_crew.errors import UserMistake

Choice = Literal["right", "wrong", "unsure"]
Row = TypeVar("Row", bound=BaseModel)


def whole(text: str) -> str:
    """A text that has UTF-8: a model that was stopped within a character may leave half a surrogate pair."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


Text = Annotated[str, BeforeValidator(lambda text: whole(text) if isinstance(text, str) else text)]


class Item(BaseModel):
    """A model's answer to a question, the question's text, and what people answered there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Text = Field(pattern=r"\S")
    question: Text = Field(pattern=r"\S")
    body: Text = ""
    references: tuple[Text, ...] = ()
    answer: Text
    model: Text = ""

    @property
    def digest(self) -> str:
        """A hash of what is judged; two models that answer alike share it, as judging is blind to the model."""
        judged = [self.id, self.question, self.body, self.answer]
        return hashlib.sha256(json.dumps(judged).encode()).hexdigest()[:12]


class Verdict(BaseModel):
    """What a judge said of an item (its digest), and when, UTC. Raises UserMistake for a blank name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    item: str
    judge: Text
    verdict: Choice
    note: Text = ""
    at: str = Field(default_factory=lambda: datetime.now(timezone.utc).isoformat(timespec="seconds"))

    @field_validator("judge")
    @classmethod
    def _named(cls, name: str) -> str:
        return named(name)


def named(judge: str) -> str:
    """A judge's name without the blanks around it. Raises UserMistake for one that is blank."""
    if not judge.strip():
        raise UserMistake("a judge needs a name", hint="it tells whose verdicts are whose: your own, or a short one")
    return judge.strip()


def same(judge: str) -> str:
    """A judge's name as names are compared."""
    return judge.strip().casefold()


def read_items(path: Path) -> list[Item]:
    """The answers of a JSONL file, an `Item` a line; blank lines are passed over.

    Raises UserMistake, with the file and the line, for what is no item, for an id that a model answers twice, and for a file
    without items.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserMistake(
            f"{path} cannot be read: {error.strerror or error}", hint="name a JSONL file of answers"
        ) from None
    items: list[Item] = []
    seen: dict[tuple[str, str], int] = {}
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not line.strip():
            continue
        item = _row(Item, line, f"{path}, line {number}")
        first = seen.setdefault((item.id, item.model), number)
        if first != number:
            by = f" by {item.model}" if item.model else ""
            raise UserMistake(
                f"{path}, line {number}: {item.id}{by} is in line {first} already",
                hint="each question has one answer of each model: take one of the lines out, or give another id",
            )
        items.append(item)
    if not items:
        raise UserMistake(f"{path} has no answers", hint='a line is {"id": …, "question": …, "answer": …}')
    return items


def _row(kind: type[Row], line: bytes, where: str) -> Row:
    try:
        return kind.model_validate(json.loads(line.decode("utf-8")))
    except ValidationError as error:
        why = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}".lstrip(": ") for each in error.errors()[:3])
    except UserMistake as error:
        why = error.message
    except (ValueError, RecursionError) as error:
        why = f"not JSON: {error}"
    raise UserMistake(f"{where}: {why}", hint=f"its keys are {', '.join(kind.model_fields)}; the file is left as it is")


class Verdicts:
    """The verdicts on disk. The last one of a judge on an item counts; threads and processes may add at the same time.

    A line without its end (a killed process, a full disk) is cut off, here and before each line that is added. Raises
    UserMistake for a file that cannot be read or written, or holds what is no verdict.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lock = threading.Lock()
        # One that may only be read is read as it is; another trouble comes back at its use.
        with suppress(OSError), self._opened("r+b") as opened:
            _mend(opened)

    @classmethod
    def beside(cls, answers: Path) -> Verdicts:
        """Those on a file of answers: of ``answers.jsonl``, the ones in ``answers.verdicts.jsonl``."""
        return cls(answers.with_suffix(".verdicts.jsonl"))

    @contextmanager
    def _opened(self, mode: str) -> Iterator[FileIO]:
        """The file, for one thread of one process at a time to write (``rb``: for any number to read)."""
        with self._lock, open(self.file, mode, buffering=0) as opened:
            with suppress(ImportError):  # a system without such locks: one process at a time, then
                import fcntl

                fcntl.flock(opened, fcntl.LOCK_SH if mode == "rb" else fcntl.LOCK_EX)
            yield opened  # type: ignore[misc]  # unbuffered, so a FileIO

    def add(self, verdict: Verdict) -> None:
        """Append a verdict; it is on the disk when this returns. Raises UserMistake where it cannot be, and then it is not."""
        line = json.dumps(verdict.model_dump(), ensure_ascii=False).encode() + b"\n"
        try:
            with self._opened("a+b") as opened:
                _mend(opened)
                before = opened.seek(0, os.SEEK_END)
                try:
                    if opened.write(line) != len(line):
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                    os.fsync(opened.fileno())
                except OSError:
                    with suppress(OSError):
                        opened.truncate(before)
                    raise
            if before == 0 and os.name == "posix":  # a new name is on the disk only once its folder is
                folder = os.open(self.file.parent, os.O_RDONLY)
                try:
                    os.fsync(folder)
                finally:
                    os.close(folder)
        except OSError as error:
            raise UserMistake(
                f"{self.file} cannot be written: {error.strerror or error}", hint="this verdict is not kept"
            ) from None

    def all(self) -> list[Verdict]:
        """Every verdict in the order they were added, changed ones too; none where there is no file yet."""
        try:
            with self._opened("rb") as opened:
                lines = opened.read().split(b"\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UserMistake(f"{self.file} cannot be read: {error.strerror or error}") from None
        if not _is_verdict(lines[-1]):
            lines.pop()
        return [
            _row(Verdict, line, f"{self.file}, line {number}") for number, line in enumerate(lines, 1) if line.strip()
        ]

    def by_judge(self) -> dict[str, dict[str, Verdict]]:
        """What counts: the last verdict of each judge (by the name as it was first written) on each item, by its digest."""
        names: dict[str, str] = {}
        found: dict[str, dict[str, Verdict]] = {}
        for verdict in self.all():
            name = names.setdefault(same(verdict.judge), verdict.judge)
            found.setdefault(name, {})[verdict.item] = verdict
        return found

    def of(self, judge: str) -> dict[str, Verdict]:
        """A judge's verdicts that count, by the item's digest."""
        return next((given for name, given in self.by_judge().items() if same(name) == same(judge)), {})


def _is_verdict(line: bytes) -> bool:
    try:
        return bool(_row(Verdict, line, ""))
    except UserMistake:
        return False


def _mend(opened: FileIO) -> None:
    """Cut off a last line without its end; one that only its line feed is missing from gets it."""
    if not opened.seek(0, os.SEEK_END):
        return
    opened.seek(-1, os.SEEK_END)
    if opened.read(1) == b"\n":
        return
    opened.seek(0)
    content = opened.read()
    last = content.rfind(b"\n") + 1
    if _is_verdict(content[last:]):
        opened.write(b"\n")
    else:
        opened.truncate(last)
        os.fsync(opened.fileno())


def consensus(said: Iterable[str]) -> Literal["right", "wrong"] | None:
    """What more than half of the right and wrong verdicts on an item are, of two at least; None where there is no such."""
    given = list(said)
    right, wrong = given.count("right"), given.count("wrong")
    if right + wrong < 2 or right == wrong:
        return None
    return "right" if right > wrong else "wrong"


def export(items: Sequence[Item], verdicts: Verdicts) -> list[dict[str, Any]]:
    """A row an item: ``{id, model, digest, answer, verdicts: {judge: verdict}, consensus}``."""
    by_judge = verdicts.by_judge()
    rows = []
    for item in items:
        said = {judge: given[item.digest].verdict for judge, given in by_judge.items() if item.digest in given}
        row = {"id": item.id, "model": item.model, "digest": item.digest, "answer": item.answer}
        rows.append({**row, "verdicts": said, "consensus": consensus(said.values())})
    return rows
