"""What a GGUF file says about itself, read without llama.cpp.

llama.cpp is C++ in our own process: some malformed files make it abort, and Python with it. So a file is read here
first, and only a sound one is handed over. The layout is that of the GGUF specification
(https://github.com/ggml-org/ggml/blob/master/docs/gguf.md): magic, version, two counts, the metadata, the table of
tensors, then the tensors' data, padded to ``general.alignment``.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import Any

from trace_logger.records import Record

_STRING, _ARRAY = 8, 9
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_FIXED = struct.Struct("<4sIQQ")
_MAX_DIMENSIONS = 4

# ggml's tensor types: elements per block, bytes per block.
_BLOCKS = {
    **{0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36)},
    **{10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292)},
    **{16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82)},
    **{23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2)},
    **{34: (256, 54), 35: (256, 66), 39: (32, 17), 40: (64, 36), 41: (128, 18), 42: (64, 18)},
}


class BadGGUF(ValueError):
    """The file is not a sound GGUF; the message says what is wrong with it, as the rest of a sentence."""


class Header(Record):
    """The metadata of a file: single values as they stand, arrays by their length only."""

    metadata: dict[str, Any]
    arrays: dict[str, int]
    shapes: dict[str, tuple[int, ...]]

    @property
    def architecture(self) -> str:
        """``general.architecture``, the prefix of the model's own keys."""
        return str(self.metadata.get("general.architecture", ""))

    def number(self, key: str) -> int | None:
        """Return the whole number under ``key`` of this architecture (``context_length``), if it is there."""
        value = self.metadata.get(f"{self.architecture}.{key}")
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    @property
    def chat_template(self) -> str | None:
        """The Jinja chat template that the file carries, if any."""
        value = self.metadata.get("tokenizer.chat_template")
        return value if isinstance(value, str) and value.strip() else None


class _Cursor:
    """Reads forward through the file and notices its end."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        self.at = 0

    def skip(self, count: int) -> None:
        if count > len(self.data) - self.at:
            raise BadGGUF(f"it is cut short: its header does not end within its {len(self.data)} bytes")
        self.at += count

    def unpack(self, form: str) -> Any:
        start = self.at
        self.skip(struct.calcsize(f"<{form}"))
        return struct.unpack_from(f"<{form}", self.data, start)[0]

    def text(self) -> str:
        length = self.unpack("Q")
        start = self.at
        self.skip(length)
        return self.data[start : self.at].decode("utf-8", "replace")

    def skip_array(self, *, distinct: bool = False) -> int:
        kind, count = self.unpack("I"), self.unpack("Q")
        if kind == _STRING:
            # Every entry takes eight bytes at least: a wild count is caught before millions of rounds.
            if count * 8 > len(self.data) - self.at:
                self.skip(count * 8)
            seen: set[bytes] = set()
            for _ in range(count):
                length = self.unpack("Q")
                start = self.at
                self.skip(length)
                if distinct and length:
                    text = self.data[start : self.at]
                    if text in seen:  # llama.cpp aborts on this
                        raise BadGGUF(f"its vocabulary has the token {text.decode('utf-8', 'replace')!r} twice")
                    seen.add(text)
        elif kind in _SCALARS:
            self.skip(count * struct.calcsize(f"<{_SCALARS[kind]}"))
        else:
            raise BadGGUF(f"its metadata has an array of the unknown type {kind}")
        return int(count)


def read_header(path: Path) -> Header:
    """Read and check the header of ``path``; ``BadGGUF`` if anything in it does not hold, ``OSError`` if unreadable."""
    with path.open("rb") as file:
        start = file.read(_FIXED.size)
        if len(start) < _FIXED.size:
            raise BadGGUF(f"it is cut short: {len(start)} bytes are less than a header" if start else "it is empty")
        magic, version, tensors, entries = _FIXED.unpack(start)
        _check_start(start, magic, version)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            cursor = _Cursor(data)
            cursor.skip(_FIXED.size)
            metadata, arrays = _metadata(cursor, entries)
            shapes = _tensors(cursor, tensors, metadata.get("general.alignment", 32))
    header = Header(metadata=metadata, arrays=arrays, shapes=shapes)
    _check_counts(header)
    return header


def _check_counts(header: Header) -> None:
    """Check the numbers that llama.cpp takes at their word, and aborts over when they are wrong."""
    blocks = header.number("block_count")
    in_parts = header.metadata.get("split.count", 1) != 1
    if blocks and not in_parts and not any(name.startswith(f"blk.{blocks - 1}.") for name in header.shapes):
        raise BadGGUF(f"it says that it has {blocks} layers, and has fewer")
    heads, shared = header.number("attention.head_count"), header.number("attention.head_count_kv")
    if heads and shared and shared > heads:
        raise BadGGUF(f"it says that {shared} heads of keys serve {heads} heads of attention")


def _check_start(start: bytes, magic: bytes, version: int) -> None:
    if magic != b"GGUF":
        if start.startswith(b"version https://git-lfs"):
            raise BadGGUF("it is a Git LFS pointer, not the model itself (git lfs pull fetches it)")
        raise BadGGUF(f"it is not a GGUF file: it begins with {start[:4]!r}")
    if version & 0xFFFF == 0:
        raise BadGGUF("it is a big-endian GGUF")
    if version not in (2, 3):
        raise BadGGUF(f"it has GGUF version {version}; llama.cpp reads versions 2 and 3")


def _metadata(cursor: _Cursor, entries: int) -> tuple[dict[str, Any], dict[str, int]]:
    metadata: dict[str, Any] = {}
    arrays: dict[str, int] = {}
    for _ in range(entries):
        key, kind = cursor.text(), cursor.unpack("I")
        if kind == _ARRAY:
            arrays[key] = cursor.skip_array(distinct=key == "tokenizer.ggml.tokens")
        elif kind == _STRING:
            metadata[key] = cursor.text()
        elif kind in _SCALARS:
            metadata[key] = cursor.unpack(_SCALARS[kind])
        else:
            raise BadGGUF(f"its metadata has the unknown type {kind} under {key!r}")
    return metadata, arrays


def _tensors(cursor: _Cursor, count: int, alignment: Any) -> dict[str, tuple[int, ...]]:
    if not isinstance(alignment, int) or alignment <= 0 or alignment & (alignment - 1):
        raise BadGGUF(f"its alignment of {alignment!r} is not a power of two")
    shapes: dict[str, tuple[int, ...]] = {}
    ends = 0
    for _ in range(count):
        name, dimensions = cursor.text(), cursor.unpack("I")
        if dimensions > _MAX_DIMENSIONS:
            raise BadGGUF(f"its tensor {name!r} has {dimensions} dimensions")
        shape = tuple(int(cursor.unpack("Q")) for _ in range(dimensions))
        kind, offset = cursor.unpack("I"), cursor.unpack("Q")
        if kind not in _BLOCKS:
            raise BadGGUF(f"its tensor {name!r} has the type {kind}, which this version does not know")
        elements = 1
        for size in shape:
            elements *= size
        per_block, block_bytes = _BLOCKS[kind]
        shapes[name] = shape
        ends = max(ends, offset + elements // per_block * block_bytes)
    if not shapes:
        raise BadGGUF("it has no tensors: it holds a vocabulary, not a model")
    whole = -(-cursor.at // alignment) * alignment + ends
    if whole > len(cursor.data):
        raise BadGGUF(f"it is cut short: {len(cursor.data)} bytes of {whole}")
    return shapes
