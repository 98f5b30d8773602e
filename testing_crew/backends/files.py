"""The small files that settings live in: TOML tables that people edit, and JSON notes in the workspace."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import ParseError, TOMLKitError

from testing_crew.errors import ConfigError, UserMistake
from trace_logger.workspace import workspace

FILE = "testing_crew.toml"


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8")  # bytes, so that its line ends survive a rewrite
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from error


def _document(file: Path) -> Any:
    try:
        return tomlkit.parse(_text(file))
    except ParseError as error:
        what = str(error).partition(" at line")[0]
        raise ConfigError(f"{file}, line {error.line}: not TOML: {what}") from error
    except TOMLKitError as error:
        raise ConfigError(f"{file}: not TOML: {error}") from error


def _ours(file: Path, document: Any) -> Any:
    """Return our part of the document: all of testing_crew.toml, one table of pyproject.toml (None if it has none)."""
    if file.name == FILE:
        return document
    tool = document.get("tool")
    ours = tool.get("testing_crew") if isinstance(tool, Mapping) else None
    return ours if isinstance(ours, Mapping) else None


def holds_settings(file: Path) -> bool:
    """Tell whether the file is there and has settings of ours."""
    if not file.is_file():
        return False
    # A pyproject is looked at as text first: one that is not about us is neither parsed nor judged.
    return file.name == FILE or ("testing_crew" in _text(file) and _ours(file, _document(file)) is not None)


def read_settings(file: Path) -> dict[str, Any]:
    """Return the settings in ``file`` as plain values; none if it is not there."""
    ours = _ours(file, _document(file)) if file.is_file() else None
    return dict(ours.unwrap()) if ours is not None else {}


def write_setting(file: Path, key: str, value: str | None) -> None:
    """Set one key of ours in ``file`` (None takes it out) and leave all else, comments too, as it stands."""
    document = _document(file) if file.is_file() else tomlkit.document()
    ours = _ours(file, document)
    if value is None:
        ours.pop(key, None)
    else:
        ours[key] = value
    text = tomlkit.dumps(document)
    if "\r\n" in text:
        text = re.sub(r"(?<!\r)\n", "\r\n", text)  # tomlkit ends its own lines in \n only
    replace(file, text)


def read_note(name: str) -> dict[str, Any]:
    """Return the workspace's JSON note of that name; an empty one if there is none."""
    file = workspace() / name
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except NotADirectoryError as error:
        raise ConfigError(
            f"the workspace {workspace()} is no folder, or lies below a file", hint="set TESTING_CREW_HOME to a folder"
        ) from error
    except (OSError, TypeError, ValueError) as error:
        raise ConfigError(f"{file} cannot be read: {error}", hint="mend it, or move it away to start afresh") from error


def write_note(name: str, value: Mapping[str, Any]) -> None:
    """Keep the workspace's JSON note of that name."""
    replace(workspace() / name, json.dumps(value, indent=2) + "\n")


def replace(file: Path, text: str) -> None:
    """Write the whole file or nothing of it: a reader, or a crash, never meets a half."""
    file = file.resolve()  # a linked file is replaced where it really lies
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        try:
            with os.fdopen(handle, "wb") as new:
                new.write(text.encode("utf-8"))
                new.flush()
                os.fsync(new.fileno())
            os.chmod(name, file.stat().st_mode & 0o777 if file.exists() else 0o644)
            os.replace(name, file)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise UserMistake(f"{file} cannot be written: {error.strerror}") from error
