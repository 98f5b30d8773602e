"""What holds a run in: bubblewrap, or user namespaces of our own making, or limits alone.

With bubblewrap or namespaces (Linux), the child sees the whole file system read-only except its scratch folder and a private
/tmp and /dev/shm; the home folders and /run are empty but for the paths that the run needs; there is no network (a loopback
interface of its own works), no view of other processes, and no capability; when the launcher goes, every process inside
goes with it, daemons too.

What this does not do. The child may read whatever its user may read outside the hidden folders, and connect to a socket
file that lies there. It shares the kernel: a kernel bug is a way out, though some system calls are refused
(`inside.linux.filter_calls`). Disk is bounded in total for warm runs in namespaces of their own (see `Limits`); for others
file by file and by time.

With limits alone (other systems, or Linux where namespaces are refused), CPU time, memory, file size and wall time are still
bounded where the system knows such a limit, and HOME and TMPDIR point into the scratch folder; but the network, the file
system and other processes are within reach of the child. `PytestRun.sandbox` says so.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

Kind = Literal["bubblewrap", "namespaces", "limits"]
KINDS: tuple[Kind, ...] = ("bubblewrap", "namespaces", "limits")
DESCRIPTIONS: dict[Kind, str] = {
    "bubblewrap": "bubblewrap",
    "namespaces": "user namespaces",
    "limits": "limits only: no network or file isolation on this machine",
}
_HOMES = ("/home", "/root")
_SOCKETS = ("/run", "/var/run")  # a socket in a read-only folder can still be connected to
_OWN_CODE = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); "
_BARE_HOME = " (the home folder is visible: the project or its interpreter is all of it)"
_TRIAL_EXIT = 7
STAND_INS = ("slash-tmp", "shm")
_asking = (threading.Lock(), threading.Lock())  # one that asks while another is finding out waits for that answer


@dataclass(frozen=True)
class View:
    """What one run needs to see: ``scratch`` to write in, and ``needed`` to read.

    Folders of ``scratch`` stand in for /tmp and /dev/shm (`STAND_INS`); whoever makes the scratch folder makes them.
    In a ``nested`` view nothing can be written: whoever is started in it makes a writable place for each of its runs, in
    namespaces of that run's own. With ``follow_parent`` the sandbox ends with the thread that started it.
    """

    scratch: str
    needed: tuple[str, ...]
    cwd: str
    nested: bool = False
    follow_parent: bool = True

    @property
    def hidden(self) -> list[str]:
        """The folders that are emptied, beside /tmp; one that is needed itself, or lies in a needed one, cannot be."""
        homes = {*_HOMES, *_SOCKETS, *_own_homes()}
        found = sorted(h for h in homes if os.path.isdir(h) and not os.path.islink(h))
        if self.private_tmp:
            found = [h for h in found if not _inside(h, "/tmp")]
        outer = [h for h in found if not any(_inside(h, other) for other in found if other != h)]
        return [h for h in outer if not any(_inside(h, needed) for needed in self.needed)]

    def stand_in(self, name: str) -> str:
        """The path of a folder of `STAND_INS`."""
        return os.path.join(self.scratch, name)

    @property
    def private_tmp(self) -> bool:
        """Whether /tmp can be the run's own: not when the run needs all of it."""
        return not any(_inside("/tmp", needed) for needed in self.needed)

    @property
    def restored(self) -> list[str]:
        """The needed paths that hiding would take away, outermost first."""
        gone = [*self.hidden, *(["/tmp"] if self.private_tmp else []), "/dev"]
        lost = sorted({n for n in self.needed if os.path.exists(n) and any(_inside(n, g) and n != g for g in gone)})
        return [n for n in lost if not any(_inside(n, other) for other in lost if other != n)]


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _own_homes() -> set[str]:
    homes = {os.environ.get("HOME", "")}
    if sys.platform != "win32":
        import pwd

        with contextlib.suppress(KeyError):  # a container may run under a number that has no name
            homes.add(pwd.getpwuid(os.getuid()).pw_dir)
    return {os.path.realpath(h) for h in homes if os.path.isabs(h)} - {os.sep}


def needed_paths(paths: Iterable[str]) -> tuple[str, ...]:
    """``paths`` as they are written and with their links followed, those that exist, each once.

    A path such as ``~/bin/python`` may pass through several links, each in another folder: every one is kept. All of /tmp is
    never needed, for others keep their sockets there: it stands for our own modules, packages and settings that lie in it.
    """
    kept: dict[str, None] = {}
    for path in [inner for outer in paths for inner in (_ours_in_tmp() if outer == "/tmp" else [outer])]:
        step = os.path.abspath(path)
        for _ in range(40):  # as many links as Linux itself follows
            if os.path.exists(step):
                kept[step] = None
            if not os.path.islink(step):
                break
            step = os.path.normpath(os.path.join(os.path.dirname(step), os.readlink(step)))
        kept[os.path.realpath(path)] = None
    return tuple(kept)


def _ours_in_tmp() -> list[str]:
    found = []
    for entry in list(os.scandir("/tmp")):
        with contextlib.suppress(OSError):  # it has just gone
            is_package = os.path.isfile(os.path.join(entry.path, "__init__.py"))
            if is_package or entry.name.endswith((".py", ".ini", ".toml", ".cfg")):
                found += [entry.path] if entry.stat(follow_symlinks=False).st_uid == os.getuid() else []
    return sorted(found)


