"""The warm runner's parent process: pytest imported, configured and its session begun, once; then a fork for every run.

It waits inside one of pytest's own hooks. A fork returns from that hook, so that everything after it is pytest's own course
in a process of its own; the parent stays and waits for the next order. What the runs need of pytest beyond its documented
hooks stands in `_Zygote.begin`. Nothing of the target is imported here: a run puts the target's folders on the path after the
fork.

Runs in the target's interpreter: standard library and pytest only, Linux only.
PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import atexit
import contextlib
import copy
import gc
import importlib
import inspect
import json
import os
import random
import socket
import sys
import tempfile
import threading
import traceback
from collections.abc import Generator
from typing import Any, NoReturn

import pytest

from . import around, linux
from .launch import become_pytest
from .messages import receive, send
from .room import Rooms
from .supervise import MODULES, Run
from .watch import lines
from .watch.plugin import Probe

_EARLY = ("coverage", "coverage.control", "coverage.jsonreport", "coverage.sqldata", "pdb", "faulthandler")


class _Zygote:
    """The plugin whose hook the parent never leaves.

    ``stage`` is where it waits: ``session``, with pytest's session begun; or ``conftests``, before pytest looks for
    ``conftest.py``, for a test file that stands below some.
    """

    def __init__(self, control: socket.socket, rooms: Rooms | None, settings: dict[str, Any]) -> None:
        self.control = control
        self.rooms = rooms
        self.stage: str = settings["stage"]
        self.level: str = settings["level"]
        self.shared: list[str] = settings["shared"]
        self.kept: list[str] = settings["kept"]
        self.order: dict[str, Any] | None = None
        self.probe = Probe()
        self.path_began = sys.path[0]

    @pytest.hookimpl(tryfirst=True, wrapper=True)
    def pytest_load_initial_conftests(
        self, early_config: pytest.Config, args: list[str]
    ) -> Generator[None, object, object]:
        if self.stage == "conftests":
            order = self.wait()
            args += [*order["options"], order["test"]]
            known = early_config._parser.parse_known_args(args, namespace=copy.copy(early_config.option))
            early_config.known_args_namespace = known
            self.probe.begin(order["settings"])
        return (yield)

    @pytest.hookimpl(tryfirst=True, wrapper=True)
    def pytest_sessionstart(self, session: pytest.Session) -> Generator[None, object, object]:
        result = yield
        if self.stage == "session":
            self.begin(session, self.wait())
        return result

    def begin(self, session: pytest.Session, order: dict[str, Any]) -> None:
        """Make the session that began in the parent one of this process's own, about the test file of ``order``."""
        config = session.config
        config.args[:] = [order["test"]]
        capture: Any = config.pluginmanager.getplugin("capturemanager")
        capture.stop_global_capturing()  # its files are the parent's
        capture.start_global_capturing()
        capture.suspend_global_capture()
        reporter: Any = config.pluginmanager.getplugin("terminalreporter")
        reporter.pytest_sessionstart(session)  # its clock starts now
        self.probe.begin(order["settings"])

    def wait(self) -> dict[str, Any]:
        """Serve orders until the other side is gone. Returns an order in the child that is to fulfil it."""
        if self.level == "limits":
            linux.adopt_orphans()
        _import(_EARLY)
        gc.enable()
        send(self.control, {})
        order = self._fork_run()  # a sample
        if order is not None:
            return order
        message = receive(self.control)
        if message is None:
            os._exit(0)
        _import(message["modules"])
        _rehearse()
        gc.freeze()  # what the parent holds is not looked at, and so not copied, in the children
        send(self.control, _self_portrait())
        while order is None:
            order = self._fork_run()
        return order

    def _fork_run(self) -> dict[str, Any] | None:
        """Have one order fulfilled. None in the parent, when it has been; the order in the child that is to fulfil it."""
        room, fault = None, ""
        try:
            room = self.rooms.take() if self.rooms else None
        except OSError as error:
            fault = str(error)
        order = receive(self.control)
        if order is None:
            os._exit(0)
        if fault:  # told to the other side, which runs cold in its place
            send(self.control, {"error": fault})
            os._exit(1)
        run = Run(self.control, order, self.level, room)
        if run.fork():
            if self.rooms:
                self.rooms.close()
            _make_ready(order, self.path_began)
            self.order = order
            return order
        answer = {**run.follow(), "spent": _has_used_network()}
        if self.rooms:
            self.rooms.prepare()
        send(self.control, answer)
        if room:
            room.leave()
        else:
            self._clear_up()
        return None

    def _clear_up(self) -> None:
        if self.level == "shared":
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, 9)  # all in this process namespace but its first process and us
        else:
            around.kill_descendants()
        around.clear(self.shared, self.kept + [path for path, _ in linux.mounts()])


