"""Ready folders for Ianvs, with rows of anyone's: what is asked, as Ianvs reads it; and its older configurations made new."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.ianvs.model import ROWS
from benchmarks.smart_coding.rows import Question, Row, TaskName, TestgenRow, load
from benchmarks.task import some_of
from testing_crew.backends.files import replace
from testing_crew.backends.ref import parse
from testing_crew.errors import UserMistake

BENCH = Path(__file__).parent / "smart_coding" / "smart_coding_learning_bench"
_ABOUT: dict[TaskName, str] = {
    "comment": "Comments on Python code, in English and Chinese; scored for logic, accuracy and format.",
    "issue": "Issues of users; people judge whether an answer solves it.",
    "testgen": "The next test, or the next lines, of a Python file; scored by running.",
}
_OLD = re.compile(r"^([ \t]*(?:-[ \t]+)?([\"']?))(train|test)_url(\2[ \t]*:)", re.MULTILINE)


def write_folder(
    task: TaskName,
    out: Path,
    *,
    rows: Path | None = None,
    models: Sequence[str] = ("embedded",),
    judge: str = "",
    repeats: int = 1,
    paraphrases: int = 1,
    limit: int | None = None,
    pairs: bool = False,
    force: bool = False,
) -> int:
    """Write the task's folder to ``out``: its configuration, its code, its data. Returns how many rows it asks.

    ``models`` are tags, a test case each; ``limit`` draws so many rows, evenly from languages and kinds. With ``pairs`` the data
    is read as ``test_data`` (question and answer), else as ``test_data_info``. Raises UserMistake for a folder that has something
    in it already, rows that are none, or a tag that cannot be one.
    """
    for tag in (*models, *([judge] if judge else [])):
        parse(tag)
    questions = some_of(load(task, rows), limit, 0)
    if out.is_file():
        raise UserMistake(f"{out} is a file", hint="--out names a folder")
    if out.exists() and any(out.iterdir()) and not force:
        raise UserMistake(f"{out} has something in it already", hint="--force writes over it, --out names another")
    shutil.copytree(BENCH / task, out, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "workspace"))
    for name, text in data_files(task, questions).items():
        place = out / name
        place.parent.mkdir(parents=True, exist_ok=True)
        replace(place, text)
    algorithm = out / "testalgorithms" / "gen" / f"{task}_algorithm.yaml"
    replace(algorithm, _with(algorithm.read_text(encoding="utf-8"), list(models), judge, repeats, paraphrases))
    if pairs:
        testenv = out / "testenv" / "testenv.yaml"
        text = testenv.read_text(encoding="utf-8")
        replace(
            testenv,
            text.replace(
                'test_data_info: "./data/test_data/metadata.json"', 'test_data: "./data/pairs/test_data.jsonl"'
            ),
        )
    return len(questions)


def data_files(task: TaskName, questions: Sequence[Question]) -> dict[str, str]:
    """The data in every layout that Ianvs reads, by their names in the folder: `sedna.datasources` of its own wheel.

    ``data.jsonl`` beside ``metadata.json`` has query, response and two dimensions; ``pairs`` has question and answer. There is
    nothing to train on, but one row, as Ianvs reads the file.
    """
    dims = {"level_1_dim": "single-modal", "level_2_dim": "text"}
    metadata = {
        "dataset": f"smart_coding_{task}",
        "description": _ABOUT[task],
        **dims,
        "level_3_dim": "Q&A",
        "level_4_dim": task,
    }
    asked = [
        {"query": q.prompt, "response": reference(q.row), **dims, "level_3_dim": "Q&A", "level_4_dim": q.group}
        for q in questions
    ]
    pairs = [{"question": q.prompt, "answer": reference(q.row)} for q in questions]
    return {
        "data/test_data/metadata.json": json.dumps(metadata, ensure_ascii=False, indent=2) + "\n",
        "data/test_data/data.jsonl": _lines(asked),
        "data/pairs/test_data.jsonl": _lines(pairs),
        "data/train_data/data.jsonl": _lines([{"question": "", "answer": ""}]),
        str(ROWS): _lines([q.row.model_dump(exclude_defaults=True) for q in questions]),
    }


def reference(row: Row) -> str:
    """What people wrote, as one text."""
    return row.reference.strip("\n") if isinstance(row, TestgenRow) else row.reference


def _lines(rows: Sequence[Any]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _with(text: str, models: list[str], judge: str, repeats: int, paraphrases: int) -> str:
    values = {
        "model": "".join(f"\n              - {json.dumps(model)}" for model in models),
        "judge": f"\n              - {json.dumps(judge)}",
        "repeats": f"\n              - {repeats}",
        "paraphrases": f"\n              - {paraphrases}",
    }
    for name, listed in values.items():
        found = re.search(rf"(?<=- {name}:\n            values:)(?:\n              - [^\n]*)+", text)
        assert found is not None  # in the file that ships
        text = text[: found.start()] + listed + text[found.end() :]
    return text


def convert(testenv: Path, out: Path | None = None, *, force: bool = False) -> int:
    """Write an older testenv.yaml anew: ``train_url`` and ``test_url`` became ``train_index`` and ``test_index``.

    Comments and all else stay as they are; without ``out`` the file itself is written, and the older one kept beside it as
    ``.bak``. Returns how many keys were changed. Raises UserMistake for a file that cannot be read or has none of these keys, and
    where something else would be written over.
    """
    try:
        text = testenv.read_bytes().decode("utf-8")  # bytes, so that its line ends stay
    except (OSError, UnicodeDecodeError) as error:
        raise UserMistake(f"{testenv} cannot be read: {error}", hint="name a testenv.yaml of Ianvs") from None
    made, count = _OLD.subn(r"\1\3_index\4", text)
    if not count:
        raise UserMistake(
            f"{testenv} has no key train_url or test_url on a line of its own",
            hint="it is of the present layout already, or its keys stand within braces: there they are changed by hand",
        )
    backup = testenv.with_name(testenv.name + ".bak")
    taken = out if out is not None else backup
    if taken.exists() and not force:
        raise UserMistake(f"{taken} is there already", hint="--force writes over it, --out names another")
    if out is None:
        replace(backup, text)
    replace(out or testenv, made)
    return count