def wrap(kind: Kind, command: list[str], view: View) -> list[str]:
    """``command`` (absolute program first) as it runs inside the sandbox ``kind`` with ``view``."""
    if kind == "bubblewrap":
        return [*_bubblewrap(view), *command]
    if kind == "namespaces":
        plan = {
            "scratch": view.scratch,
            "slash_tmp": view.stand_in("slash-tmp"),
            "shm": view.stand_in("shm"),
            "private_tmp": view.private_tmp,
            "hidden": view.hidden,
            "restored": view.restored,
            "cwd": view.cwd,
            "nested": view.nested,
            "follow_parent": view.follow_parent,
            "command": command,
        }
        start = f"{_OWN_CODE}from inside.namespaces import from_command_line as run; run()"
        return [sys.executable, "-I", "-S", "-c", start, json.dumps(plan)]
    return command


def _bubblewrap(view: View) -> list[str]:
    arguments = [shutil.which("bwrap") or "bwrap", "--new-session", "--cap-drop", "ALL"]
    arguments += ["--die-with-parent"] if view.follow_parent else []
    arguments += ["--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]
    arguments += ["--unshare-cgroup-try", "--ro-bind", "/", "/", "--dev", "/dev"]
    # /proc/sys obeys the user's number and not capabilities: root could change the machine through it.
    arguments += ["--proc", "/proc"]
    arguments += ["--remount-ro", "/proc"]
    if view.nested:
        for capability in ("CAP_SETPCAP", "CAP_SYS_CHROOT", "CAP_SYS_ADMIN"):
            arguments += ["--cap-add", capability]
        arguments += ["--tmpfs", "/dev/shm"]
    else:
        arguments += ["--bind", view.stand_in("shm"), "/dev/shm"]
    arguments += ["--remount-ro", "/dev"]
    bind = "--ro-bind" if view.nested else "--bind"
    for folder in view.hidden:
        arguments += ["--tmpfs", folder]
    if view.private_tmp:
        arguments += ["--bind", view.stand_in("slash-tmp"), "/tmp"]
    for path in view.restored:
        arguments += ["--ro-bind-try", path, path]
    arguments += [bind, view.scratch, view.scratch]
    for folder in [*view.hidden, *(["/tmp"] if view.nested and view.private_tmp else [])]:
        arguments += ["--remount-ro", folder]
    return [*arguments, "--chdir", view.cwd, "--"]


def describe() -> tuple[Kind, str]:
    """The sandbox that runs get on this machine, and the sentence about it that `PytestRun.sandbox` carries."""
    kind = available()[0]
    return kind, DESCRIPTIONS[kind]


def sentence(kind: Kind, needed: tuple[str, ...]) -> str:
    """What `PytestRun.sandbox` says of a run in ``kind`` that needed to read ``needed``."""
    bare = kind != "limits" and any(_inside(home, path) for home in _own_homes() for path in needed)
    return DESCRIPTIONS[kind] + (_BARE_HOME if bare else "")


def available() -> tuple[Kind, ...]:
    """The sandboxes that work here, best first, each found by a real trial; ``limits`` always does. Asked once."""
    with _asking[0]:
        return _available()


@lru_cache(maxsize=1)
def _available() -> tuple[Kind, ...]:
    return tuple(kind for kind in KINDS if kind == "limits" or _works(kind))


def nests(kind: Kind) -> bool:
    """Whether a process in the sandbox ``kind`` can make namespaces of its own for each of its runs. Asked once."""
    with _asking[1]:
        return _nests(kind)


@lru_cache(maxsize=4)
def _nests(kind: Kind) -> bool:
    code = f"{_OWN_CODE}from inside.room import trial as run; run()"
    return kind != "limits" and _may_work(kind) and _tried(kind, [sys.executable, "-I", "-S", "-c", code], True)


def best_for_zygotes() -> tuple[Kind, bool]:
    """The sandbox that warm runs get, and whether it nests: one that does is worth more than a better known one."""
    kind = next((kind for kind in KINDS if nests(kind) and kind in available()), None)
    return (kind, True) if kind else (available()[0], False)


def try_ahead() -> None:
    """Begin the trials in the background: they take about as long as our own imports."""
    for ask in (best_for_zygotes, available):
        threading.Thread(target=ask).start()


def _may_work(kind: Kind) -> bool:
    return sys.platform.startswith("linux") and (kind != "bubblewrap" or shutil.which("bwrap") is not None)


def _works(kind: Kind) -> bool:
    trial = f"echo x > $0/mark && ! echo x > /etc/tcrew-mark && test -e $0/mark && exit {_TRIAL_EXIT}"
    return _may_work(kind) and _tried(kind, ["/bin/sh", "-c", trial], False)


def _tried(kind: Kind, command: list[str], nested: bool) -> bool:
    """Whether ``command``, with a scratch folder as its last argument, ends as it should in this sandbox."""
    with tempfile.TemporaryDirectory(prefix="tcrew-", ignore_cleanup_errors=True) as folder:
        scratch = os.path.realpath(folder)
        for name in (*STAND_INS, "run"):
            os.mkdir(os.path.join(scratch, name))
        needed = needed_paths([sys.prefix, sys.base_prefix, str(Path(__file__).parent)])
        view = View(scratch, needed, "/", nested=nested)
        try:
            ended = subprocess.run(
                wrap(kind, [*command, scratch], view),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=20,
                check=False,
            )
        except (OSError, subprocess.SubprocessError):
            return False
        return ended.returncode == _TRIAL_EXIT