def _has_used_network() -> bool:
    """Whether connections are left in our network, whose ports the next run could not have.

    From the kernel's counters of this network: its list of connections takes milliseconds to read, empty or not.
    """
    for name in ("sockstat", "sockstat6"):
        with contextlib.suppress(OSError, ValueError), open(f"/proc/self/net/{name}") as file:
            for words in map(str.split, file):
                counts = dict(zip(words[1::2], map(int, words[2::2]), strict=False))
                if words[0] in ("TCP:", "TCP6:") and counts.get("inuse", 0) + counts.get("tw", 0) > 0:
                    return True
    return False


def _import(names: Any) -> None:
    for name in names:
        with contextlib.suppress(Exception):
            importlib.import_module(name)


def _rehearse() -> None:
    """Do here once what the libraries remember for the next time, in every child."""
    inspect.getmodule(_import.__code__, __file__ + " ")  # the file of every module, which each traceback asks for
    with contextlib.suppress(Exception), tempfile.TemporaryDirectory() as folder:
        watch = lines.watch([os.path.realpath(__file__)], folder)
        watch.label("rehearsal")
        _import([])
        watch.stop()
        watch.measure(lines.Body(os.path.realpath(__file__), None, None))


def _self_portrait() -> dict[str, Any]:
    """What the other side must know: whether forking is safe here, and which modules a target cannot bring its own of."""
    files = {name: getattr(module, "__file__", None) for name, module in list(sys.modules.items())}
    real: dict[str | None, str] = {
        file: os.path.realpath(file) for file in set(files.values()) if isinstance(file, str)
    }
    return {
        "threads": max(threading.active_count(), len(os.listdir("/proc/self/task"))),
        "modules": {name: real.get(file, os.getcwd()) for name, file in files.items() if "." not in name},
        "files": sorted(set(real.values())),
    }


def _make_ready(order: dict[str, Any], path_began: str) -> None:
    # Behind what pytest has put there since (its setting ``pythonpath``), as where Python begins with these folders.
    place = sys.path.index(path_began) if path_began in sys.path else 0
    sys.path[place:place] = order["path"]
    sys.path += order["behind"]
    os.environ["PYTHONPATH"] = os.pathsep.join(order["path"])
    os.environ.update(dict.fromkeys(("TMPDIR", "TEMP", "TMP"), os.path.join(order["place"], "tmp")))
    tempfile.tempdir = None
    random.seed()
    os.write(1, order["started"].encode())  # from here on, what goes wrong is the test file's doing


def _leave(order: dict[str, Any], code: int) -> NoReturn:
    """End as an interpreter ends (threads awaited, exit hooks run), but for the taking apart of every module."""
    if order.get("learn"):
        with open(order["settings"]["report"] + MODULES, "w") as file:
            json.dump(sorted(sys.modules), file)
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 1
    except BaseException:
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(code)


def serve(control: socket.socket, rooms: Rooms | None, settings: dict[str, Any]) -> NoReturn:
    """Be a zygote until the other side of ``control`` is gone, or in its child the whole of one run."""
    become_pytest()
    zygote = _Zygote(control, rooms, settings)
    try:
        code = int(pytest.main(settings["arguments"], plugins=[zygote, zygote.probe]))
    except SystemExit as left:
        if isinstance(left.code, str):
            print(left.code, file=sys.stderr)
        code = left.code if isinstance(left.code, int) else 1
    except BaseException:
        traceback.print_exc()
        code = 1
    if zygote.order is None:  # pytest ended before a hook of ours ran: the other side reads why
        raise SystemExit(code or 1)
    _leave(zygote.order, code)
