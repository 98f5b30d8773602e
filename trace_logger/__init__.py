"""What happened: records of every attempt, the store that keeps them, and their way out as training data.

The public names are loaded when they are first used; importing this package does nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trace_logger.errors import PairFileError, TraceStoreError, UnknownTrace
    from trace_logger.jsonl import export_pairs, read_pairs
    from trace_logger.notice import capture_enabled, first_time_notice
    from trace_logger.pairs import repair_pairs, unit_name
    from trace_logger.rows import TraceSummary
    from trace_logger.store import TraceStore
    from trace_logger.workspace import trace_db, workspace

_HOME = {
    "PairFileError": "errors",
    "TraceStoreError": "errors",
    "UnknownTrace": "errors",
    "export_pairs": "jsonl",
    "read_pairs": "jsonl",
    "capture_enabled": "notice",
    "first_time_notice": "notice",
    "repair_pairs": "pairs",
    "unit_name": "pairs",
    "TraceSummary": "rows",
    "TraceStore": "store",
    "trace_db": "workspace",
    "workspace": "workspace",
}

__all__ = [
    "PairFileError",
    "TraceStore",
    "TraceStoreError",
    "TraceSummary",
    "UnknownTrace",
    "capture_enabled",
    "export_pairs",
    "first_time_notice",
    "read_pairs",
    "repair_pairs",
    "trace_db",
    "unit_name",
    "workspace",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
