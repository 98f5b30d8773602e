"""What a model is asked while it learns from rewards: prompts, with the code that its answers are run against.

Any source of rows gives prompts, whose own answers are not looked at; ``code:PATH`` gives those of a person's own functions and
classes, for which nobody has written a test yet.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from finetune.data import filters
from finetune.data.build import DataRecipe, build
from finetune.data.filters import Lengths
from finetune.data.read import Spec
from finetune.data.rows import DEV_ONLY, TRAIN_ONLY, Row, module_of, shown_code
from finetune.reward import Grader, Reward, Sample
from testing_crew import prompt
from testing_crew.errors import UserMistake
from testing_crew.project.code import parts
from testing_crew.project.interpreter import interpreter_for
from testing_crew.project.layout import module_alone
from testing_crew.project.targets import file_target
from testing_crew.repair.mend import mend
from trace_logger.curation.chance import drawn
from trace_logger.curation.fingerprints import Fingerprints
from trace_logger.records import CodeUnderTest, Record
from trace_logger.workspace import workspace

CODE = "code"
_OF_A_FILE = 8  # functions and classes: a large module would crowd out the others


class PromptRecipe(BaseModel):
    """Which prompts: ``sources`` as stages A to C take them, and ``code:PATH``. Lengths are tokens.

    ``rows`` is how many are asked at most, ``dev_rows`` how many of those held out, which are never trained on.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    sources: tuple[str, ...] = Field(min_length=1)
    rows: int | None = Field(None, gt=0)
    dev_share: float = Field(0.1, gt=0, lt=1)
    dev_rows: int = Field(32, gt=0)
    longest_answer: int = Field(320, ge=16)
    longest_prompt: int = Field(1024, ge=64)
    fingerprints: str | None = None
    prompt_version: int | None = Field(None, ge=1, le=prompt.PROMPT_VERSION)
    seed: int = 0


class Asked(Record):
    """One prompt and the code that an answer is run against; ``files`` lie beside it, None where it stands in its project."""

    id: str
    source: str
    group: str
    licence: str = ""
    prompt: str
    code: CodeUnderTest
    files: dict[str, str] | None = None

    def tests(self, completion: str) -> str:
        """The test file that an answer holds, mended as the agent mends it; empty where it holds none."""
        return mend(completion, self.code).tests

    def sample(self, tests: str) -> Sample:
        """A test file for the code, to be graded."""
        return Sample(self.code, tests, self.files)


def graded(grader: Grader, asked: Sequence[Asked], completions: Sequence[str]) -> list[Reward]:
    """What each completion is worth for what was asked."""
    return grader.grade([each.sample(each.tests(text)) for each, text in zip(asked, completions, strict=True)])


def prompts_of(
    recipe: PromptRecipe, tokenizer: Any, tell: filters.Told | None = None
) -> tuple[list[Asked], list[Asked], dict[str, Any]]:
    """The prompts to learn by, those held out, and what became of the sources.

    Raises UserMistake for a source that cannot be used, and where no prompt is left on one of the sides.
    """
    own = [text for text in recipe.sources if Spec.parse(text).name == CODE]
    others = tuple(text for text in recipe.sources if text not in own)
    manifest: dict[str, Any] = {"recipe": recipe.model_dump(), "prompt_version": _version(recipe)}
    train: list[Asked] = []
    dev: list[Asked] = []
    if others:
        rows = build(_rows_of(recipe, others), tokenizer, workspace(), tell)
        train += _unlike(map(of_row, filter(_asks, rows.train)))
        dev += _unlike(map(of_row, filter(_asks, rows.dev)))
        manifest["rows"] = rows.manifest
    if own:
        fits = fitting(recipe, tokenizer)
        enough = math.inf if recipe.rows is None else 2 * (recipe.rows + recipe.dev_rows / recipe.dev_share)
        found: list[Asked] = []
        for text in own:
            code = _of_code(Spec.parse(text), _version(recipe), recipe.seed)
            some = (asked for asked in code if fits(asked.prompt, asked.code.shown, ""))
            found += some if enough is math.inf else itertools.islice(some, int(enough))
        by_id = {asked.id: asked for asked in found}
        sides = filters.divided([_as_row(asked) for asked in found], recipe.dev_share, None, recipe.seed)
        for side, rows_of_side in zip((train, dev), sides, strict=True):
            side += [by_id[row.id] for row in rows_of_side]
    taken: set[str] = set()
    train, dev = _named_apart(train, taken), _named_apart(dev, taken)
    train, dev = _some(train, recipe.rows, recipe.seed), _some(dev, recipe.dev_rows, recipe.seed)
    if not train or not dev:
        which = "learn by" if not train else "hold out"
        raise UserMistake(
            f"no prompt is left to {which}", hint="give more sources: --data synthetic:500, or --data code:src"
        )
    manifest |= {"prompts": len(train), "held_out": len(dev), "licences": _counts([a.licence for a in train + dev])}
    return train, dev, manifest


