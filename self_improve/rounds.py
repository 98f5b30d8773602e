"""A round of improvement on disk: its steps with the hashes of what went into each, the lock, and what was decided."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from self_improve.packages import must_have
from testing_crew.backends.files import replace
from testing_crew.errors import UserMistake
from trace_logger.liveness import this_process
from trace_logger.records import Record, utc_now
from trace_logger.workspace import workspace

NOTE = "round.json"
_LOCK, _HOLDER = ".improve.lock", ".improve.holder.json"


class Step(Record):
    """A step that was finished: the hash of its inputs, and what came of it, as plain values."""

    inputs: str
    output: dict[str, Any]
    at: str


class State(Record):
    """What is known of a round. ``decision`` is empty until its last step is done.

    ``label`` is the version that its model is published as; ``identity`` is a hash of all that decides what comes of it.
    """

    number: int
    begun_at: str
    options: dict[str, Any]
    steps: dict[str, Step] = Field(default_factory=dict)
    label: str = ""
    identity: str = ""
    decision: str = ""
    why: str = ""
    finished_at: str | None = None


class Round:
    """One round, in a folder of its own; every change is on disk when it is made."""

    def __init__(self, folder: Path, state: State) -> None:
        self.folder = folder
        self.state = state

    def step(self, name: str, inputs: Any, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What came of the step ``name``: kept where its ``inputs`` (plain values) are the same, else made now."""
        mark = mark_of(inputs)
        done = self.state.steps.get(name)
        if done is not None and done.inputs == mark:
            return done.output
        output = json.loads(json.dumps(make(), default=str))
        self.note(steps={**self.state.steps, name: Step(inputs=mark, output=output, at=utc_now())})
        return dict(output)

    def finish(self, decision: str, why: str) -> None:
        """The round came to its end."""
        self.note(decision=decision, why=why, finished_at=utc_now())

    def drop(self) -> None:
        """Take back a round that has nothing to do."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def note(self, **changes: Any) -> None:
        """Keep ``changes`` of what is known: what is asked for now, the label, the identity. Steps that were done stand."""
        self.state = self.state.model_copy(update=changes)
        self.folder.mkdir(parents=True, exist_ok=True)
        replace(self.folder / NOTE, json.dumps(self.state.model_dump(), indent=2) + "\n")


def mark_of(inputs: Any) -> str:
    """The hash of plain values."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, default=str).encode()).hexdigest()


def rounds() -> list[Round]:
    """The rounds of the workspace, oldest first. Raises UserMistake for one whose note is broken."""
    found = []
    for note in sorted((workspace() / "rounds").glob(f"*/{NOTE}")):
        try:
            found.append(Round(note.parent, State.model_validate_json(note.read_text(encoding="utf-8"))))
        except (OSError, UnicodeDecodeError, ValidationError) as error:
            raise UserMistake(
                f"{note} cannot be read: {str(error).splitlines()[0]}", hint=f"move it away: {note.parent}"
            ) from None
    return found


def current() -> Round:
    """The round that was stopped before its end, else a new one."""
    there = rounds()
    if there and not there[-1].state.finished_at:
        return there[-1]
    number = there[-1].state.number + 1 if there else 1
    folder = workspace() / "rounds" / f"{number:04d}"
    return Round(folder, State(number=number, begun_at=utc_now(), options={}))


@contextmanager
def lock() -> Iterator[None]:
    """Hold the workspace's one lock. The system frees it when its process ends, however that was.

    Raises UserMistake that names the holder where another process has it.
    """
    must_have("improve", "filelock")
    from filelock import FileLock, Timeout

    home = workspace()
    home.mkdir(parents=True, exist_ok=True)
    holder = home / _HOLDER
    try:
        with FileLock(home / _LOCK, timeout=0):
            replace(holder, json.dumps({"process": this_process(), "since": utc_now()}) + "\n")
            yield
            holder.unlink(missing_ok=True)
    except Timeout:
        raise UserMistake(
            f"another improve is at work in {home}: {_held_by(holder)}",
            hint="wait for it, or end it: it goes on where it was",
        ) from None


def _held_by(holder: Path) -> str:
    try:
        said = json.loads(holder.read_text(encoding="utf-8"))
        machine, number, _ = said["process"].rsplit(" ", 2)
        return f"process {number} on {machine}, since {said['since']}"
    except (OSError, ValueError, KeyError):
        return "it has not said who it is"
