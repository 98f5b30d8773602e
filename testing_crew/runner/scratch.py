"""The one place where a run may write: a private folder that is gone afterwards, whatever the run did to it."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
import time
from functools import lru_cache
from pathlib import Path
from types import TracebackType

from testing_crew.runner.inside.around import remove
from testing_crew.runner.sandbox import STAND_INS

_PREFIX = "tcrew-"
PROBE_PACKAGE = "_testing_crew_probe"


def install_probe(launcher: Path, module: str) -> None:
    """Put what runs in the child beside ``launcher``, a script that calls ``main`` of its ``module``."""
    # With times and bytecode, which an interpreter of our own version can use.
    shutil.copytree(Path(__file__).parent / "inside", launcher.parent / PROBE_PACKAGE)
    launcher.write_text(f"from {PROBE_PACKAGE}.{module} import main\n\nraise SystemExit(main())\n")


class Folder:
    """A private folder in the temp folder, until `remove`.

    It is locked while this process lives, so that the next one can tell, and remove, what a killed one left behind.
    """

    def __init__(self) -> None:
        _sweep()
        self.path = Path(os.path.realpath(tempfile.mkdtemp(prefix=_PREFIX)))
        self._lock = _locked(self.path)

    def remove(self) -> None:
        """Remove everything, whatever the run did to it. May be called twice."""
        remove(str(self.path))
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


@lru_cache(maxsize=1)
def _sweep() -> None:
    """Remove the folders of ours that nobody holds any more; once in a process."""
    for entry in list(os.scandir(tempfile.gettempdir())):
        with contextlib.suppress(OSError):  # another one removes it
            if entry.name.startswith(_PREFIX) and entry.is_dir(follow_symlinks=False) and _is_old(entry):
                lock = _locked(Path(entry.path))
                if lock is not None:
                    remove(entry.path)
                    os.close(lock)


def _is_old(entry: os.DirEntry[str]) -> bool:
    """Whether it is ours and was made before this minute: a new one may be about to be locked."""
    found = entry.stat(follow_symlinks=False)
    return found.st_uid == getattr(os, "getuid", lambda: 0)() and time.time() - found.st_mtime > 60


def _locked(folder: Path) -> int | None:
    """An open, locked ``folder``; None when another process has the lock, and on systems without such locks."""
    try:
        import fcntl
    except ImportError:
        return None
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


class Scratch(Folder):
    """A context manager: ``work`` holds the tests, ``home`` and ``tmp`` are the child's HOME and TMPDIR.

    ``launcher`` starts pytest with our plugin, and
    ``report`` is where the plugin leaves its report, under a name that a test cannot guess.
    """

    def __init__(self) -> None:
        super().__init__()
        self.work = self.path / "work"
        self.home = self.path / "home"
        self.tmp = self.path / "tmp"
        self.launcher = self.path / "probe" / "_testing_crew_launch.py"
        self.report = self.path / f"report-{secrets.token_hex(8)}" / "report.json"
        try:
            self._fill()
        except BaseException:
            self.remove()
            raise

    def _fill(self) -> None:
        for folder in (self.work, self.home, self.tmp, self.report.parent, *(self.path / name for name in STAND_INS)):
            folder.mkdir(parents=True)
        install_probe(self.launcher, "launch")

    def write(self, relative: str, data: bytes) -> None:
        """Write ``data`` to ``relative`` (with forward slashes) below ``work``."""
        path = self.work.joinpath(*relative.split("/"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def __enter__(self) -> Scratch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()
