"""New rows: tests of anyone's Python project and tests that a model wrote, labelled by running them.

Three origins. ``original``: a test as the project has it. ``changed``: such a test against a focal file with one small change,
which it may notice or not. ``generated``: a test that a model wrote. Each test file is cut to one test, and the two files run by
themselves, without the project; so whatever decides the label stands in the question.
"""

from __future__ import annotations

import hashlib
import os
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.code_correctness.cutting import imported, one_test_each, tags, takes_from_elsewhere, why_not
from benchmarks.code_correctness.labels import Labelled, Labeller, module_of
from benchmarks.code_correctness.prompts import PROMPTS
from benchmarks.sources.functions import changes
from testing_crew import prompt
from testing_crew.backends.base import Backend, Sampling
from testing_crew.backends.many import complete_many
from testing_crew.errors import PromptTooLong, UserMistake
from testing_crew.project.code import find_units, parse_source, render
from testing_crew.prompt.outcome import Inputs, Language, Meta, OutcomeRow
from testing_crew.repair.mend import mend
from trace_logger.records import CodeUnderTest

_SKIPPED = {"venv", "env", "site-packages", "node_modules", "build", "dist", "__pycache__"}
GENERATED = "generated"
_WARM = 0.8  # the temperature of what a model writes
_LONGEST = 400  # lines of a focal file
_BATCH = 16
_ALL = 10**6
Tell = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Draft:
    """Two files that may become a row; ``source`` says of what."""

    focal: str
    tests: str
    origin: str
    source: str
    module: str = ""
    lang: Language = "Python"

    @property
    def row(self) -> OutcomeRow:
        """It as a row without an answer."""
        inputs = Inputs(focal_code=self.focal, test_code=self.tests, lang=self.lang)
        return OutcomeRow(inputs=inputs, meta=Meta(id=0), outputs=None)

    @property
    def digest(self) -> str:
        """A hash of both files."""
        return hashlib.sha256(f"{self.focal}\0{self.tests}".encode("utf-8", "replace")).hexdigest()


@dataclass
class Project:
    """The Python files of a folder, and why which of its tests gave no row."""

    folder: Path
    dropped: Counter[str] = field(default_factory=Counter)

    def originals(self) -> Iterator[Draft]:
        """Each test of the project that stands on one file of it alone. Raises UserMistake for a folder that holds none."""
        if not self.folder.is_dir():
            raise UserMistake(f"{self.folder} is no folder", hint="name the top of a project, with its tests in it")
        files = [file for file in self._python() if file.name.startswith("test_") or file.stem.endswith("_test")]
        if not files:
            raise UserMistake(f"{self.folder} holds no test file", hint="they are named test_*.py or *_test.py")
        for file in files:
            yield from self._of(file)

    def _python(self) -> list[Path]:
        def hidden(path: Path) -> bool:
            return any(part.startswith(".") or part in _SKIPPED for part in path.relative_to(self.folder).parts[:-1])

        return sorted(path for path in self.folder.rglob("*.py") if not hidden(path))

    def _own(self, beside: Path) -> Callable[[str], Path | None]:
        roots = (self.folder, self.folder / "src", beside)

        def find(module: str) -> Path | None:
            path = module.replace(".", "/")
            places = (root / each for root in roots for each in (f"{path}.py", f"{path}/__init__.py"))
            return next((place.resolve() for place in places if place.is_file()), None)

        return find

    def _of(self, file: Path) -> Iterator[Draft]:
        own = self._own(file.parent)
        tests = _text(file)
        if tests is None:
            self.dropped["a file that is no UTF-8"] += 1
            return
        found = imported(tests, own)
        if len(set(found.values())) != 1:
            self.dropped["the test imports no file of the project, or several"] += 1
            return
        module, focal = next(iter(found.items()))
        source = _text(focal)
        if source is None or len(source.splitlines()) > _LONGEST or not source.strip():
            self.dropped[f"the focal file is empty, or has more than {_LONGEST} lines"] += 1
            return
        if why := why_not(source, own):
            self.dropped[f"focal file: {why}"] += 1
            return
        cuts = list(one_test_each(tests))
        if not cuts:
            self.dropped["the file holds no test that can be cut out"] += 1
        for cut in cuts:
            draft = Draft(source, cut, "original", str(file.relative_to(self.folder)), module)
            if why := why_not(cut, own, focal):
                self.dropped[f"test: {why}"] += 1
            elif takes_from_elsewhere(cut):
                self.dropped["test: it takes fixtures from elsewhere"] += 1
            elif module_of(draft.row) != module:
                self.dropped["test: its import does not tell the focal file's name"] += 1
            else:
                yield draft


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError):
        return None


def changed(drafts: Sequence[Draft], count: int) -> Iterator[Draft]:
    """Each test against ``count`` small changes of its focal file, drawn anew for each test."""
    for draft in drafts:
        made = changes(draft.focal, _ALL)
        random.Random(draft.digest).shuffle(made)
        for source in made[:count]:
            yield Draft(source, draft.tests, "changed", draft.source, draft.module, draft.lang)