def _version(recipe: PromptRecipe) -> int:
    return recipe.prompt_version or prompt.PROMPT_VERSION


def _rows_of(recipe: PromptRecipe, sources: tuple[str, ...]) -> DataRecipe:
    return DataRecipe.model_validate(
        {
            "sources": sources,
            "max_tokens": recipe.longest_prompt + recipe.longest_answer,
            "dev_share": recipe.dev_share,
            "fingerprints": recipe.fingerprints,
            "prompt_version": recipe.prompt_version,
            "seed": recipe.seed,
        }
    )


def _asks(row: Row) -> bool:
    """For a first file; what a repair is shown is of another model's making."""
    return row.kind == "generate"


def of_row(row: Row) -> Asked:
    """What a row asks, with the module that its prompt shows."""
    module, source = module_of(row)
    _, unit, _ = parts(shown_code(row))
    code = CodeUnderTest(
        source=source, shown=shown_code(row), module=module, unit=unit or None, root="", interpreter=sys.executable
    )
    group = row.group if row.group not in (f"{TRAIN_ONLY}synthetic", f"{DEV_ONLY}synthetic") else row.id
    return Asked(
        id=row.id,
        source=row.source,
        group=group,
        licence=row.licence,
        prompt=row.prompt,
        code=code,
        files=dict(module_alone(module, source)),
    )


def _of_code(spec: Spec, version: int, seed: int) -> Iterator[Asked]:
    """The functions and classes of a file, or of the files below a folder but its tests, in an order of the seed's."""
    place = Path(spec.where).expanduser()
    if not spec.where or not place.exists():
        raise UserMistake(f"code: there is no {spec.where or 'path'}", hint="code:src, or code:src/prices.py")
    files = [place] if place.is_file() else [f for f in place.rglob("*.py") if not _is_test(f.relative_to(place))]
    count = 0
    for file in sorted(files, key=lambda file: drawn(str(file.relative_to(place.parent)), seed)):
        try:
            units = file_target(file, interpreter_for(None, file)).units
        except UserMistake:  # it does not parse, or holds nothing to write tests for
            continue
        for unit in sorted(units, key=lambda unit: drawn(f"{file}::{unit.unit}", seed))[:_OF_A_FILE]:
            count += 1
            yield Asked(
                id=f"code/{file}::{unit.unit}",
                source=CODE,
                group=str(file),
                licence=spec.options.get("licence", "own"),
                prompt=prompt.generate(unit.shown, version),
                code=unit,
            )
    if not count:
        raise UserMistake(f"code: {place} holds no function or class that tests could be written for")


def _is_test(file: Path) -> bool:
    return file.name.startswith(("test", "conftest", "setup")) or any("test" in part for part in file.parts[:-1])


def fitting(recipe: PromptRecipe, tokenizer: Any) -> Callable[[str, str, str], bool]:
    """Whether a prompt fits with an answer, and the code that it shows is not like what is scored."""
    marks = Fingerprints.load(recipe.fingerprints) if recipe.fingerprints else None
    alone, both = (
        Lengths(tokenizer, most) for most in (recipe.longest_prompt, recipe.longest_prompt + recipe.longest_answer)
    )
    return lambda text, shown, answer: (
        (both.fits(text, answer) if answer else alone.fits(text, ""))
        and not (marks and marks.resembles(parts(shown)[2]))
    )


def _as_row(asked: Asked) -> Row:
    return Row(id=asked.id, source=CODE, kind="generate", group=asked.group, prompt=asked.prompt, completion="")


def _named_apart(found: Sequence[Asked], taken: set[str]) -> list[Asked]:
    """Each under an id of its own: rewards are given by it, and rows of two files may have the same."""
    apart = []
    for asked in found:
        if asked.id in taken:
            asked = asked.model_copy(
                update={"id": f"{asked.id}/{hashlib.sha256(asked.prompt.encode()).hexdigest()[:12]}"}
            )
        taken.add(asked.id)
        apart.append(asked)
    return apart


def _unlike(found: Iterator[Asked]) -> list[Asked]:
    """Each prompt once."""
    return list({asked.prompt: asked for asked in found}.values())


def _some(found: list[Asked], most: int | None, seed: int) -> list[Asked]:
    """At most so many, evenly from all sources, the same for the same seed."""
    if most is None or len(found) <= most:
        return found
    decks: dict[str, list[Asked]] = {}
    for asked in sorted(found, key=lambda asked: drawn(asked.id, seed)):
        decks.setdefault(asked.source, []).append(asked)
    chosen: list[Asked] = []
    while len(chosen) < most:
        for deck in decks.values():
            if deck and len(chosen) < most:
                chosen.append(deck.pop(0))
    return chosen


def _counts(values: Sequence[str]) -> dict[str, int]:
    return {value or "unknown": values.count(value) for value in sorted(set(values))}
