"""Room on the disk: whether there is enough of it, and what those say who found none."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from testing_crew.errors import UserMistake

# How the writers of safetensors, torch and llama.cpp's converter say that the disk is full; none of them raises an OSError.
_SAID = ("os error 28", "No space left", "PytorchStreamWriter failed")


def must_have_room(folder: Path, needed: int, what: str) -> None:
    """Raise UserMistake where ``folder`` has less than ``needed`` bytes free; ``what`` ends in "needs" or "need"."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise UserMistake(
            f"{folder} has {free / 2**20:.0f} MiB free, and {what} {needed / 2**20:.0f}",
            hint="make room, or set TESTING_CREW_HOME to another disk",
        )


def is_full(error: BaseException) -> bool:
    """Whether ``error`` says that the disk, or the person's share of it, is full."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return any(words in str(error) for words in _SAID)
