"""Every run is kept by default: the recorder writes each attempt to the trace store as soon as it is finished."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from types import TracebackType

from trace_logger import TraceStore, TraceStoreError, capture_enabled, first_time_notice
from trace_logger.records import Attempt, CodeUnderTest
from trace_logger.workspace import trace_db

_UNKEPT = "this run's attempts are not kept"


class Recorder:
    """Writes the attempts of one run. With ``enabled`` off, or where the store cannot be written, it only lets them pass."""

    def __init__(self, command: str, *, enabled: bool = True) -> None:
        self.command = command
        self.notice: str | None = None
        self.trace_id: str | None = None
        self.resumed = 0
        self._run_id: str | None = None
        self._store: TraceStore | None = None
        if enabled and capture_enabled():
            with self._giving_up():
                self._store = TraceStore.open()
                self.notice = first_time_notice(trace_db())

    @property
    def keeps(self) -> bool:
        """Whether attempts are kept."""
        return self._store is not None

    @contextmanager
    def _giving_up(self) -> Iterator[None]:
        """Keep no more once the store fails: the tests are what the user came for, a full or locked store must not cost them."""
        try:
            yield
        except TraceStoreError as error:
            warnings.warn(f"{_UNKEPT}: {error}", stacklevel=4)
            self._store = None

    def start(
        self, project: str, target: str, units: Sequence[CodeUnderTest], model: str
    ) -> dict[CodeUnderTest, tuple[Attempt, ...]]:
        """Open a trace, or carry on the last one of the same target and model where that was stopped half way.

        Returns the attempts that were finished then; none when the code has changed since.
        """
        self.trace_id, self.resumed = None, 0
        if self._store is None:
            return {}
        with self._giving_up():
            self._run_id = self._run_id or self._store.start_run(project, self.command, model)
            left = self._store.unfinished(project, target, model)
            same = left is not None and list(left.units) == list(units)
            if left is not None and same and self._store.resume_trace(left.id, self._run_id):
                self.trace_id, self.resumed = left.id, len(left.attempts)
                return {u: tuple(a for a in left.attempts if a.unit == (u.unit or u.module)) for u in units}
            self.trace_id = self._store.start_trace(self._run_id, project, target, list(units), model)
        return {}

    def keep(self, attempt: Attempt) -> None:
        """Write one attempt; it is on disk when this returns."""
        if self._store is not None and self.trace_id is not None:
            with self._giving_up():
                self._store.add_attempt(self.trace_id, attempt)

    def finish(self, accepted: bool, test_file: str | None) -> None:
        """Close the trace: the run came to its end."""
        if self._store is not None and self.trace_id is not None:
            with self._giving_up():
                self._store.finish_trace(self.trace_id, accepted, test_file)

    def close(self) -> None:
        """End the run and close the store; a trace that is not finished can be carried on later."""
        if self._store is not None:
            with self._giving_up(), closing(self._store) as store:
                if self._run_id is not None:
                    store.finish_run(self._run_id)
            self._store = None

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
