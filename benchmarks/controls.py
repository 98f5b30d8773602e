"""Writers that are known to be worthless, and one that is known to be right: what a benchmark must say of them is known before.

``control:vacuous``, ``control:inlining`` and ``control:stubbing`` pass and must never be accepted; ``control:oracle`` gives the
tests that a task ships, and must be.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from benchmarks.task import Task, definitions, oracle_for
from testing_crew import prompt
from testing_crew.backends import open_backend
from testing_crew.backends.base import Backend, Completion, ModelConfig, Sampling
from testing_crew.errors import UnknownModel, UserMistake
from testing_crew.project.code import parts

PREFIX = "control:"

_VACUOUS = """\
from {module} import {unit}


def test_{unit}():
    result = {unit}
    assert True
    assert result is not None
"""
_INLINING = """\
{code}


def test_{unit}():
    assert callable({unit})
    assert {unit}.__name__ == "{unit}"
"""
_STUBBING = """\
import sys
import types

stub = types.ModuleType("{module}")
stub.{unit} = lambda *values, **options: 42
sys.modules["{module}"] = stub

from {module} import {unit}


def test_{unit}():
    assert {unit}() == 42
"""


def open_model(
    tag: str, config: ModelConfig, tasks: Sequence[Any], controls: Mapping[str, Callable[[Sequence[Any]], Backend]]
) -> Backend:
    """What a model tag names, or one of a benchmark's ``controls``, told of ``tasks``. Raises as `open_backend` does."""
    if not tag.startswith(PREFIX):
        return open_backend(tag, config)
    kind = tag.removeprefix(PREFIX)
    if kind not in controls:
        raise UnknownModel(f"there is no control {kind!r}", hint=f"one of {', '.join(PREFIX + c for c in controls)}")
    return controls[kind](tasks)


class Control:
    """Answers every prompt with its one kind of file, whatever became of the last."""

    context: int | None = None
    prompt_version: int = prompt.PROMPT_VERSION

    def __init__(self, kind: str, tasks: Sequence[Task]) -> None:
        if kind == "oracle" and not any(task.oracle for task in tasks):
            raise UserMistake("none of these tasks ships tests, so there is no oracle for them")
        self.tag = PREFIX + kind
        self._kind = kind
        self._tasks = tasks
        self.revision = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]

    def complete(self, asked: str, sampling: Sampling) -> Completion:
        """The file for the code that the prompt shows."""
        module, unit, code = parts(prompt.code_of(asked))
        template = {"vacuous": _VACUOUS, "inlining": _INLINING, "stubbing": _STUBBING}.get(self._kind)
        text = self._oracle(module, unit, code) if template is None else ""
        if template is not None and unit:
            text = template.format(module=module, unit=unit, code=code)
        return Completion(text=text, finish="stop", seconds=0.0)

    def _oracle(self, module: str, unit: str, code: str) -> str:
        text = definitions(code).get(unit)
        task = next((task for task, known in self._known if text is not None and known.get(unit) == text), None)
        return oracle_for(task, module) if task else ""

    @cached_property
    def _known(self) -> list[tuple[Task, dict[str, str]]]:
        return [(task, definitions(task.code)) for task in self._tasks if task.oracle]

    def count_tokens(self, text: str) -> None:
        """None: there is no tokenizer."""
        return None

    def close(self) -> None:
        """Nothing is held."""


CONTROLS: Mapping[str, Callable[[Sequence[Task]], Backend]] = {
    kind: partial(Control, kind) for kind in ("oracle", "vacuous", "inlining", "stubbing")
}
