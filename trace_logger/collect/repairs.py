"""Which commits may hold a lesson: a test mended after the code had changed, or code mended after a test had failed.

They are recognised by which files a commit changed, and by what its tests import. Whether there is a lesson is only known when
the tests are run before and after it, which is the caller's part.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePosixPath
from typing import Literal

from pydantic import Field

from trace_logger.collect.records import Step
from trace_logger.records import Record

VERIFIED = "verified.jsonl"  # a Journal of lessons by their candidates' ids, in the data set's folder
_WINDOW = 10  # commits after that of a test in which the code may follow
_IMPORT = re.compile(r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n#]+)|import[ \t]+([^\n#]+))", re.M)
_NOT_CODE = {"setup.py", "conftest.py", "conf.py", "noxfile.py", "fabfile.py", "tasks.py"}

Kind = Literal["fix_with_test", "test_then_fix", "test_repair"]


class Candidate(Record):
    """A test file and the file it tests, before and after a commit.

    ``kind`` is ``fix_with_test`` (a commit changed both), ``test_then_fix`` (it changed the code, and the test of
    ``tests_from``, an earlier commit, stood), or ``test_repair`` (it changed the test alone). ``before`` is its parent.
    """

    id: str
    kind: Kind
    commit: str
    before: str
    tests_from: str
    test: str
    target: str


class Lesson(Record):
    """What came of a candidate when it was run: ``found`` is ``repair``, ``fix``, both joined by ``+``, or empty with ``why``.

    ``repair``: ``failed_test`` fails against ``code``, and ``fixed_test`` passes and was accepted: ``trace`` is its trace,
    ``shown`` the code as a prompt shows it.
    ``fix``: ``bug_test`` fails against ``code_before`` by its own claims, as ``bug_log`` says, and passes against ``code``.
    ``added`` is a test that the commit brought and that passes, ``tests_before`` the file that it was added to.
    ``module`` is the code's name where it is imported, ``files`` are the other modules of its package. ``ran_by`` is a
    hash of the Python and of what was installed there.
    """

    candidate: Candidate
    found: str = ""
    why: str = ""
    tests: tuple[str, ...] = ()
    module: str = ""
    files: dict[str, str] = Field(default_factory=dict)
    code: str = ""
    code_before: str = ""
    failed_test: str = ""
    failure_log: str = ""
    fixed_test: str = ""
    shown: str = ""
    bug_test: str = ""
    bug_log: str = ""
    tests_before: str = ""
    added: str = ""
    trace: str | None = None
    reasons: tuple[str, ...] = ()
    ran_by: str = ""
    seconds: float = 0.0


def is_test(path: str) -> bool:
    """Whether pytest would look for tests in a file of this name."""
    name = PurePosixPath(path).name
    return name.endswith(".py") and (name.startswith("test_") or name.endswith("_test.py"))


def is_code(path: str) -> bool:
    """Whether a file may be what tests are written for."""
    place = PurePosixPath(path)
    inside_tests = any(
        part in ("test", "tests", "testing", "docs", "examples", "benchmarks") for part in place.parts[:-1]
    )
    return place.suffix == ".py" and not is_test(path) and place.name not in _NOT_CODE and not inside_tests


def candidates(
    steps: Iterable[Step],
    text: Callable[[str | None], str | None],
    files: Callable[[str], list[str]],
    window: int = _WINDOW,
) -> list[Candidate]:
    """What may be a lesson in the commits ``steps``, the latest first.

    ``text`` gives a file by git's id of it, ``files`` the paths of a commit's tree.
    """
    found: dict[str, Candidate] = {}
    waiting: dict[str, tuple[int, str, str]] = {}  # test → (number of the step, its commit, its text)
    every = [step for step in in_order(steps) if step.kind == "commit" and step.complete and step.parents]
    for number, step in enumerate(every):
        tests = [v for v in step.versions if is_test(v.path) and v.change != "deleted" and not v.binary]
        code = [v.path for v in step.versions if is_code(v.path) and v.change == "changed"]
        for version in tests:
            tests_text = text(version.after) or ""
            for target in targets(version.path, tests_text, code):
                _add(found, "fix_with_test", step, step.id, version.path, target)
            if not code and version.change == "changed":
                for target in targets(version.path, tests_text, [f for f in files(step.id) if is_code(f)])[:1]:
                    _add(found, "test_repair", step, step.id, version.path, target)
            if not code:
                waiting[version.path] = (number, step.id, tests_text)
        if code and not tests:
            for test, (since, commit, tests_text) in waiting.items():
                if number - since <= window:
                    for target in targets(test, tests_text, code):
                        _add(found, "test_then_fix", step, commit, test, target)
    return list(found.values())[::-1]


def in_order(steps: Iterable[Step]) -> Iterator[Step]:
    """Parents before children: in the file a step that came again stands behind those that followed it."""
    left = {step.id: step for step in steps}
    for name in list(left):
        path = [name]
        while path:
            here = left.get(path[-1])
            before = [each for each in here.parents if each in left] if here else []
            if before:
                path.append(before[0])
            else:
                path.pop()
                if here:
                    yield left.pop(here.id)


def _add(found: dict[str, Candidate], kind: Kind, step: Step, tests_from: str, test: str, target: str) -> None:
    name = f"{step.id[:12]} {test} {target}"
    found[name] = Candidate(
        id=name, kind=kind, commit=step.id, before=step.parents[0], tests_from=tests_from, test=test, target=target
    )


def targets(test: str, text: str, paths: Iterable[str]) -> list[str]:
    """Those of ``paths`` that the test file is about, the likeliest first: by what it imports, else by its name."""
    imported = _imported(text)
    stem = PurePosixPath(test).stem
    about = stem.removeprefix("test_") if stem.startswith("test_") else stem.removesuffix("_test")
    ranked = []
    every = list(paths)
    for path in every:
        name = _dotted(path)
        last = name.rpartition(".")[2]
        direct = any(name == each or name.endswith(f".{each}") for each in imported)
        beside = len(every) == 1 and any(name.startswith(f"{each}.") for each in imported)
        rank = 2 * direct + (last == about or PurePosixPath(path).stem == about) + beside
        if direct or last == about or beside:
            ranked.append((-rank, len(path), path))
    return [path for *_, path in sorted(ranked)]


def _dotted(path: str) -> str:
    parts = list(PurePosixPath(path).with_suffix("").parts)
    parts = parts[1:] if parts[:1] in (["src"], ["lib"]) and len(parts) > 1 else parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def _imported(text: str) -> set[str]:
    found: set[str] = set()
    for module, names, plain in _IMPORT.findall(text):
        if module:
            top = module.lstrip(".")
            found |= {top} if top else set()
            listed = re.findall(r"(\w+)(?:\s+as\s+\w+)?", names.strip("()"))
            found |= {f"{top}.{name}" if top else name for name in listed}
        else:
            found |= {name.split(" as ")[0].strip() for name in plain.split(",")}
    return {name for name in found if name}
