"""Test files for made-up classes: build one, call a method, look at what came of it."""

from __future__ import annotations

import copy
import random
from dataclasses import dataclass, replace
from typing import Any

from finetune.data.synthetic import values
from finetune.data.synthetic.examples import Example, shown
from finetune.data.synthetic.program import Parameter, Program
from finetune.data.synthetic.steps import MADE_UP, TooSlow, bounded
from finetune.data.synthetic.tables import is_builtin
from testing_crew import prompt
from testing_crew.runner import failures
from testing_crew.snapshot.kinds import CANONICAL
from trace_logger.records import CaseResult


@dataclass(frozen=True)
class Step:
    """One test: construct, call, and either compare ``subject`` with ``value`` or expect ``raises``."""

    name: str
    made: str
    before: tuple[str, ...]
    subject: str
    value: Any = None
    raises: str | None = None

    def text(self) -> str:
        """The test function."""
        lines = [f"def {self.name}():", f"    obj = {self.made}", *(f"    {line}" for line in self.before)]
        if self.raises:
            lines += [f"    with pytest.raises({self.raises}):", f"        {self.subject}"]
        else:
            lines += [f"    assert {self.subject} == {values.literal(self.value)}"]
        return "\n".join(lines) + "\n"


def _arguments(parameters: tuple[Parameter, ...], index: int) -> tuple[Any, ...]:
    needed = [p for p in parameters if not p.has_default or index % 2]
    return tuple(CANONICAL[p.kind][(index + 2 + j) % len(CANONICAL[p.kind])] for j, p in enumerate(needed))


def _call(name: str, args: tuple[Any, ...]) -> str:
    return f"{name}({', '.join(map(values.literal, args))})"


def observe(rng: random.Random, program: Program) -> list[Step] | None:
    """One test for the state after construction and one or two for each method."""
    namespace: dict[str, Any] = {}
    exec(compile(program.source, MADE_UP, "exec"), namespace)
    built = namespace[program.unit]
    made_args = _arguments(program.parameters, 1)
    steps: list[Step] = []
    try:
        fresh = bounded(built, *made_args)
    except (Exception, TooSlow):
        return None
    made = _call(program.unit, made_args)
    name = f"test_{program.unit.lower()}"
    for attribute, value in list(vars(fresh).items())[:2]:
        if values.is_literal(value):
            steps.append(Step(f"{name}_{attribute}", made, (), f"obj.{attribute}", value))
    for index, (method, parameters) in enumerate(program.methods):
        args = _arguments(parameters, index)
        subject = f"obj.{_call(method, args)}"
        obj = built(*copy.deepcopy(made_args))
        try:
            value = bounded(getattr(obj, method), *args)
        except TooSlow:
            return None
        except Exception as error:
            if not is_builtin(type(error).__name__):
                return None
            steps.append(Step(f"{name}_{method}_raises", made, (), subject, raises=type(error).__name__))
            continue
        if value is not None and values.is_literal(value):
            steps.append(Step(f"{name}_{method}", made, (), subject, value))
        else:
            for attribute, after in list(vars(obj).items())[:2]:
                if values.is_literal(after):
                    steps.append(Step(f"{name}_{method}", made, (subject,), f"obj.{attribute}", after))
                    break
    return steps if len(steps) > 1 else None


def text(program: Program, steps: list[Step]) -> str:
    """The file."""
    return "\n\n".join([f"import pytest\nfrom {program.module} import {program.unit}\n", *(s.text() for s in steps)])


def generate(program: Program, steps: list[Step], version: int = prompt.PROMPT_VERSION) -> Example:
    """Class → first test file."""
    return Example("generate/class", prompt.generate(shown(program), version), text(program, steps))


def repair(
    rng: random.Random, program: Program, steps: list[Step], version: int = prompt.PROMPT_VERSION
) -> Example | None:
    """A file with wrong values → the file mended; half of the logs are made up."""
    made_up = rng.random() < 0.5
    failed, fixed, log = [], [], []
    for step in steps:
        if step.raises or rng.random() < 0.4:
            failed.append(step)
            fixed.append(step)
            continue
        actual = values.unrelated(rng, step.value) if made_up else step.value
        guess = values.wrong(rng, actual, (), [s.value for s in steps if s.raises is None])
        fixed.append(replace(step, value=actual))
        if guess == actual:
            failed.append(fixed[-1])
            continue
        failed.append(replace(step, value=guess))
        case = CaseResult(
            node="",
            function=step.name,
            outcome="failed",
            exception="AssertionError",
            actual=values.literal(actual),
            expected=values.literal(guess),
        )
        log.append(failures.failure_line(case))
    if not log:
        return None
    asked = prompt.repair(shown(program), text(program, failed), "\n".join(log), version)
    return Example("repair/class" + ("/made_up" if made_up else ""), asked, text(program, fixed))
