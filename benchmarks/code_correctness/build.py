"""How the rows that ship were made, from modules and tests of our own writing (`own/`), which nothing is trained on.

    python -m benchmarks.code_correctness.build --model embedded        # rows.jsonl and shots.jsonl, anew

Python rows as `generate` makes them of any project. Java and Go rows of the same kinds, but that no model wrote one: tests as
they are, tests against a changed focal file, and changed tests (``altered``). It needs a JDK, JUnit 5 and Go.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import get_args

from benchmarks.code_correctness import toolchains
from benchmarks.code_correctness.generate import (
    Draft,
    Project,
    balanced,
    by_people,
    labelled,
    rows_from,
    to_jsonl,
    written,
)
from benchmarks.code_correctness.labels import Labeller
from benchmarks.code_correctness.questions import ROWS, SHOTS
from testing_crew.backends import open_backend
from testing_crew.prompt.outcome import Language

OWN = Path(__file__).parent / "own"
_HEAD = re.compile(r"^=== (\S+)\n", re.MULTILINE)
_SIZES: dict[Language, int] = {"Python": 240, "Java": 80, "Go": 80}
_SHOTS = 4  # of each language
_CHANGES = 4  # of each test
_DRAWS = 8
_STRING_OR_COMMENT = re.compile(r'"(?:\\.|[^"\\\n])*"|`[^`]*`|\'(?:\\.|[^\'\\\n])*\'|//[^\n]*|/\*.*?\*/', re.DOTALL)
# One operator, constant or word for another: a change that any of these languages has.
_SWAPS = (
    *((r"(?<![<>=!+\-*/&|])<(?![<=>\w])", "<="), (r"<=", "<"), (r"(?<![\-=>])>(?![>=])(?=\s)", ">="), (r">=", ">")),
    *(
        (r"==", "!="),
        (r"!=", "=="),
        (r"&&", "||"),
        (r"\|\|", "&&"),
        (r"(?<=\s)\+(?=\s)", "-"),
        (r"(?<=\s)-(?=\s)", "+"),
    ),
    *((r"(?<=\s)\*(?=\s)", "+"), (r"(?<=\s)%(?=\s)", "/"), (r"\+=", "-="), (r"-=", "+="), (r"\btrue\b", "false")),
    *((r"\bfalse\b", "true"), (r"\bassertTrue\b", "assertFalse"), (r"\bassertFalse\b", "assertTrue")),
)
_MOMENT = re.compile(
    r"System\.(?:currentTimeMillis|nanoTime|getenv|getProperty|identityHashCode)|\b(?:Random|Locale\.getDefault|Thread)\b|Math\.random"
    r"|\btime\.Now|\brand\.|\bos\.|\bruntime\.|\bgo func\b"
)
_NUMBER = re.compile(r"(?<![\w.])\d+(?![\w.])")


def unpacked(language: Language) -> dict[str, str]:
    """The files of `own/` in a language, by their names."""
    parts = _HEAD.split((OWN / f"{language.lower()}.txt").read_text(encoding="utf-8"))
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def swaps(source: str) -> list[str]:
    """The text with one thing changed at a time, outside of its strings and comments."""
    covered = [match.span() for match in _STRING_OR_COMMENT.finditer(source)]

    def code(at: int) -> bool:
        return not any(begin <= at < end for begin, end in covered)

    found = []
    for pattern, other in _SWAPS:
        found += [
            source[: m.start()] + other + source[m.end() :] for m in re.finditer(pattern, source) if code(m.start())
        ]
    for m in _NUMBER.finditer(source):
        if code(m.start()):
            found.append(f"{source[: m.start()]}{int(m[0]) + 1}{source[m.end() :]}")
    return found


def cut(tests: str, language: Language) -> Iterator[str]:
    """A test file in our own layout, cut to each of its tests in turn."""
    if language == "Java":
        pattern = re.compile(r"\n(?:    /\*\*(?:(?!\*/).)*\*/\n)?    @Test\n.*?\n    }\n", re.DOTALL)
    else:
        pattern = re.compile(r"\n(?://[^\n]*\n)*func Test\w+\(t \*testing\.T\) {\n.*?\n}\n", re.DOTALL)
    spans = [match.span() for match in pattern.finditer(tests)]
    for kept in spans:
        text = tests
        for begin, end in reversed(spans):
            if (begin, end) != kept:
                text = text[:begin] + text[end:]
        yield _without_unused_imports(text) if language == "Go" else text


def _without_unused_imports(source: str) -> str:
    """Go refuses a file that imports what it does not use; our own cut is no reason for a test to fail."""

    def used(found: re.Match[str]) -> str:
        name = found[1].rpartition("/")[2]
        return found[0] if re.search(rf"\b{name}\.", source) else ""

    return re.sub(r'^\t"([\w/]+)"\n', used, source, flags=re.MULTILINE)


def foreign(language: Language) -> Iterator[Draft]:
    """Our own tests in Java or Go, each by itself."""
    files = unpacked(language)
    ending, mark = (".java", "Test.java") if language == "Java" else (".go", "_test.go")
    for name, tests in files.items():
        if not name.endswith(mark):
            continue
        focal = files[name.removesuffix(mark) + ending]
        if moment := _MOMENT.search(focal + tests):
            raise ValueError(f"{name} depends on the machine or the moment: {moment[0]}")
        for one in cut(tests, language):
            yield Draft(focal, one, "original", name, lang=language)


def varied(drafts: Sequence[Draft], count: int) -> Iterator[Draft]:
    """Each against ``count`` changed focal files, and its test with one change."""
    for draft in drafts:
        chance = random.Random(draft.digest)
        others = swaps(draft.focal)
        for source in chance.sample(others, min(count, len(others))):
            yield replace(draft, focal=source, origin="changed")
        others = swaps(draft.tests)
        for text in chance.sample(others, min(1, len(others))):
            yield replace(draft, tests=text, origin="altered")


def python(model: str, seed: int) -> tuple[list[Draft], list[Draft]]:
    """Our own tests in Python, each by itself, and a model's: as `generate` makes them of any project."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in unpacked("Python").items():
            (Path(folder) / name).write_text(text, encoding="utf-8")
        project = Project(Path(folder))
        originals = list(project.originals())
    for why, count in project.dropped.items():
        print(f"  {count:4} not taken: {why}", file=sys.stderr)
    with closing(open_backend(model)) as backend:
        made = list(written(originals, backend, _DRAWS, seed, _tell))
    return originals, made


