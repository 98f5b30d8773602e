"""Another text in the place of the target's, in memory: the file is not touched.

Runs inside the target's interpreter: standard library only.
PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import builtins
import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder, SourceLoader
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType

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

    def get_code(self: SourceLoader, fullname: str) -> CodeType | None:
        path = self.get_filename(fullname)
        if os.path.realpath(path) != target:
            return from_file(self, fullname)
        mutant.loaded = True
        code: CodeType = compile(source, path, "exec", dont_inherit=True)
        return code

    SourceFileLoader.get_code = get_code  # type: ignore[method-assign, assignment]
    sys.meta_path.insert(0, _Plain(target))
    vars(builtins).update(__testing_crew_other__=other.other, __testing_crew_disabled__=other.TargetDisabled)
    return mutant


class _Plain(MetaPathFinder):
    """Finds the target before pytest does, which loads by itself what is named like a test."""

    def __init__(self, target: str) -> None:
        self.target = target

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.rpartition(".")[2] not in self.target:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        found = spec is not None and spec.origin and os.path.realpath(spec.origin) == self.target
        return spec if found else None
