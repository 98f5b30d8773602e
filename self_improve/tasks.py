"""What is worked on: modules, a tasks file of the benchmark's form, or a table of functions as KodCode has it."""

from __future__ import annotations

import ast
import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.task import Task, load_tasks
from testing_crew.errors import UserMistake
from testing_crew.project import code as code_under_test
from testing_crew.project.interpreter import interpreter_for
from testing_crew.project.syntax import parse
from trace_logger.curation.chance import drawn
from trace_logger.curation.fingerprints import Fingerprints

_SKIPPED_FOLDERS = {"tests", "test", "__pycache__", "node_modules", "build", "dist", "site-packages"}
_TABLES = (".json", ".jsonl", ".ndjson", ".parquet", ".gz")


def load(paths: Sequence[Path], interpreter: str | None = None) -> list[Task]:
    """The tasks that ``paths`` name, each once, in their order. Raises UserMistake for a path of no such form."""
    found: dict[str, Task] = {}
    names: Counter[str] = Counter()
    for path in paths:
        for task in _of(path.expanduser(), interpreter):
            key = task.file if Path(task.file).is_absolute() else hashlib.sha256(task.code.encode()).hexdigest()
            if key not in found:
                names[task.id] += 1
                again = names[task.id]
                found[key] = task if again == 1 else task.model_copy(update={"id": f"{task.id}#{again}"})
    return list(found.values())


def _of(path: Path, interpreter: str | None) -> list[Task]:
    if not path.exists():
        raise UserMistake(f"no such file or folder: {path}")
    if path.is_dir():
        return [
            _module(file, f"{path.name}/{file.relative_to(path).as_posix()}") for file in modules_in(path, interpreter)
        ]
    if path.suffix == ".py":
        return [_module(path, path.name)]
    if not path.name.endswith(_TABLES):
        raise UserMistake(
            f"{path} is no Python file, no folder and no table", hint=f"a table ends in {', '.join(_TABLES)}"
        )
    if path.suffix == ".json" and '"tasks"' in path.read_text(encoding="utf-8", errors="replace")[:4000]:
        return load_tasks(path)
    return _functions(path)


def _module(file: Path, name: str) -> Task:
    return Task(id=name, code=code_under_test.read_source(file), file=str(file.resolve()))


def _functions(path: Path) -> list[Task]:
    from finetune.data.read import Spec, read_table

    table = read_table(Spec("tasks", str(path)), str(path))
    records = table.pick(id=("question_id", "conversation_id", "task_id", "id", ""), code=("solution", "code"))
    tasks = []
    for number, record in enumerate(records):
        name = re.sub(r"\W+", "_", str(record["id"] if record["id"] is not None else number))
        tasks.append(Task(id=f"{path.name}/{name}", code=str(record["code"] or ""), file=f"task_{name}.py"))
    return tasks


def fingerprints(tasks: Sequence[Task]) -> Fingerprints:
    """What training must not resemble, where ``tasks`` are to decide: each module, and each function and class of it."""
    texts = [(task.id, text) for task in tasks for text in (task.code, *_definitions(task.code))]
    return Fingerprints.of(texts)


def _definitions(source: str) -> list[str]:
    try:
        tree = parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return []
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [ast.unparse(node) for node in tree.body if isinstance(node, kinds)]


def held_out(project: Path, share: float, interpreter: str | None = None) -> list[Task]:
    """The modules of ``project`` that are never trained on: chosen by their names alone, so that each round has the same."""
    modules = load([project], interpreter)
    return [task for task in modules if drawn(task.id, "held out") < share]


def modules_in(folder: Path, interpreter: str | None) -> list[Path]:
    """The modules of a package folder that have something to test."""
    found = [
        file
        for file in sorted(folder.rglob("*.py"))
        if not _SKIPPED_FOLDERS & set(file.relative_to(folder).parts[:-1])
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
        and not file.name.startswith("test_")
        and file.name not in ("conftest.py", "setup.py", "__main__.py")
        and _has_units(file, interpreter)
    ]
    if not found:
        raise UserMistake(f"{folder}: no Python file with a function or class in it")
    return found


def _has_units(file: Path, interpreter: str | None) -> bool:
    """Whether there is something to test in ``file``; of a broken one it cannot be told, and `plan` says what is wrong."""
    try:
        source = code_under_test.read_source(file)
        tree = code_under_test.parse_source(source, str(file), interpreter_for(interpreter, file).path)
    except UserMistake:
        return True
    return bool(code_under_test.find_units(tree))
