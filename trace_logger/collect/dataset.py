"""The collaboration data set on disk: a folder with ``steps.jsonl``, a step a line, and ``manifest.json``.

A step is on disk when `DataSet.add` returns. A line at which the process was killed is cut off when the folder is opened again,
and its step is collected anew. A step that comes again (more of it can be had now) stands in place of the earlier one.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from trace_logger.collect.records import Manifest, Step
from trace_logger.errors import PlainError
from trace_logger.jsonl import replacing

STEPS = "steps.jsonl"
MANIFEST = "manifest.json"


class DataSetError(PlainError):
    """A collaboration data set that cannot be read or written, or is another repository's."""


class DataSet:
    """A data set that is being collected; a context manager. ``known`` maps each step's id to whether it is complete."""

    def __init__(self, folder: Path, repository: str) -> None:
        """Open ``folder``, which is made once there is something to keep; ``repository`` is the same in any case of letters.

        Raises DataSetError if it holds another repository's steps, cannot be written, or is no folder.
        """
        self.folder, self.repository = folder, repository
        self.known: dict[str, bool] = {}
        self._file: BinaryIO | None = None
        there = next((each for each in (folder, *folder.absolute().parents) if os.path.exists(each)), folder)
        if os.path.exists(there) and not os.path.isdir(there):
            raise DataSetError(
                f"{there} is a file, and a data set is a folder", hint="name a folder with --out; it need not be there"
            )
        self.manifest = read_manifest(folder) or Manifest(repository=repository)
        self._refuse_another(self.manifest.repository)
        try:
            if (folder / STEPS).exists():
                _cut_half_a_line(folder / STEPS)
        except OSError as error:
            raise self._unwritable(error) from None
        for step in self.steps():
            self._refuse_another(step.repository)  # a collection that was interrupted left no manifest
            self.known[step.id] = step.complete

    def steps(self) -> Iterator[Step]:
        """Each step that there is; none where nothing was kept yet."""
        return read_steps(self.folder) if (self.folder / STEPS).exists() else iter(())

    def add(self, step: Step) -> None:
        """Keep ``step``. Raises DataSetError where the disk is full or gone; what was kept before stands."""
        file = self._opened()
        try:
            file.write(json.dumps(step.model_dump(exclude_defaults=True)).encode() + b"\n")
            file.flush()
        except OSError as error:
            raise self._unwritable(error) from None
        self.known[step.id] = step.complete

    def finish(self, manifest: Manifest) -> Manifest:
        """Write ``manifest`` with the counts of what there is."""
        self._opened()
        kinds: Counter[str] = Counter()
        changes: Counter[str] = Counter()
        feedback = 0
        for step in read_steps(self.folder):
            kinds[step.kind] += 1
            changes.update(version.change for version in step.versions)
            feedback += len(step.feedback)
        sources = tuple(sorted({*self.manifest.sources, *manifest.sources}))
        self.manifest = manifest.model_copy(
            update={
                "repository": self.repository,
                "steps": dict(kinds),
                "versions": dict(changes),
                "feedback": feedback,
                "sources": sources,
            }
        )
        with replacing(self.folder / MANIFEST, force=True) as descriptor, os.fdopen(descriptor, "wb") as file:
            file.write(self.manifest.model_dump_json(indent=2).encode() + b"\n")
        return self.manifest

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()

    def __enter__(self) -> DataSet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _opened(self) -> BinaryIO:
        if self._file is None:
            try:
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._file = open(self.folder / STEPS, "ab")  # noqa: SIM115 - closed by close()
            except OSError as error:
                raise self._unwritable(error) from None
        return self._file

    def _refuse_another(self, repository: str) -> None:
        if repository.casefold() == self.repository.casefold():
            self.repository = repository  # as it was written first
        else:
            raise DataSetError(
                f"{self.folder} holds what was collected of {repository}, not of {self.repository}",
                hint="name another folder with --out",
            )

    def _unwritable(self, error: OSError) -> DataSetError:
        return DataSetError(
            f"{self.folder} cannot be written: {error.strerror or error}",
            hint="make room, or name another folder with --out; what is kept stands, and the same command goes on",
        )


def _cut_half_a_line(file: Path) -> None:
    with file.open("rb+") as opened:
        content = opened.read()
        if content and not content.endswith(b"\n"):
            opened.truncate(content.rfind(b"\n") + 1)


def read_manifest(folder: Path) -> Manifest | None:
    """The folder's manifest; None where nothing was finished there yet. Raises DataSetError for one that is damaged."""
    file = folder / MANIFEST
    try:
        return Manifest.model_validate_json(file.read_bytes()) if file.exists() else None
    except (OSError, ValueError) as error:
        raise DataSetError(
            f"{file} is no manifest that this version reads: {str(error).partition(chr(10))[0]}",
            hint="move it away: the same command writes it anew",
        ) from None


def read_steps(folder: Path) -> Iterator[Step]:
    """Each step once, as it came last, in the order of the file.

    Raises DataSetError where there is no data set, or for a line that is no step, named by its number.
    """
    file = folder / STEPS
    last: dict[str, int] = {}
    for number, step in _lines(file):
        last[step.id] = number
    for number, step in _lines(file):
        if last[step.id] == number:
            yield step


def _lines(file: Path) -> Iterator[tuple[int, Step]]:
    try:
        with file.open("rb") as opened:
            for number, line in enumerate(opened, start=1):
                if not line.endswith(b"\n"):  # being written, or cut off
                    return
                yield number, Step.model_validate(json.loads(line))
    except FileNotFoundError:
        raise DataSetError(
            f"there is no collaboration data set in {file.parent}",
            hint=f"testing-crew collect git REPOSITORY --out {file.parent}",
        ) from None
    except OSError as error:
        raise DataSetError(f"{file} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise DataSetError(
            f"{file}, line {number}, is no step of a data set: {str(error).partition(chr(10))[0]}",
            hint="take the line out: the same collection brings its step again",
        ) from None
