"""Writers that are known to be worthless, and one that is known to be right: what a benchmark must say of them is known before.

``control:vacuous``, ``control:inlining`` and ``control:stubbing`` pass and must never be accepted; ``control:oracle`` gives the
tests that a task ships, and must be.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
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
    """Answers without a model: ``answer`` gives what is said to a prompt, whatever became of the last."""

    context: int | None = None
    prompt_version: int = prompt.PROMPT_VERSION

    def __init__(self, kind: str, answer: Callable[[str], str], close: Callable[[], object] = lambda: None) -> None:
        self.tag = PREFIX + kind
        self.revision = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
        self._answer, self._close = answer, close

    def complete(self, prompt: str, sampling: Sampling) -> Completion:
        """The answer."""
        return Completion(text=self._answer(prompt), finish="stop", seconds=0.0)

    def count_tokens(self, text: str) -> None:
        """None: there is no tokenizer."""
        return None

    def close(self) -> None:
        """Free what it holds."""
        self._close()


def _worthless(kind: str, template: str, tasks: Sequence[Task]) -> Control:
    def answer(asked: str) -> str:
        module, unit, code = parts(prompt.code_of(asked))
        return template.format(module=module, unit=unit, code=code) if unit else ""

    return Control(kind, answer)


def _oracle(tasks: Sequence[Task]) -> Control:
    known = [(task, definitions(task.code)) for task in tasks if task.oracle]
    if not known:
        raise UserMistake("none of these tasks ships tests, so there is no oracle for them")

    def answer(asked: str) -> str:
        module, unit, code = parts(prompt.code_of(asked))
        text = definitions(code).get(unit)
        task = next((task for task, units in known if text is not None and units.get(unit) == text), None)
        return oracle_for(task, module) if task else ""

    return Control("oracle", answer)


CONTROLS: Mapping[str, Callable[[Sequence[Any]], Backend]] = {
    "oracle": _oracle,
    "vacuous": partial(_worthless, "vacuous", _VACUOUS),
    "inlining": partial(_worthless, "inlining", _INLINING),
    "stubbing": partial(_worthless, "stubbing", _STUBBING),
}
