"""What training and export left beside a model or an adapter of ours, as far as serving it needs to know."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from testing_crew.errors import BackendUnavailable
from testing_crew.prompt import PROMPT_VERSION

KEY = "testing_crew.prompt_version"  # in a GGUF's metadata
NOTES = ("training.json", "export.json")


def notes_of(*folders: Path) -> dict[str, Any]:
    """What ``training.json`` and ``export.json`` in ``folders`` say, the first word counting; empty where there is neither.

    Raises BackendUnavailable when one of them cannot be read.
    """
    said: dict[str, Any] = {}
    for file in (folder / name for folder in folders for name in NOTES):
        try:
            said = json.loads(file.read_text(encoding="utf-8")) | said
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, TypeError, ValueError) as error:
            raise BackendUnavailable(f"{file} cannot be read: {error}", hint="export or train it again") from error
    return said


def of_adapter(adapter: Path) -> dict[str, Any]:
    """What training said of an adapter, a folder or a file in one: beside it or above its folder."""
    folder = adapter if adapter.is_dir() else adapter.parent
    return notes_of(folder, folder.resolve().parent)


def prompt_version(notes: dict[str, Any], what: object) -> int:
    """The version of the prompt that ``what`` was trained on by its ``notes``; the newest where they do not say.

    Raises BackendUnavailable when it is not one that this program can write.
    """
    version = notes.get("prompt_version", PROMPT_VERSION)
    if version not in range(1, PROMPT_VERSION + 1):
        raise BackendUnavailable(
            f"{what} was trained on version {version!r} of the prompt, and this program writes 1 to {PROMPT_VERSION}",
            hint="pip install --upgrade testing-crew",
        )
    return int(version)
