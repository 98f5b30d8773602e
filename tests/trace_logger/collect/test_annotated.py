"""Code apart from what was said beside it: each comment at the line of code that it was about."""

from __future__ import annotations

import inspect
import io
import json
import json.decoder
import random
import shutil
import textwrap
import tokenize
from types import ModuleType

import pytest

from trace_logger.collect.annotated import annotated
from trace_logger.collect.records import Annotated


def said(source: str, **options: object) -> dict[str, Annotated]:
    found = list(annotated(textwrap.dedent(source), **options))  # type: ignore[arg-type]
    assert len({each.name for each in found}) == len(found)
    return {each.name: each for each in found}


def notes(found: Annotated) -> dict[str, str]:
    """Each comment by the line of code that it stands at."""
    lines = found.code.split("\n")
    return {lines[each.line_number - 1].strip(): each.annotation for each in found.annotations}


def test_comments_above_a_line_beside_it_and_above_the_function() -> None:
    (found,) = said(
        '''
        x = 1  # not of the function

        # Gives the half.
        # Rounded down.
        def half(x):
            """Half of x.

            More of it.
            """
            # whole numbers
            # alone

            y = x // 2  # floor
            return y  #: and back
        # about something else
        '''
    ).values()
    assert found.code == "def half(x):\n\n    y = x // 2\n    return y"
    assert found.docstring == "Half of x.\n\nMore of it."
    assert notes(found) == {
        "def half(x):": "Gives the half. Rounded down.",
        "y = x // 2": "whole numbers alone floor",
        "return y": "and back",
    }


def test_strings_with_hashes_are_code() -> None:
    (found,) = said(
        '''
        def page(x):
            text = """
        # no comment
            # neither
        """  # but this
            return text + "# nor this" + f"#{x}"
        '''
    ).values()
    assert notes(found) == {'"""': "but this"}
    space: dict[str, object] = {}
    exec(found.code, space)
    assert space["page"](1) == "\n# no comment\n    # neither\n# nor this#1"  # type: ignore[operator]


def test_decorators_methods_and_nested_functions() -> None:
    found = said(
        '''
        class Shop:
            """A shop."""

            # first of all
            @property
            @cached  # once
            def till(self):
                def inner():
                    """Within."""
                    return 1  # deep
                return inner

            async def wait(self):
                pass  # for nothing
        '''
    )
    assert list(found) == ["Shop", "Shop.till", "Shop.wait"]
    till = found["Shop.till"]
    assert till.code == ("@property\n@cached\ndef till(self):\n    def inner():\n        return 1\n    return inner")
    assert (till.docstring, found["Shop"].docstring) == ("", "A shop.")
    assert notes(till) == {"@property": "first of all", "@cached": "once", "return 1": "deep"}
    assert found["Shop.wait"].code == "async def wait(self):\n    pass"
    assert '"""' not in found["Shop"].code


def test_of_a_long_class_the_methods_are_told_alone() -> None:
    methods = "".join(f"    def f{n}(self):\n        return {n}  # number\n" for n in range(40))
    assert list(said(f"class Long:\n    # all\n{methods}")) == [f"Long.f{n}" for n in range(40)]


@pytest.mark.parametrize(
    "words",
    ["noqa", "noqa: E501", "type: ignore[x]", "pragma: no cover", "pylint: disable=x", "fmt: off", "nosec", "mypy: x"],
)
def test_words_to_tools_are_no_comments(words: str) -> None:
    assert not said(f"def f():\n    return 1  # {words}\n")
    (found,) = said(f"# {words}\ndef f():\n    # why\n    # {words}\n    return 1  # {words}\n").values()
    assert (found.code, notes(found)) == ("def f():\n    return 1", {"return 1": "why"})


def test_only_functions_with_one_of_the_lines() -> None:
    source = "def f():\n    return 1  # one\n\n\n# above\ndef g():\n    return 2  # two\n"
    assert list(said(source, lines={2})) == ["f"]
    assert list(said(source, lines={5})) == ["g"]
    assert not said(source, lines={3, 4})
    assert not said(source, lines=())


@pytest.mark.parametrize(
    "source",
    [
        "def f(:\n    # x\n",
        "print 'another Python'  # x\n",
        "def f():\n\treturn 1\n        return 2  # x\n",
        "\0",
        "def f():  # x\n" + "(" * 5000,
        "x = '\ud800'  # x",
        "",
        "# alone\n",
        'def f():\n    """All that there is."""\n',
        'def f(): """Beside."""; return 1  # x\n',
        'def f():\n    """Beside."""; return 1  # x\n',
        "def f():\n    return 1\n",
    ],
)
def test_nothing_is_told_where_nothing_is_said_or_read(source: str) -> None:
    assert not list(annotated(source))


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n"])
def test_line_ends_of_any_kind(end: str) -> None:
    (found,) = said(end.join(["x = 1", "def f():", '    """Say."""', "    # why", "    return 1", ""])).values()
    assert (found.code, found.docstring, notes(found)) == ("def f():\n    return 1", "Say.", {"return 1": "why"})


def test_form_feeds_tabs_and_letters_of_all_kinds() -> None:
    (found,) = said("\f\ndef größe():\n\t# 半分 é 😀\n\tx = 'é😀\u2028' # end \u2028 here\n\treturn x\n").values()
    assert (found.name, notes(found)) == ("größe", {"x = 'é😀\u2028'": "半分 é 😀 end \u2028 here"})


@pytest.mark.parametrize("module", [json, json.decoder, textwrap, shutil, random, inspect])
def test_all_of_the_standard_library_that_is_tried(module: ModuleType) -> None:
    source = inspect.getsource(module)
    found = list(annotated(source))
    assert found
    for each in found:
        compile(each.code, each.name, "exec")
        tokens = tokenize.generate_tokens(io.StringIO(each.code).readline)
        assert not [token for token in tokens if token.type == tokenize.COMMENT], each.name
        lines = each.code.split("\n")
        for note in each.annotations:
            assert 1 <= note.line_number <= len(lines), each.name
            assert lines[note.line_number - 1].strip(), each.name
            assert note.annotation, each.name
            for word in note.annotation.split():
                assert word in source