def _tell(what: str, done: int, of: int) -> None:
    if done % 80 == 0 or done == of:
        print(f"  {what}: {done} of {of}", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> None:
    """The command in this module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--languages", nargs="*", choices=get_args(Language), default=get_args(Language))
    parser.add_argument("--out", type=Path, default=ROWS)
    parser.add_argument("--shots", type=Path, default=SHOTS)
    chosen = parser.parse_args(argv)
    for language in chosen.languages:
        if why := toolchains.missing(language):
            raise SystemExit(why)
    dropped: Counter[str] = Counter()
    tests, shots = [], []
    with closing(Labeller()) as labeller:
        for language in chosen.languages:
            size = _SIZES[language]
            if language == "Python":
                own, made = python(chosen.model, chosen.seed)
                found = by_people(own, _CHANGES, labeller, dropped, _tell, size // 2)
                found += labelled(made, labeller, dropped, _tell, size // 8)  # few of a model's tests pass
            else:
                own = list(foreign(language))
                found = by_people(own, _CHANGES // 2, labeller, dropped, _tell, size // 4, varied)
            # Shots stand on focal files of their own: what they show is not asked.
            apart = set(random.Random(chosen.seed).sample(sorted({draft.source for draft, _ in found}), 2))
            tests += balanced([p for p in found if p[0].source not in apart], _SIZES[language], chosen.seed)
            shots += balanced([p for p in found if p[0].source in apart], _SHOTS, chosen.seed)
    random.Random(chosen.seed).shuffle(tests)
    for why, count in dropped.most_common():
        print(f"  {count:4} not taken: {why}", file=sys.stderr)
    chosen.out.write_text(to_jsonl(rows_from(tests)), encoding="utf-8")
    chosen.shots.write_text(to_jsonl(rows_from(shots, len(tests) + 1)), encoding="utf-8")
    counts = Counter((draft.lang, label.label) for draft, label in tests)
    print(f"{chosen.out}: {len(tests)} rows, {len(shots)} shots; {dict(counts)}")


if __name__ == "__main__":
    main()