def written(drafts: Sequence[Draft], backend: Backend, draws: int, seed: int, tell: Tell) -> Iterator[Draft]:
    """What a model writes for each function and class of the focal files, ``draws`` times, cut to one test each."""
    focals = {draft.focal: draft for draft in drafts}
    asks: list[tuple[str, Sampling]] = []
    units: list[tuple[Draft, CodeUnderTest]] = []
    for source, draft in focals.items():
        for unit in find_units(parse_source(source, draft.source, sys.executable)):
            shown = render(source, draft.module, unit.name)
            code = CodeUnderTest(
                source=source, shown=shown, module=draft.module, unit=unit.name, root="", interpreter=sys.executable
            )
            for n in range(draws):
                asks.append(
                    (prompt.generate(shown, backend.prompt_version), Sampling(temperature=_WARM, seed=seed + n))
                )
                units.append((draft, code))
    for number, answer in enumerate(complete_many(backend, asks)):
        tell("the model writes", number + 1, len(asks))
        draft, code = units[number]
        if isinstance(answer, PromptTooLong):
            continue
        if isinstance(answer, Exception):
            raise answer
        tests = mend(answer.text, code).tests
        for cut in one_test_each(tests):
            focal = Path(draft.source)
            if not why_not(cut, {code.module: focal}.get, focal):
                yield Draft(draft.focal, cut, GENERATED, draft.source, draft.module)


def labelled(
    drafts: Iterable[Draft], labeller: Labeller, dropped: Counter[str], tell: Tell, enough: int | None = None
) -> list[tuple[Draft, Labelled]]:
    """The drafts whose runs agree, each once, with what came of them; no more are run when each answer has ``enough``."""
    unlike = [draft for _, draft in sorted({draft.digest: draft for draft in drafts}.items())]
    kept: list[tuple[Draft, Labelled]] = []
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for start in range(0, len(unlike), _BATCH):
            batch = unlike[start : start + _BATCH]
            for draft, label in zip(batch, threads.map(lambda each: labeller.confirmed(each.row), batch), strict=True):
                if label.label is None:
                    dropped[f"run: {label.why}"] += 1
                else:
                    kept.append((draft, label))
            tell("run", start + len(batch), len(unlike))
            counts = Counter(label.label for _, label in kept)
            if enough is not None and min(counts["success"], counts["failed"]) >= enough:
                break
    return kept


def by_people(
    originals: Sequence[Draft],
    changes: int,
    labeller: Labeller,
    dropped: Counter[str],
    tell: Tell,
    enough: int | None = None,
    vary: Callable[[Sequence[Draft], int], Iterator[Draft]] = changed,
) -> list[tuple[Draft, Labelled]]:
    """Tests of people, and what ``vary`` makes of them, ``changes`` of each, with their labels.

    A test that does not pass by itself may want more of its project than its two files, and gives nothing.
    """
    found = labelled(originals, labeller, dropped, tell)
    right = [(draft, label) for draft, label in found if label.label == "success"]
    if len(right) < len(found):
        dropped["run: it fails by itself, and may want more of the project"] += len(found) - len(right)
    others = labelled(vary([draft for draft, _ in right], changes), labeller, dropped, tell, enough)
    return right + others


def balanced(found: Sequence[tuple[Draft, Labelled]], limit: int | None, seed: int) -> list[tuple[Draft, Labelled]]:
    """As many of each answer, of each language by itself, and of tests by people and by a model: neither gives the answer away.

    Drawn evenly from origins and focal files; at most ``limit`` in all, up to half of them by a model.
    """
    chance = random.Random(seed)
    languages = sorted({draft.lang for draft, _ in found})
    kept = []
    for language in languages:
        sides = {
            (by_model, label): _spread(
                [
                    (draft, each)
                    for draft, each in found
                    if draft.lang == language and each.label == label and (draft.origin == GENERATED) == by_model
                ],
                chance,
            )
            for by_model in (False, True)
            for label in ("success", "failed")
        }
        people, model = (min(len(sides[by, "success"]), len(sides[by, "failed"])) for by in (False, True))
        most = people + model if limit is None else max(1, limit // (2 * len(languages)))
        model = min(model, max(most // 2, most - people))
        sizes = {False: min(people, most - model), True: model}
        kept += [pair for (by_model, _), side in sides.items() for pair in side[: sizes[by_model]]]
    chance.shuffle(kept)
    return kept


def _spread(pairs: Sequence[tuple[Draft, Labelled]], chance: random.Random) -> list[tuple[Draft, Labelled]]:
    """In such an order that every beginning has each origin, and of each every focal file, as evenly as there are."""
    groups: dict[str, dict[str, list[tuple[Draft, Labelled]]]] = defaultdict(lambda: defaultdict(list))
    for pair in chance.sample(list(pairs), len(pairs)):
        groups[pair[0].origin][pair[0].source].append(pair)
    ordered = [_in_turn(list(group.values())) for group in groups.values()]
    return _in_turn(ordered)


def _in_turn(decks: Sequence[list[tuple[Draft, Labelled]]]) -> list[tuple[Draft, Labelled]]:
    return [deck[n] for n in range(max(map(len, decks), default=0)) for deck in decks if n < len(deck)]


def rows_from(pairs: Iterable[tuple[Draft, Labelled]], first: int = 1) -> list[OutcomeRow]:
    """Rows with a prompt of ours each, in turn, and numbers from ``first`` on; their meta says how they were made."""
    rows = []
    for number, (draft, label) in enumerate(pairs, first):
        said = {"origin": draft.origin, "source": draft.source, "how": label.how, **tags(draft.focal, draft.tests)}
        if draft.lang != "Python":
            said = {key: value for key, value in said.items() if key not in ("parses", "imports")}
        rows.append(
            OutcomeRow(
                instruction=PROMPTS[number % len(PROMPTS)],
                inputs=Inputs(focal_code=draft.focal, test_code=draft.tests, lang=draft.lang),
                outputs=label.label,
                meta=Meta(id=number, **said),
            )
        )
    return rows


def to_jsonl(rows: Iterable[OutcomeRow]) -> str:
    """The rows, one JSON object a line."""
    return "".join(row.model_dump_json() + "\n" for row in rows)
