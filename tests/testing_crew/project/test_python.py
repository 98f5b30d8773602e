"""What the runner asks of its surroundings."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from testing_crew.project.python import variables


@pytest.fixture
def another_thread() -> Iterator[None]:
    """A thread that sets and drops variables all the time, as pytest does with its own around every test."""
    done = threading.Event()

    def change() -> None:
        while not done.is_set():
            for number in range(50):
                os.environ[f"TESTING_CREW_PASSING_{number}"] = "x"
            for number in range(50):
                os.environ.pop(f"TESTING_CREW_PASSING_{number}")

    thread = threading.Thread(target=change)
    thread.start()
    yield
    done.set()
    thread.join()


def test_the_environment_is_read_while_another_thread_changes_it(another_thread: None) -> None:
    for _ in range(2_000):
        assert variables()["PATH"] == os.environ["PATH"]
