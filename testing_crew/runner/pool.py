"""The zygotes of one runner: made when first needed, lent to one run at a time, ended when they have been idle longest."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from testing_crew.runner.warm import Refused, Zygote

RETRY_SECONDS = 300.0  # a start that failed may have failed for want of memory, or of time
_PATIENCE = 2  # a start takes a processor from the runs, too
_USUAL_START = 1.0  # seconds, until one is known
_Make = Callable[[], Zygote]


@dataclass
class _Stock:
    """What is known of the zygotes of one mould: how many there are, at work and starting ones included."""

    had: int = 0
    starting: int = 0
    waiting: int = 0
    waited: float = 0.0  # seconds that runs wanted one in vain, since the last one was ready
    run_seconds: float = 0.0  # of the last run
    refused: str = ""
    refused_at: float = 0.0


class Pool:
    """At most ``workers`` runs at once; a few idle zygotes more are kept, for other projects and hash seeds.

    A start costs as much as dozens of runs: a further zygote of the same mould is made when runs have waited for the others
    longer than it takes.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._idle: OrderedDict[int, tuple[Hashable, Zygote]] = OrderedDict()
        self._changed = threading.Condition()  # holds whatever follows
        self._stocks: defaultdict[Hashable, _Stock] = defaultdict(_Stock)
        self._running = 0
        self._start_seconds = _USUAL_START
        self._lent: dict[int, Zygote] = {}
        self._ahead: dict[int, Zygote] = {}  # those that start in the background
        self._threads: list[threading.Thread] = []
        self._owner = os.getpid()
        self._closed = False

    @contextmanager
    def lend(self, mould: Hashable, make: _Make) -> Iterator[Zygote]:
        """A zygote of ``mould`` that nobody else has; waits while all ``workers`` are busy. Raises `Refused`."""
        if os.getpid() != self._owner:
            raise Refused("this process was forked from the one that has the warm runner")
        taken = self._take(mould)
        try:
            zygote = taken or self._start(mould, make, self._lent)
            self._lent[id(zygote)] = zygote
            began = time.monotonic()
            try:
                yield zygote
                self._stocks[mould].run_seconds = time.monotonic() - began
            except BaseException:
                zygote.alive = False  # in the middle of something
                raise
            finally:
                del self._lent[id(zygote)]
                self._give_back(mould, zygote)
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def prepare(self, mould: Hashable, make: _Make, runs: int) -> None:
        """Start one in the background where there is none, or where as many ``runs`` to come pay for a further one."""
        if os.getpid() != self._owner:
            return
        with self._changed:
            stock = self._stocks[mould]
            share = runs * stock.run_seconds / (stock.had + 1)  # of each, if there were one more
            wanted = not stock.had or (stock.had < self.workers and share > self._start_seconds)
            if self._closed or self._is_refused(stock) or not wanted:
                return
            stock.had += 1
            stock.starting += 1
            thread = threading.Thread(target=self._start_ahead, args=(mould, make), daemon=True)
            self._threads = [each for each in self._threads if each.is_alive()] + [thread]
            thread.start()

    def has(self, mould: Hashable) -> bool:
        """Whether one of ``mould`` is ready or at work, or none can be had."""
        with self._changed:
            stock = self._stocks[mould]
            return stock.had > stock.starting or self._is_refused(stock)

    def ready(self, mould: Hashable) -> int:
        """How many runs of ``mould`` can go at once without a start."""
        with self._changed:
            stock = self._stocks[mould]
            return min(stock.had - stock.starting, self.workers)

    def _take(self, mould: Hashable) -> Zygote | None:
        """An idle zygote; None when the caller is to make one."""
        with self._changed:
            stock = self._stocks[mould]
            while True:
                free = self._running < self.workers
                if free:
                    number = next((n for n, (kept, _) in reversed(self._idle.items()) if kept == mould), None)
                    refused = self._is_refused(stock)
                    if number is None and refused and not stock.had:
                        raise Refused(stock.refused)
                    long = stock.waited > _PATIENCE * self._start_seconds * (1 + stock.starting)
                    if number is not None or not stock.had or (long and not refused):
                        break
                in_vain = free and stock.had > stock.starting
                stock.waiting += 1
                began = time.monotonic()
                self._changed.wait(self._start_seconds / 10)
                stock.waited += (time.monotonic() - began) / stock.waiting if in_vain else 0.0
                stock.waiting -= 1
            self._running += 1
            if number is not None:
                return self._idle.pop(number)[1]
            stock.had += 1
            stock.starting += 1
            return None

    def _is_refused(self, stock: _Stock) -> bool:
        return bool(stock.refused) and time.monotonic() < stock.refused_at + RETRY_SECONDS

    def _start(self, mould: Hashable, make: _Make, among: dict[int, Zygote]) -> Zygote:
        """Make one that is counted as starting already; it is ``among`` those that can be stopped, until it is ready."""
        began = time.monotonic()
        stock = self._stocks[mould]
        zygote = None
        ready = False
        try:
            zygote = make()
            among[id(zygote)] = zygote
            zygote.meet()
            ready = True
            return zygote
        except Refused as refused:
            if not self._closed:
                stock.refused, stock.refused_at = str(refused), time.monotonic()
            raise
        finally:
            among.pop(id(zygote), None)
            with self._changed:
                stock.starting -= 1
                stock.had -= not ready
                if ready:
                    stock.waited, stock.refused = 0.0, ""
                    self._start_seconds = time.monotonic() - began
                self._changed.notify_all()

    def _start_ahead(self, mould: Hashable, make: _Make) -> None:
        # What is wrong is told by the first run that needs it.
        with contextlib.suppress(Exception):
            self._give_back(mould, self._start(mould, make, self._ahead))

    def _give_back(self, mould: Hashable, zygote: Zygote) -> None:
        old = [(mould, zygote)]
        with self._changed:
            if zygote.alive and not self._closed:
                self._idle[id(zygote)] = (mould, zygote)
                old = [self._idle.popitem(last=False)[1] for _ in range(len(self._idle) - self.workers - 2)]
            for its_mould, _ in old:
                self._stocks[its_mould].had -= 1
            self._changed.notify_all()
        for _, each in old:
            each.close()

    def stop(self) -> None:
        """End the runs at work; those who wait for them get `Refused`."""
        for zygote in [*self._lent.values(), *self._ahead.values()]:
            zygote.hang_up()

    def close(self) -> None:
        """End every idle zygote and every start in the background; those at work end when they are given back."""
        if os.getpid() != self._owner:
            return
        with self._changed:
            self._closed = True
            idle, self._idle = list(self._idle.values()), OrderedDict()
            for mould, _ in idle:
                self._stocks[mould].had -= 1
        for zygote in list(self._ahead.values()):
            zygote.hang_up()
        for _, zygote in idle:
            zygote.close()
        for thread in self._threads:
            thread.join()
