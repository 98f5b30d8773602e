"""Many prompts at once: a model in this process decodes them in one batch, a server is asked for several side by side."""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from concurrent.futures import Future
from typing import Any

from testing_crew.backends.base import Backend, Completion, Sampling
from testing_crew.errors import PromptTooLong, TestingCrewError

Asked = tuple[str, Sampling]
Answer = Completion | TestingCrewError


def candidates_of(backend: Backend, wanted: int) -> int:
    """How many answers to one prompt ``backend`` is asked for: ``wanted`` where it decodes them together, else one."""
    return min(wanted, getattr(backend, "at_once", 1))


def complete_many(backend: Backend, asks: Sequence[Asked]) -> Generator[Answer, None, None]:
    """The answers to ``asks``, in their order, each as soon as it is there; what cannot be answered gives its error.

    The others go on being made while one is looked at. After an error that is not the prompt's own no more is asked: what is
    there already still comes, the rest gives that error. Who stops asking (closes the iterator) stops the model.
    """
    together = getattr(backend, "complete_many", None)
    threads = min(getattr(backend, "concurrency", 1), len(asks))
    if together is not None and len(asks) > 1 and getattr(backend, "at_once", 1) > 1:
        yield from _behind(_together(together, asks))
    elif threads > 1:
        yield from _behind(_side_by_side(backend, asks, threads))
    else:
        failed: TestingCrewError | None = None
        for prompt, sampling in asks:
            try:
                answer: Answer = failed or backend.complete(prompt, sampling)
            except TestingCrewError as error:
                answer = error
                failed = None if isinstance(error, PromptTooLong) else error
            yield answer


class _Work:
    """Threads that fill ``answers``. They are daemons: an interrupted program does not wait for a server's last word."""

    def __init__(self, count: int) -> None:
        self.answers: list[Future[Completion]] = [Future() for _ in range(count)]
        self.stop = threading.Event()
        self.threads: list[threading.Thread] = []
        self.waits = False

    def begin(self, work: Any) -> None:
        """Run ``work`` in a thread of its own."""
        thread = threading.Thread(target=work, daemon=True)
        self.threads.append(thread)
        thread.start()


def _together(complete: Any, asks: Sequence[Asked]) -> _Work:
    made = _Work(len(asks))
    made.waits = True  # it stops within a token, and must have let go of the model before that is used again

    def work() -> None:
        try:
            for index, answer in complete(asks, made.stop):
                if isinstance(answer, BaseException):
                    made.answers[index].set_exception(answer)
                else:
                    made.answers[index].set_result(answer)
        except BaseException as error:
            for answer in made.answers:
                if not answer.done():
                    answer.set_exception(error)

    made.begin(work)
    return made


def _side_by_side(backend: Backend, asks: Sequence[Asked], threads: int) -> _Work:
    made = _Work(len(asks))
    left = iter(enumerate(asks))
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                following = None if made.stop.is_set() else next(left, None)
            if following is None:
                return
            index, (prompt, sampling) = following
            try:
                made.answers[index].set_result(backend.complete(prompt, sampling))
            except BaseException as error:
                made.answers[index].set_exception(error)

    for _ in range(threads):
        made.begin(work)
    return made


def _behind(made: _Work) -> Generator[Answer, None, None]:
    failed: TestingCrewError | None = None
    try:
        for answer in made.answers:
            if failed is not None and not answer.done():
                yield failed
                continue
            try:
                found: Answer = answer.result()
            except TestingCrewError as error:
                found = error
                if not isinstance(error, PromptTooLong):
                    failed = failed or error
                    made.stop.set()
            yield found
    finally:
        made.stop.set()
        if made.waits:
            for thread in made.threads:
                thread.join()
