"""Another text in the place of the target's, in memory: the file is not touched.

Runs inside the target's interpreter: standard library only.
PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import builtins
import os
from importlib.machinery import SourceFileLoader
from types import CodeType

from . import other


class Mutant:
    """What became of a mutant in this process: whether it was loaded."""

    loaded = False

    @property
    def changed(self) -> int:
        """How many values the mutant replaced by others."""
        return other.changed


def install(target: str, source: str) -> Mutant:
    """Have every import of the file ``target`` (a real path) compile ``source`` in place of what the file holds."""
    mutant = Mutant()
    from_file = SourceFileLoader.get_code

    def get_code(self: SourceFileLoader, fullname: str) -> CodeType | None:
        if os.path.realpath(self.path) != target:
            return from_file(self, fullname)
        mutant.loaded = True
        code: CodeType = compile(source, self.path, "exec", dont_inherit=True)
        return code

    SourceFileLoader.get_code = get_code  # type: ignore[method-assign]
    vars(builtins).update(__testing_crew_other__=other.other, __testing_crew_disabled__=other.TargetDisabled)
    return mutant


__all__ = ["Mutant", "install"]
