from __future__ import annotations

from collections.abc import Iterator

import pytest

from testing_crew.gate.gate import Gate
from testing_crew.runner.run import Limits, Runner


@pytest.fixture(scope="module")
def gate() -> Iterator[Gate]:
    """The whole gate with fewer runs: for what it says, not for how steady a file is."""
    with Runner(Limits(wall_seconds=60)) as runner:
        yield Gate(runner, repeats=2, mutants=10)
