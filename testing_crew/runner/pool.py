"""The zygotes of one runner: made when first needed, lent to one run at a time, ended when they have been idle longest."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

from testing_crew.runner.warm import Refused, Zygote

RETRY_SECONDS = 300.0  # a start that failed may have failed for want of memory, or of time


class Pool:
    """At most ``workers`` runs at once; a few idle zygotes more are kept, for other projects and hash seeds."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._idle: OrderedDict[int, tuple[Hashable, Zygote]] = OrderedDict()
        self._lent: dict[int, Zygote] = {}
        self._room = threading.BoundedSemaphore(workers)
        self._lock = threading.Lock()
        self._refused: dict[Hashable, tuple[str, float]] = {}
        self._owner = os.getpid()
        self._closed = False

    @contextmanager
    def lend(self, mould: Hashable, make: Callable[[], Zygote]) -> Iterator[Zygote]:
        """A zygote of ``mould`` that nobody else has; waits while all ``workers`` are busy. Raises `Refused`."""
        if os.getpid() != self._owner:
            raise Refused("this process was forked from the one that has the warm runner")
        with self._room:
            zygote = self._find(mould, make)
            self._lent[id(zygote)] = zygote
            try:
                yield zygote
            except BaseException:
                zygote.alive = False  # in the middle of something
                raise
            finally:
                del self._lent[id(zygote)]
                self._give_back(mould, zygote)

    def _find(self, mould: Hashable, make: Callable[[], Zygote]) -> Zygote:
        with self._lock:
            for number, (kept, zygote) in reversed(self._idle.items()):
                if kept == mould:
                    del self._idle[number]
                    return zygote
            why, when = self._refused.get(mould, ("", 0.0))
            if why and time.monotonic() < when + RETRY_SECONDS:
                raise Refused(why)
        try:
            return make()
        except Refused as refused:
            with self._lock:
                self._refused[mould] = str(refused), time.monotonic()
            raise

    def _give_back(self, mould: Hashable, zygote: Zygote) -> None:
        old = [zygote]
        with self._lock:
            if zygote.alive and not self._closed:
                self._idle[id(zygote)] = (mould, zygote)
                old = [self._idle.popitem(last=False)[1][1] for _ in range(len(self._idle) - self.workers - 2)]
        for each in old:
            each.close()

    def stop(self) -> None:
        """End the runs at work; those who wait for them get `Refused`."""
        for zygote in list(self._lent.values()):
            zygote.hang_up()

    def close(self) -> None:
        """End every idle zygote; those at work end when they are given back."""
        if os.getpid() != self._owner:
            return
        with self._lock:
            self._closed = True
            idle, self._idle = list(self._idle.values()), OrderedDict()
        for _, zygote in idle:
            zygote.close()
