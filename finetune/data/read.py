"""Tables of raw records: from a local file or folder, from what `datasets` saved, or from the hub."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from testing_crew.errors import UserMistake

_FORMS = (".json", ".jsonl", ".ndjson", ".json.gz", ".jsonl.gz", ".parquet")
_LOOKED_AT = 1000  # records in which columns are looked for


@dataclass(frozen=True)
class Spec:
    """What a recipe says of a source: ``name:where?option=value&…``; ``where`` is a path or a name on the hub."""

    name: str
    where: str = ""
    options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Spec:
        """Read the form above."""
        name, _, rest = text.partition(":")
        where, _, query = rest.partition("?")
        return cls(name.strip(), where.strip(), dict(parse_qsl(query)))


@dataclass(frozen=True)
class Table:
    """Raw records, each a mapping. ``digest`` is of their content, or of the hub's own fingerprint of it."""

    where: str
    records: Any  # a list of dicts, or a `datasets.Dataset`: both have a length and can be walked more than once
    columns: tuple[str, ...]
    digest: str

    def pick(self, **wanted: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Each record with the fields named; a field is looked for under its names in turn, the first that is not None.

        A field one of whose names is empty may be missing: it is then None. Raises UserMistake for one that must be there.
        """
        for name, names in wanted.items():
            if "" not in names and not set(names) & set(self.columns):
                raise UserMistake(
                    f"{self.where}: no column for {name!r}: looked for {', '.join(names)}; "
                    f"there are {', '.join(self.columns) or 'none'}",
                    hint="rename the column, or give the source that the file really is",
                )
        used = [n for names in wanted.values() for n in names if n in self.columns]
        records = self.records if isinstance(self.records, list) else self.records.select_columns(used)
        for record in records:
            yield {
                name: next((record[n] for n in names if record.get(n) is not None), None)
                for name, names in wanted.items()
            }


def read_table(spec: Spec, hub_name: str, split: str | None = None) -> Table:
    """The table that ``spec`` names; ``hub_name`` is the one where it names none.

    ``?split=`` chooses among the splits of what has any; ``split`` is the one otherwise. Raises UserMistake when nothing is
    there, or it is empty, or of another form.
    """
    where = spec.where or hub_name
    split = spec.options.get("split", split)
    path = Path(where).expanduser()
    if path.exists():
        table = _saved(path, split) if _is_saved(path) else _files(path)
    elif where.startswith((".", "/", "~")) or where.endswith(_FORMS) or where.count("/") != 1:
        raise UserMistake(
            f"{spec.name}: there is no {where}", hint=f"give a file, a folder, or a name on the hub: {hub_name}"
        )
    else:
        table = _hub(spec.name, where, split)
    if not len(table.records):
        raise UserMistake(f"{where} is empty: it holds no record")
    return table


def _is_saved(path: Path) -> bool:
    return any((path / name).is_file() for name in ("dataset_dict.json", "state.json"))


def _saved(path: Path, split: str | None) -> Table:
    from datasets import load_from_disk

    try:
        found = load_from_disk(str(path))
    except Exception as error:  # whatever pyarrow and json find wrong with the files
        raise UserMistake(f"{path} cannot be read as a saved data set: {_first_line(error)}") from None
    return _dataset(str(path), found, split)


def _hub(name: str, where: str, split: str | None) -> Table:
    try:
        from datasets import load_dataset
    except ImportError:
        raise UserMistake(
            f"{where}: the package `datasets` fetches it, and is not installed",
            hint=f"pip install 'testing-crew[train]', or give a local file: {name}:PATH",
        ) from None
    try:
        found = load_dataset(where)
    except Exception as error:  # network, no such name, gated, a script: `datasets` has no common base for them
        raise UserMistake(
            f"{where}: `datasets` could not fetch it from the hub: {_first_line(error)}",
            hint=f"without a network, fetch it elsewhere and give the file or folder: {name}:PATH",
        ) from None
    return _dataset(where, found, split)


def _dataset(where: str, found: Any, split: str | None) -> Table:
    if isinstance(found, dict):
        if split not in found and len(found) > 1:
            raise UserMistake(
                f"{where} has the splits {', '.join(found)}" + (f", no {split!r}" if split else ""),
                hint=f"choose one: ?split={next(iter(found))}",
            )
        found = found[split] if split in found else next(iter(found.values()))
    return Table(where, found, tuple(found.column_names), found._fingerprint)


def _files(path: Path) -> Table:
    files = sorted(f for f in path.rglob("*") if f.name.endswith(_FORMS)) if path.is_dir() else [path]
    if not files:
        raise UserMistake(f"{path} holds no {', '.join(_FORMS)} file", hint="give one of these, or a folder of them")
    digest = hashlib.sha256()
    records: list[dict[str, Any]] = []
    for file in files:
        try:
            data = file.read_bytes()
        except OSError as error:
            raise UserMistake(f"{file} cannot be read: {error.strerror}") from None
        digest.update(data)
        records += _records(file, data)
    columns = dict.fromkeys(key for record in records[:_LOOKED_AT] for key in record)
    return Table(str(path), records, tuple(columns), digest.hexdigest()[:16])


def _records(file: Path, data: bytes) -> list[dict[str, Any]]:
    """The records of a file, told by its content: Parquet, JSON (a list, or an object with one), or JSONL, zipped or not."""
    try:
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        if data[:4] == b"PAR1":
            import pyarrow as pa
            from pyarrow import parquet

            return list(parquet.read_table(pa.BufferReader(data)).to_pylist())
        text = data.decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, ValueError) as error:  # pyarrow's errors are ValueErrors or OSErrors
        raise _unreadable(file, _first_line(error)) from None
    if not text.strip():
        raise UserMistake(f"{file} is empty: it holds no record")
    try:
        content = json.loads(text)
    except ValueError:
        content = _lines(file, text)
    if isinstance(content, dict):
        (only, *more) = content.values() or [None]
        content = only if isinstance(only, list) and not more else [content]
    if not isinstance(content, list) or not all(isinstance(record, dict) for record in content):
        raise _unreadable(file, "its records are no objects")
    return content


def _lines(file: Path, text: str) -> list[Any]:
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                found.append(json.loads(line))
            except ValueError as error:
                raise _unreadable(file, f"line {number}: {error}") from None
    return found


def _unreadable(file: Path, why: str) -> UserMistake:
    return UserMistake(f"{file} is neither JSON, JSONL nor Parquet: {why}", hint="each record is an object, one a line")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
