"""The one place where a run may write: a private folder that is gone afterwards, whatever the run did to it."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path, PurePosixPath
from types import TracebackType

from testing_crew.errors import UserMistake

PROBE_PACKAGE = "_testing_crew_probe"
_INSIDE = ("plugin.py", "asserts.py", "lines.py", "text.py")


class Scratch:
    """A context manager: ``work`` holds the tests, ``home`` and ``tmp`` are the child's HOME and TMPDIR.

    ``slash_tmp`` is what stands at /tmp where a sandbox can put it there; ``launcher`` starts pytest with our plugin, and
    ``report`` is where the plugin leaves its report, under a name that a test cannot guess.
    """

    def __init__(self) -> None:
        self.path = Path(os.path.realpath(tempfile.mkdtemp(prefix="tcrew-")))
        self.work = self.path / "work"
        self.home = self.path / "home"
        self.tmp = self.path / "tmp"
        self.slash_tmp = self.path / "slash-tmp"
        self.launcher = self.path / "probe" / "_testing_crew_launch.py"
        self.report = self.path / f"report-{secrets.token_hex(8)}" / "report.json"
        try:
            self._fill()
        except BaseException:
            self.remove()
            raise

    def _fill(self) -> None:
        package = self.launcher.parent / PROBE_PACKAGE
        for folder in (self.work, self.home, self.tmp, self.slash_tmp, package, self.report.parent):
            folder.mkdir(parents=True)
        here = Path(__file__).parent / "inside"
        (package / "__init__.py").touch()
        for name in _INSIDE:
            shutil.copyfile(here / name, package / name)
        shutil.copyfile(here / "launch.py", self.launcher)

    def write(self, relative: str, text: str) -> Path:
        """Write ``text`` to ``relative`` (with forward slashes) below ``work``; raises `UserMistake` if it leads outside."""
        parts = PurePosixPath(relative).parts
        if not parts or PurePosixPath(relative).is_absolute() or ".." in parts or os.path.isabs(relative):
            raise UserMistake(f"A file of a run must have a relative path inside its folder, not {relative!r}.")
        path = self.work.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Lone surrogates in a model's answer become bytes that Python refuses, which is the truth about such a file.
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        return path

    def remove(self) -> None:
        """Remove everything, read-only folders and very deep ones too."""
        with contextlib.suppress(OSError):
            self.path.chmod(stat.S_IRWXU)
        for folder, names, _ in os.walk(self.path):
            for name in names:
                inner = Path(folder) / name
                with contextlib.suppress(OSError):
                    if not inner.is_symlink():
                        inner.chmod(stat.S_IRWXU)
        shutil.rmtree(self.path, ignore_errors=True)
        if self.path.exists() and os.name == "posix":
            subprocess.run(["rm", "-rf", "--", str(self.path)], capture_output=True, check=False)

    def __enter__(self) -> Scratch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()
