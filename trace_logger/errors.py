"""The errors of this package: a message for a person, and what to do about it."""

from __future__ import annotations


class PlainError(Exception):
    """The base of every error of ours that a person may meet, in all packages.

    ``message`` says what was tried and what stood in the way, ``hint`` what to do; ``str()`` gives both.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class TraceStoreError(PlainError):
    """The trace store, or a file of pairs, could not be read or written."""


class UnknownTrace(TraceStoreError):
    """An id (or the beginning of one) that names no trace or run, or more than one."""


class PairFileError(TraceStoreError):
    """A JSONL file of pairs that cannot be written, or has rows that are not pairs."""


class FingerprintError(PlainError):
    """A fingerprint file that cannot be read or written."""


class NothingLeft(PlainError):
    """There is no pair to train on, or curation dropped them all."""
