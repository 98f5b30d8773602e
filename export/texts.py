"""What an export is proven on: the prompts that the agent really asks, about real code, and what is hard to tokenize."""

from __future__ import annotations

from pathlib import Path

import testing_crew
from testing_crew import prompt
from testing_crew.project import code

_HARD = (
    'def f(s="ÄÖÜ 日本語 \U0001f9ea"):\n\treturn s  # 1234567 0x1f 1e-9 ...\n',
    "    x = {'a':[1,2,3],\n        'b':(None,True)}\n\n\n\n# ===== \u2028 end\n",
    # where split patterns differ: digits after spaces, words with an apostrophe, letters beside signs and numbers
    "x = [\n    1,\n        22,\n   333,   4]\nwe'll, IT'S, don't\nv1.2b3 __a__1 $x  %d\t\t7\r\n",
)
_FAILED = "import pytest\n\n\ndef test_it():\n    assert 1 == 2\n"
_LOG = "test_it(): got 1, expected 2"
_CHARACTERS = 1500


def proof_texts(count: int = 40) -> list[str]:
    """``count`` prompts, of first files and of repairs in turn, over this package's own functions; then the hard ones."""
    made: list[str] = []
    package = Path(testing_crew.__file__).parent
    for file in sorted(package.rglob("*.py")):
        module = ".".join(file.relative_to(package.parent).with_suffix("").parts)
        source = file.read_text(encoding="utf-8")
        for unit in code.find_units(code.parse_source(source, file.name)):
            shown = code.render(source, module, unit.name)
            if len(shown) <= _CHARACTERS:
                repair = len(made) % 2
                made.append(prompt.repair(shown, _FAILED, _LOG) if repair else prompt.generate(shown))
            if len(made) == count:
                return [*made, *_HARD]
    return [*made, *_HARD]
