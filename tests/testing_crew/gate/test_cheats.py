"""Files that pass without testing their target are refused, whatever they do in place of testing it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from cheats import HONEST, NOT_PASSING, ONLY_LOOK_LIKE_IT, REFUSED

from testing_crew.gate.gate import Gate
from testing_crew.gate.text import judge
from testing_crew.runner.plan import plan_text
from testing_crew.runner.run import Runner
from trace_logger.records import CodeUnderTest, PytestRun

if TYPE_CHECKING:
    from conftest import Project


@pytest.fixture(scope="module")
def shared(new_project: Callable[[], Project]) -> Project:
    """One project for all: its processes are started once."""
    return new_project()


@pytest.mark.parametrize("cheat", REFUSED)
def test_cheats_that_pass(shared: Project, gate: Gate, cheat: str) -> None:
    found = gate.judge(plan_text(shared.code(), REFUSED[cheat]))
    assert found.run.verdict == "passed", found.run.log
    assert not found.accepted
    assert found.reasons


@pytest.mark.parametrize("text", ONLY_LOOK_LIKE_IT)
def test_texts_that_only_look_like_it(shared: Project, gate: Gate, text: str) -> None:
    found = gate.judge(plan_text(shared.code(), text))
    assert (found.accepted, found.reasons) == (True, ()), found


@pytest.mark.parametrize("cheat", NOT_PASSING)
def test_cheats_that_do_not_pass(shared: Project, gate: Gate, cheat: str) -> None:
    text, verdict = NOT_PASSING[cheat]
    found = gate.judge(plan_text(shared.code(), text))
    assert (found.accepted, found.reasons) == (False, (f"not_passed:{verdict}",))


READABLE = {
    "byte order mark": "\ufeff" + HONEST,
    "byte order mark and encoding": "\ufeff# -*- coding: utf-8 -*-\n" + HONEST,
    "encoding on the second line": "#!/usr/bin/env python\r# vim: set fileencoding=UTF_8 :\r\n" + HONEST,
    "of an editor": "# -*- coding: utf-8-unix -*-\n" + HONEST,
    "ASCII": "# coding=us-ascii\n" + HONEST,
    "no declaration": '"""It is the\n# coding: utf-7\n"""\n# coding: utf-7\n' + HONEST,
    "on the third line": "\n\n# coding: utf-7\n" + HONEST,
    "nearly too large": HONEST + "#" * (1_000_000 - len(HONEST)),
}


@pytest.fixture(scope="module")
def readable(
    new_project: Callable[[], Project], quick: Runner, pool: ThreadPoolExecutor
) -> dict[str, tuple[CodeUnderTest, Future[PytestRun]]]:
    codes = {kind: new_project().code() for kind in READABLE}
    return {kind: (code, pool.submit(quick.run, code, READABLE[kind])) for kind, code in codes.items()}


@pytest.mark.parametrize("kind", READABLE)
def test_honest_texts_in_an_unusual_form(
    readable: dict[str, tuple[CodeUnderTest, Future[PytestRun]]], kind: str
) -> None:
    code, started = readable[kind]
    assert started.result().verdict == "passed", started.result().log
    assert judge(code, READABLE[kind], started.result()) == (True, ())


@pytest.mark.parametrize("text", [HONEST + "#" * 1_000_000, "(" * 1_000_001], ids=["comment", "brackets"])
def test_texts_that_are_too_large(project: Project, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ast.parse", None)
    assert judge(project.code(), text, PytestRun(verdict="passed")) == (False, ("too_large",))
    assert judge(project.code(), text, PytestRun(verdict="error"))[1] == ("not_passed:error", "too_large")


@pytest.mark.parametrize(
    "text",
    [
        "# coding: utf-7\n" + HONEST,
        "#!/usr/bin/env python\n\f # vim: set fileencoding=latin-1 :\n" + HONEST,
        "\r# coding:cp1252\n" + HONEST,
        "\ufeff# -*- Coding: x; coding: rot13 -*-\n" + HONEST,
        "# coding: utf-16\n" + HONEST,
        "\ufeff\ufeff" + HONEST,
    ],
)
def test_texts_that_python_would_read_as_another(project: Project, text: str) -> None:
    assert judge(project.code(), text, PytestRun(verdict="error"))[1] == ("not_passed:error", "unreadable")


@pytest.mark.parametrize("error", [SyntaxError, ValueError, RecursionError, MemoryError])
def test_whatever_the_parser_raises(project: Project, error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    code = project.code()

    def parse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("ast.parse", parse)
    assert judge(code, HONEST, PytestRun(verdict="error"))[1] == ("not_passed:error", "unreadable")


@pytest.mark.parametrize(
    "text",
    ["def test_(:\n", "x = " + "(" * 500 + ")" * 500 + "\n", "\0", "x = " + "-" * 100_000 + "1\n"],
    ids=["syntax", "brackets", "null", "signs"],
)
def test_unreadable_texts(project: Project, text: str) -> None:
    assert judge(project.code(), text, PytestRun(verdict="error"))[1] == ("not_passed:error", "unreadable")
