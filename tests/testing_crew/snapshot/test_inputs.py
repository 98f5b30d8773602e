"""Which calls are read from a function's text."""

import ast

import pytest

from testing_crew.snapshot.inputs import of_class, of_function
from testing_crew.snapshot.kinds import kinds


def function(source):
    tree = ast.parse(source)
    return tree.body[-1], tree


def rows(source, most=8):
    return of_function(*function(source), most)


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("def f(x: int): ...", "int"),
        ("def f(x: 'Optional[Sequence[str]]'): ...", "list[str]"),
        ("def f(x: dict[str, str] | None): ...", "dict[str, str]"),
        ("def f(x=2.5): ...", "float"),
        ("def f(x): return x.strip()", "str"),
        ("def f(x): return [y for y in x.items()]", "dict[str, int]"),
        ("def f(x): return x(1)", "callable"),
        ("def f(x): return x % 3 == 0", "int"),
        ("def f(x): return isinstance(x, bytes)", "bytes"),
        ("def f(filename): return filename", "path"),
        ("def f(is_open): return is_open", "bool"),
        ("def f(version: str): return version.split('.')", "version"),
        ("def f(thing): return thing", "any"),
    ],
)
def test_the_kind_of_a_parameter(source, kind):
    assert (
        kinds(function(source)[0])["x" if "x" in source.split(")")[0] else function(source)[0].args.args[0].arg] == kind
    )


def test_what_the_docstring_calls_comes_first_with_what_it_says():
    found = rows("""
def pad(text, width=4, *, fill=" "):
    '''Pad.

    >>> pad("ab")
    'ab  '
    >>> pad("", fill="x")
    'xxxx'
    >>> pad(3)
    Traceback (most recent call last):
    AttributeError: no
    '''
    return text.ljust(width, fill)
""")
    assert found.names == ("text", "width", "fill")
    assert found.keyword == {"fill"}
    assert found.call("pad") == "pad(text, width, fill=fill)"
    assert found.said == {
        ("'ab'", "4", "' '"): "'ab  '",
        ("''", "4", "'x'"): "'xxxx'",
        ("3", "4", "' '"): "!AttributeError",
    }
    assert list(found.rows[:3]) == list(found.said)


def test_the_code_s_own_constants_and_their_neighbours_are_tried():
    found = rows("def grade(points):\n    return 'high' if points >= 87 else 'low'\n", 12)
    assert {"86", "87", "88"} <= {row[0] for row in found.rows}


def test_the_keys_of_a_table_that_the_code_looks_in_are_tried():
    found = rows("UNITS = {'km': 1000, 'm': 1}\n\n\ndef f(unit):\n    return UNITS[unit]\n")
    assert {"'km'", "'m'"} <= {row[0] for row in found.rows}


def test_rows_are_different_and_as_many_as_asked_for():
    found = rows("def f(a, b): return a + b", 8)
    assert len(found.rows) == len(set(found.rows)) == 8


def test_further_positional_arguments_are_a_column_of_tuples():
    found = rows("def f(first, *rest): return first, rest")
    assert found.call("f") == "f(first, *rest)"
    assert found.call("f", ("1", "(2, 3)")) == "f(1, 2, 3)"


def test_what_cannot_be_called_by_what_is_known_gives_nothing():
    assert rows("def f(): return 1") is None


def test_a_class_is_made_and_its_public_methods_are_called():
    node, tree = function("""
class Stack:
    def __init__(self, limit: int = 3):
        self.items = []
        self._hidden = limit

    def push(self, item):
        self.items.append(item)

    def _private(self):
        pass

    @property
    def size(self):
        return len(self.items)
""")
    found = of_class(node, tree, 2)
    assert found.made.call("Stack", found.made.rows[0]).startswith("Stack(")
    assert [name for name, _ in found.methods] == ["push"]
    assert found.state == ("items", "size")


def test_a_dataclass_is_made_from_its_fields():
    found = of_class(*function("@dataclass\nclass P:\n    x: int\n    name: str = 'a'\n"), 2)
    assert found.made.names == ("x", "name")
    assert found.state == ("x", "name")
