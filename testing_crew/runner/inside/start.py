"""The first thing that runs in a zygote: what must be forked while the process is small, then everything else.

Run by the target's own interpreter inside the sandbox. Standard library only, Linux only.
PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import gc
import json
import os
import socket
import sys

from . import linux
from .launch import VARIABLE, hear_interrupts
from .room import Rooms


def main() -> None:
    """Become a zygote: the control socket's number, the place in the sandbox and pytest's arguments are in the settings."""
    folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    with open(os.environ.pop(VARIABLE), encoding="utf-8") as file:
        settings = json.load(file)
    gc.disable()  # until all is imported, which makes little garbage
    linux.set_readable(False)
    hear_interrupts()
    control = socket.socket(fileno=settings["control"])
    rooms = None
    if settings["level"] == "nested":
        rooms = Rooms(settings["place"], settings["covered"], settings["disk_bytes"], control)
    from .zygote import serve

    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != folder]
    serve(control, rooms, settings)
