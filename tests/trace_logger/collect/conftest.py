"""What the tests of collecting git share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from repositories import Made


@pytest.fixture
def made(tmp_path: Path) -> Made:
    from repositories import Made  # it needs pygit2, without which these tests are skipped

    return Made(tmp_path / "repo")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def many(made: Made) -> list[str]:
    return [made.commit({f"f{n}.py": f"x = {n}\n"}, f"Number {n}") for n in range(8)]
