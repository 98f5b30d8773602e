"""Repair pairs as JSONL, one ``{code, failed_test, failure_log, fixed_test}`` per line, out and in."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from trace_logger.errors import PairFileError
from trace_logger.records import RepairPair

COLUMNS = ("code", "failed_test", "failure_log", "fixed_test")
_NAMED = 20  # how many bad rows a message names


def _line(pair: RepairPair) -> bytes:
    # A lone surrogate has no UTF-8; `backslashreplace` writes it as \udXXX, which within JSON means just that.
    return json.dumps(pair.row(), ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"


def export_pairs(
    pairs: Iterable[RepairPair], out: str | os.PathLike[str] | TextIO | None = None, *, force: bool = False
) -> int:
    """Write ``pairs`` to a file, a text stream, or standard output (None), in UTF-8, and give their number.

    A file is there whole or not at all, with mode 0600: it holds people's code. Nothing but a regular file is ever
    replaced. Raises `PairFileError` if the file exists and ``force`` is not given, or if it cannot be written.
    """
    if isinstance(out, (str, os.PathLike)):
        with replacing(Path(out), force) as descriptor, os.fdopen(descriptor, "wb") as file:
            count = 0
            for pair in pairs:
                file.write(_line(pair))
                count += 1
            file.flush()
            os.fsync(file.fileno())
        return count
    stream = sys.stdout if out is None else out
    # The bytes below a stream of text, where it has them: it may be set to an encoding that cannot hold the text.
    binary = getattr(stream, "buffer", None)
    count = 0
    for pair in pairs:
        if binary is None:
            stream.write(_line(pair).decode())
        else:
            binary.write(_line(pair))
        count += 1
    (stream if binary is None else binary).flush()
    return count


def check_out(path: Path, force: bool) -> None:
    """Refuse a place that `export_pairs` would not write to.

    Raises `PairFileError` if it exists and ``force`` is not given, is no regular file, or has no folder to lie in.
    """
    there = os.path.exists(path)  # False where one may not look: then the writing says why
    if there and not os.path.isfile(path):
        raise PairFileError(f"writing pairs: {path} is not a regular file.", hint="Name a file to be made.")
    if there and not force:
        raise PairFileError(f"writing pairs: {path} exists.", hint="Replace it with --force, or name another file.")
    if not os.path.isdir(path.parent):
        raise PairFileError(
            f"writing pairs: there is no folder {path.parent}.", hint=f"Make it: mkdir -p {path.parent}"
        )


@contextmanager
def replacing(path: Path, force: bool) -> Iterator[int]:
    """A descriptor to write to: what is written is at ``path`` when the block ends, whole or not at all, with mode 0600."""
    check_out(path, force)
    place = path.resolve()  # a link stays a link, and what it points to is replaced
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{place.name}.", suffix=".part", dir=place.parent)
        try:
            yield descriptor
            os.replace(name, place)
        except BaseException:
            os.unlink(name)
            raise
        if os.name == "posix":  # the new name itself is on the disk only once its folder is
            folder = os.open(place.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except OSError as error:
        raise PairFileError(
            f"writing pairs: {path} cannot be written ({error.strerror or error}).",
            hint="Nothing was written; name a file in a folder of yours with room on its disk.",
        ) from error


def read_pairs(path: str | os.PathLike[str]) -> list[RepairPair]:
    """Read the pairs of a JSONL file, all or none.

    Their ``trace_id`` and ``unit`` are empty: a file does not hold them. A row is a JSON object of exactly the four
    columns, each a string, blank only for ``failure_log``. Blank lines are passed over; a line ends at a line feed
    alone, so that U+2028 and its like stay within a string.

    Raises `PairFileError` if the file cannot be read, or holds bad rows: it names each by its line, counted from 1.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise PairFileError(
            f"reading pairs: {path} cannot be read ({error.strerror or error}).", hint="Name a JSONL file of pairs."
        ) from error
    pairs: list[RepairPair] = []
    faults: list[str] = []
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            pairs.append(_pair(line))
        except ValueError as error:
            faults.append(f"line {number}: {error}")
    if faults:
        more = [f"and {len(faults) - _NAMED} more"] if len(faults) > _NAMED else []
        raise PairFileError(
            f"reading pairs: {path} has {len(faults)} bad row(s), so nothing was read.",
            hint="\n  ".join([*faults[:_NAMED], *more]),
        )
    return pairs


def _pair(line: bytes) -> RepairPair:
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start + 1}") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at column {error.colno}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(row, dict):
        raise ValueError(f"not an object but a JSON {type(row).__name__}")
    if missing := [column for column in COLUMNS if column not in row]:
        raise ValueError(f"no {', '.join(missing)}")
    if unknown := [key for key in row if key not in COLUMNS]:
        raise ValueError(f"unknown column {', '.join(map(repr, unknown))}; the columns are {', '.join(COLUMNS)}")
    for column in COLUMNS:
        if not isinstance(row[column], str):
            raise ValueError(f"{column} is not a string")
        if column != "failure_log" and not row[column].strip():
            raise ValueError(f"{column} is blank")
    return RepairPair(trace_id="", unit="", **row)
