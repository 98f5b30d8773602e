"""What was asked for: the functions and classes of a file or a snippet, and where their tests run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from testing_crew.project import code as code_under_test
from testing_crew.project import snippet
from testing_crew.project.imports import project_root
from testing_crew.project.interpreter import Python, interpreter_for
from trace_logger.records import CodeUnderTest


@dataclass(frozen=True)
class Target:
    """The units of one file or snippet, and the files that make a snippet importable."""

    name: str
    project: str
    units: tuple[CodeUnderTest, ...]
    python: Python
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_snippet(self) -> bool:
        """Whether the code stands in no file that an import statement can reach."""
        return bool(self.files)

    @property
    def whole(self) -> CodeUnderTest:
        """The target as one, for judging a file about all of it: of one function or class, what else stands around it too."""
        return self.units[0].model_copy(update={"unit": None})


def file_target(path: Path, python: Python, only: set[str] | None = None) -> Target:
    """A file as a target. Raises UserMistake as ``code.load_units`` does."""
    units = code_under_test.load_units(path, python.path)
    project = project_root(path)
    if not snippet.importable(path):
        return source_target(units[0].source, str(path.resolve()), python, project)
    kept = tuple(u for u in units if only is None or u.unit in only) or tuple(units)
    return Target(str(path.resolve()), str(project), kept, python)


def file_whole(path: Path, interpreter: str, test: Path) -> CodeUnderTest:
    """A file that ``test`` imports as one, also where it defines nothing to write tests for.

    Raises UserMistake as ``code.load_module`` does.
    """
    whole = code_under_test.load_module(path, interpreter, test)
    if snippet.importable(path):
        return whole
    root = str(project_root(path))
    return whole.model_copy(update={"module": snippet.module_name(str(path.resolve())), "root": root})


def source_target(source: str, name: str, python: Python, project: Path) -> Target:
    """Source text as a target: it becomes a module beside the tests."""
    units = snippet.units(source, name, python.path, str(project))
    return Target(name, str(project), tuple(units), python, {f"{units[0].module}.py": source})


def target_for(code: str, file: str, chosen_interpreter: str | None, snippets: Path | None = None) -> Target:
    """The code in ``file`` where it stands there, else the code as a snippet: in ``snippets``, or where the file would be."""
    code = code.removeprefix("\ufeff")
    path = _path(file)
    stands = path.is_file() and snippet.stands_in(path, code) and snippet.importable(path)
    if snippets is not None and not stands:
        path = snippets / path.name
    python = interpreter_for(chosen_interpreter, path)
    if stands:
        tree = code_under_test.parse_source(code, file, python.path)
        return file_target(path, python, {u.name for u in code_under_test.find_units(tree)})
    folder = path.parent if path.parent.is_dir() else Path.cwd()
    return source_target(code, file, python, project_root(folder / "x.py"))


def _path(file: str) -> Path:
    """``file`` as a path; one that the system cannot take is as good as one that is not there."""
    try:
        path = Path(file).expanduser()
        path.stat()
    except FileNotFoundError:
        return path
    except (OSError, RuntimeError, ValueError):
        return Path("snippet.py")
    return path
