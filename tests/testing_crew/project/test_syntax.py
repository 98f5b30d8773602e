"""Threads that parse at once."""

import ast
import gc
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from testing_crew.project.syntax import UNREADABLE, parse, parse_expression

TEXT = "x = " + "+".join(["(1 * (2 + (3 - f(4, [5, {6: 7}]))))"] * 60)


@pytest.fixture
def switching() -> Iterator[None]:
    """Threads are switched while a tree is being built: the garbage collector runs there, and its callbacks are Python's."""
    before = gc.get_threshold()

    def rest(phase: str, info: dict[str, int]) -> None:
        time.sleep(0.0005)

    gc.callbacks.append(rest)
    gc.set_threshold(200)
    yield
    gc.set_threshold(*before)
    gc.callbacks.remove(rest)


def _dumps(*parsers: Callable[[str], ast.AST]) -> set[str]:
    """What the threads of the first parser find."""

    def mine(parser: Callable[[str], ast.AST]) -> str:
        try:
            return ast.dump(parser(TEXT))
        except SystemError:
            if parser is parsers[0]:
                raise
            return ""

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(mine, parsers * (200 // len(parsers))))
    return set(found[:: len(parsers)])


def test_threads_that_parse_at_once_find_the_same(switching):
    assert _dumps(parse) == {ast.dump(ast.parse(TEXT))}


def test_a_library_that_parses_in_a_thread_of_its_own_does_no_harm(switching):
    assert _dumps(parse, ast.parse) == {ast.dump(ast.parse(TEXT))}


@pytest.mark.parametrize("text", ["def f(:", "\0", "(" * 300, "x = " + "-" * 100_000 + "1"])
def test_what_cannot_be_read_is_told_as_ever(text):
    for parser in (parse, parse_expression):
        with pytest.raises(UNREADABLE):
            parser(text)


def test_an_expression_is_its_node():
    assert ast.unparse(parse_expression("f( 1,2 )")) == "f(1, 2)"


def test_what_a_text_would_be_warned_of_is_not_told(recwarn: pytest.WarningsRecorder) -> None:
    parse("x = 1if 2 else 3\ny = '\\d'\nz = x is 1\n")
    assert not recwarn.list
