"""The head and the tail of a stream. Standard library only.

PYTEST_DONT_REWRITE
"""

from __future__ import annotations


class Capped:
    """The head and the tail of a stream, at most ``limit`` bytes together; the middle is thrown away."""

    def __init__(self, limit: int) -> None:
        self._half = max(limit // 2, 1)
        self._head = bytearray()
        self._tail = bytearray()
        self.total = 0

    def feed(self, data: bytes) -> None:
        """Take the next piece of the stream."""
        self.total += len(data)
        room = self._half - len(self._head)
        self._head += data[:room]
        self._tail += data[room:] if room > 0 else data
        if len(self._tail) > self._half:
            del self._tail[: -self._half]

    @property
    def cut(self) -> int:
        """How many bytes were thrown away."""
        return self.total - len(self._head) - len(self._tail)

    def text(self) -> str:
        """The stream as text, the cut marked where it is."""
        if not self.cut:
            return (self._head + self._tail).decode("utf-8", "replace")
        mark = f"\n... {self.cut} bytes of output were cut here ...\n"
        return self._head.decode("utf-8", "replace") + mark + self._tail.decode("utf-8", "replace")
