"""How many expectations come from what the code says of itself."""

import sys

import pytest

from testing_crew.repair.origins import origins
from trace_logger.records import CodeUnderTest

CODE = '''
def half(x):
    """Half of an even number.

    >>> half(4)
    2
    >>> half("a")
    Traceback (most recent call last):
    TypeError: not all arguments converted

    half(10) -> 5
    """
    if x % 2:
        raise ValueError("odd")
    return x // 2
'''


def counted(tests):
    return origins(CodeUnderTest(source=CODE, shown=CODE, module="m", root="", interpreter=sys.executable), tests)


@pytest.mark.parametrize(
    ("tests", "derived", "observed"),
    [
        ("def test_a():\n    assert half(4) == 2\n", 1, 0),
        ("def test_a():\n    assert m.half(4) == 2\n", 1, 0),
        ("def test_a():\n    assert half(4) == 3\n", 0, 1),
        ("def test_a():\n    assert half(6) == 3\n", 0, 1),
        ("def test_a():\n    assert half(10) == 5\n", 1, 0),
        ("def test_a():\n    with pytest.raises(ValueError):\n        half(3)\n", 1, 0),
        ("def test_a():\n    with pytest.raises(TypeError):\n        half('a')\n", 1, 0),
        ("def test_a():\n    with pytest.raises(KeyError):\n        half([])\n", 0, 1),
        (
            '@pytest.mark.parametrize("x, expected", [(4, 2), (10, 5), (8, 4)])\ndef test_a(x, expected):\n    assert half(x) == expected\n',
            2,
            1,
        ),
        ("def test_a():\n    assert not half(0)\n    assert half(2)\n", 0, 2),
        ("def helper():\n    assert half(4) == 2\n", 0, 0),
        ("def test_a(:\n", 0, 0),
    ],
)
def test_an_expectation_is_derived_where_the_code_says_it(tests, derived, observed):
    assert counted(tests) == (derived, observed)
