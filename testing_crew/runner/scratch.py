"""The one place where a run may write: a private folder that is gone afterwards, whatever the run did to it."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

from testing_crew.runner.sandbox import STAND_INS

PROBE_PACKAGE = "_testing_crew_probe"


def install_probe(launcher: Path, module: str) -> None:
    """Put what runs in the child beside ``launcher``, a script that calls ``main`` of its ``module``."""
    package = launcher.parent / PROBE_PACKAGE
    package.mkdir(parents=True)
    for file in (Path(__file__).parent / "inside").glob("*.py"):
        shutil.copyfile(file, package / file.name)
    launcher.write_text(f"from {PROBE_PACKAGE}.{module} import main\n\nraise SystemExit(main())\n")


def remove(folder: Path) -> None:
    """Remove ``folder``, read-only folders in it and very deep ones too."""
    with contextlib.suppress(OSError):
        folder.chmod(stat.S_IRWXU)
    with contextlib.suppress(RecursionError):  # thousands of folders deep
        for place, names, _ in os.walk(folder):
            for name in names:
                inner = Path(place) / name
                with contextlib.suppress(OSError):
                    if not inner.is_symlink():
                        inner.chmod(stat.S_IRWXU)
        shutil.rmtree(folder, ignore_errors=True)
    if folder.exists() and os.name == "posix":
        subprocess.run(["chmod", "-R", "u+rwX", "--", str(folder)], capture_output=True, check=False)
        subprocess.run(["rm", "-rf", "--", str(folder)], capture_output=True, check=False)


class Scratch:
    """A context manager: ``work`` holds the tests, ``home`` and ``tmp`` are the child's HOME and TMPDIR.

    ``launcher`` starts pytest with our plugin, and
    ``report`` is where the plugin leaves its report, under a name that a test cannot guess.
    """

    def __init__(self) -> None:
        self.path = Path(os.path.realpath(tempfile.mkdtemp(prefix="tcrew-")))
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

    def remove(self) -> None:
        """Remove everything, whatever the run did to it."""
        remove(self.path)

    def __enter__(self) -> Scratch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()
