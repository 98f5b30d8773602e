from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent

import pytest

from testing_crew.runner.run import Limits, Runner
from trace_logger.records import CodeUnderTest

MATHX = """\
'''Sums.'''
LIMIT = 10


def add(a, b):
    '''The sum.'''
    return a + b


def div(a, b):
    if b == 0:
        raise ValueError("division by zero")
    return a / b


def push(items, item):
    items.append(item)


def hello(name):
    print(f"hello {name}")


def save(path, text):
    path.write_text(text)


def sub(a, b):
    return a - b


async def later(x):
    return x


class Stack:
    '''Last in, first out.'''

    size = 3

    def __init__(self):
        self.items = []

    def push(self, item):
        self.items.append(item)
        return self

    def pop(self):
        return self.items.pop()

    @property
    def empty(self):
        return not self.items
"""


class Project:
    """A project in a folder of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, relative: str, text: str) -> Path:
        path = self.root / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
        return path

    def code(self, module: str = "mathx", unit: str | None = "add", interpreter: str = sys.executable) -> CodeUnderTest:
        path = self.root / (module.replace(".", "/") + ".py")
        source = path.read_text()
        return CodeUnderTest(
            source=source,
            shown=source,
            module=module,
            unit=unit,
            path=str(path),
            root=str(self.root),
            interpreter=interpreter,
        )


def _made(folder: Path) -> Project:
    made = Project(folder / "a project")  # with a space: paths travel through several command lines
    made.write("mathx.py", MATHX)
    return made


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return _made(tmp_path)


@pytest.fixture(scope="session")
def new_project(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Project]:
    return lambda: _made(tmp_path_factory.mktemp("project"))


WAYS = ["warm", "cold"] if sys.platform.startswith("linux") else ["cold"]


@pytest.fixture(scope="session", params=WAYS)
def warm(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "warm")


@pytest.fixture(scope="session")
def runner(warm: bool) -> Iterator[Runner]:
    with Runner(Limits(wall_seconds=60), warm=warm) as made:
        yield made


@pytest.fixture(scope="session")
def quick(warm: bool) -> Iterator[Runner]:
    """For tests that are not about the sandbox."""
    limits = Limits(wall_seconds=60, memory_bytes=512 * 2**20)
    with Runner(limits, sandbox="limits", warm=warm) as made:
        yield made


@pytest.fixture(scope="session")
def pool() -> Iterator[ThreadPoolExecutor]:
    """Runs of one module go side by side: most of each is the start of an interpreter."""
    with ThreadPoolExecutor(4) as started:
        yield started
