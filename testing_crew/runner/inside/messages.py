"""How the runner and its zygote talk: one JSON object after another over a socket. Standard library only.

PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

_HEADER = struct.Struct("!I")


def send(control: socket.socket, message: dict[str, Any]) -> None:
    """Send one message: its length in four bytes, then JSON."""
    data = json.dumps(message).encode()
    control.sendall(_HEADER.pack(len(data)) + data)


def receive(control: socket.socket) -> dict[str, Any] | None:
    """The next message; None when the other side is gone."""
    header = _exactly(control, _HEADER.size)
    data = None if header is None else _exactly(control, _HEADER.unpack(header)[0])
    return None if data is None else dict(json.loads(data))


def _exactly(control: socket.socket, size: int) -> bytes | None:
    data = bytearray()
    while len(data) < size:
        try:
            piece = control.recv(min(size - len(data), 2**20))
        except ConnectionError:
            return None
        if not piece:
            return None
        data += piece
    return bytes(data)
