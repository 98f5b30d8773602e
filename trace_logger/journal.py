"""What was done so far, a line for each piece: work that is killed goes on where it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel

Said = TypeVar("Said", bound=BaseModel)


class Journal(Generic[Said]):
    """Records of one ``kind`` by their keys, each on disk when `add` returns; without a file, in memory only.

    A line at which the process was killed is taken out when the file is read.
    """

    def __init__(self, file: Path | None, kind: type[Said]) -> None:
        self._file = file
        self._known: dict[str, Said] = {}
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True) if file and file.is_file() else []
        for number, line in enumerate(lines):
            try:
                row = json.loads(line)
                self._known[row["key"]] = kind.model_validate(row["said"])
            except (ValueError, KeyError, TypeError):  # pydantic's refusal is a ValueError, too
                assert file is not None
                file.write_text("".join(lines[:number]), encoding="utf-8")
                break

    def __contains__(self, key: str) -> bool:
        return key in self._known

    def __getitem__(self, key: str) -> Said:
        return self._known[key]

    def __len__(self) -> int:
        return len(self._known)

    def values(self) -> list[Said]:
        """All records, in the order in which they were added."""
        return list(self._known.values())

    def add(self, key: str, said: Said) -> None:
        """Note ``said``."""
        self._known[key] = said
        if self._file:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a", encoding="utf-8") as opened:
                opened.write(json.dumps({"key": key, "said": said.model_dump()}) + "\n")
