"""From sources to a data set: rows read, filtered, divided, and kept on disk with a manifest of what became of them.

The same recipe over the same inputs gives the same bytes, and is built once.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from finetune.data import filters, verify
from finetune.data.filters import Lengths, Told
from finetune.data.rows import DEV_ONLY, Row, read_jsonl, to_jsonl
from finetune.data.sources import Context, Source, open_source
from testing_crew import prompt
from testing_crew.errors import UserMistake
from trace_logger.curation.fingerprints import Fingerprints


class DataRecipe(BaseModel):
    """What a data set is made of; see `sources.open_source` for the form of a source.

    ``max_tokens`` bounds prompt and completion together. ``rows`` is a subset by seed, taken after all filters.
    ``answers`` is how many rows may ask the same, each with an answer of its own. ``near_duplicates`` is a Jaccard similarity; 1
    switches that filter off. ``replay`` names sources whose train rows are mixed in until they are ``replay_share`` of the train
    set. ``prompt_version`` is that of the rows that ask for a repair; the version belongs to the model, and where None is given a
    stage keeps that of what it starts from.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    sources: tuple[str, ...] = Field(min_length=1)
    max_tokens: int = Field(2048, gt=0)
    rows: int | None = Field(None, gt=0)
    dev_share: float = Field(0.05, ge=0, lt=1)
    dev_rows: int | None = Field(None, gt=0)
    verify: bool = False
    fingerprints: str | None = None
    answers: int = Field(1, ge=1)
    near_duplicates: float = Field(0.85, gt=0, le=1)
    replay: tuple[str, ...] = ()
    replay_share: float = Field(0.0, ge=0, lt=1)
    prompt_version: int | None = Field(None, ge=1, le=prompt.PROMPT_VERSION)
    seed: int = 0

    @property
    def version(self) -> int:
        """The version of the prompt that the rows have."""
        return self.prompt_version or prompt.PROMPT_VERSION


@dataclass(frozen=True)
class DataSet:
    """The rows, and the manifest: what was read, what each filter took, licences, versions."""

    folder: Path
    train: list[Row]
    dev: list[Row]
    manifest: dict[str, Any]


def build(recipe: DataRecipe, tokenizer: Any, home: Path, tell: Told | None = None) -> DataSet:
    """The data set of ``recipe``, read from ``home/datasets`` where it was built before.

    Raises UserMistake when an input cannot be used, or no row is left; PlainError for a fingerprint file that is none.
    """
    work = _Work(recipe, Lengths(tokenizer, recipe.max_tokens), home, tell)
    opened = [work.open(text) for text in recipe.sources]
    replayed = [work.open(text) for text in recipe.replay] if recipe.replay_share else []
    folder = home / "datasets" / work.key([source for source, _ in opened + replayed], tokenizer)
    if not (folder / "manifest.json").is_file():
        train, dev, manifest = work.make(opened, replayed)
        _write(folder, train, dev, manifest)
    return DataSet(
        folder,
        read_jsonl(folder / "train.jsonl"),
        read_jsonl(folder / "dev.jsonl"),
        json.loads((folder / "manifest.json").read_text(encoding="utf-8")),
    )


@dataclass
class _Work:
    recipe: DataRecipe
    measure: Lengths
    home: Path
    tell: Told | None
    steps: list[dict[str, Any]] = field(default_factory=list)
    inputs: list[dict[str, Any]] = field(default_factory=list)
    not_scored: list[str] = field(default_factory=list)

    def open(self, text: str) -> tuple[Source, Context]:
        recipe = self.recipe
        context = Context(self.measure.fits, self.home, recipe.seed, recipe.dev_share, recipe.version)
        return open_source(text, context), context

    def key(self, sources: list[Source], tokenizer: Any) -> str:
        """What the bytes depend on, as one name."""
        marks = self.recipe.fingerprints
        depends = {
            "recipe": self.recipe.model_dump(),
            "inputs": [(s.name, s.digest) for s in sources],
            "fingerprints": hashlib.sha256(_read(marks)).hexdigest() if marks else "",
            "tokenizer": _tokenizer_hash(tokenizer),
            "prompt": self.recipe.version,
            "code": _code_hash(),
        }
        return hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()[:16]

    def make(
        self, opened: Sequence[tuple[Source, Context]], replayed: Sequence[tuple[Source, Context]]
    ) -> tuple[list[Row], list[Row], dict[str, Any]]:
        recipe = self.recipe
        rows = self.filtered(opened, recipe.rows)
        train, dev = filters.divided(rows, recipe.dev_share, recipe.dev_rows, recipe.seed)
        if not train:
            raise UserMistake("no row is left to train on: all are for dev", hint="give more rows, or lower dev_share")
        if replayed:
            train = self.mixed(train, dev, self.filtered(replayed, None))
        manifest = {
            "recipe": recipe.model_dump(),
            "prompt_version": recipe.version,
            "tokenizer": _tokenizer_hash(self.measure.tokenizer),
            "inputs": self.inputs,
            "filters": self.steps,
            "train": self.summary(train),
            "dev": self.summary(dev),
            "licences": dict(sorted(Counter(r.licence or "unknown" for r in train + dev).items())),
            "not_to_be_scored": self.not_scored,
        }
        return train, dev, manifest

    def filtered(self, opened: Sequence[tuple[Source, Context]], wanted: int | None) -> list[Row]:
        recipe = self.recipe
        rows = [row for source, context in opened for row in self.read(source, context)]
        self.none_left(rows)
        rows = self.step("same code or prompt", rows, filters.unlike(rows, recipe.answers))
        sizes = filters.lengths(rows, self.measure, self.tell)
        short = [row for row, size in zip(rows, sizes, strict=True) if size <= recipe.max_tokens]
        rows = self.step(f"longer than {recipe.max_tokens} tokens", rows, short, longest=max(sizes))
        if recipe.fingerprints:
            kept, tasks = filters.clean(rows, Fingerprints.load(recipe.fingerprints))
            rows = self.step("like a benchmark's task", rows, kept, tasks=tasks)
        if recipe.near_duplicates < 1:
            kept = filters.far_apart(rows, recipe.near_duplicates, self.tell)
            rows = self.step("near duplicates", rows, kept)
        rows = filters.shuffled(rows, recipe.seed)
        # what the generator holds out for dev is beside the number asked for
        extra = [r for r in rows if r.group.startswith(DEV_ONLY)] if wanted is not None else []
        rows = [r for r in rows if r not in extra] if extra else rows
        if recipe.verify:
            kept, tried = verify.passing(rows, wanted, self.tell)
            rows = self.step("do not pass", rows[:tried], kept)
        elif wanted is not None and len(rows) > wanted:
            rows = self.step("beyond the number asked for", rows, rows[:wanted])
        return rows + extra

    def read(self, source: Source, context: Context) -> list[Row]:
        rows = []
        for row in source.rows:
            rows.append(row)
            if self.tell and len(rows) % 100 == 0:
                self.tell(f"read {source.name}", len(rows), source.records)
        self.not_scored += context.not_scored
        self.inputs.append(
            {
                "source": source.name,
                "where": source.where,
                "digest": source.digest,
                "records": source.records,
                "rows": len(rows),
                "dropped": dict(sorted(context.dropped.items())),
            }
        )
        return rows

    def step(self, name: str, before: Sequence[Row], after: list[Row], **more: Any) -> list[Row]:
        self.steps.append({"filter": name, "before": len(before), "after": len(after), **more})
        self.none_left(after)
        return after

    def none_left(self, rows: Sequence[Row]) -> None:
        if rows:
            return
        took = [f"{why} took {n}" for each in self.inputs for why, n in each["dropped"].items()]
        took += [f"{s['filter']} took {s['before'] - s['after']}" for s in self.steps if s["before"] > s["after"]]
        last = self.steps[-1] if self.steps else {}
        hint = "look at the source's columns and form"
        if "longest" in last:
            hint = f"the longest row has {last['longest']} tokens: raise max_tokens, or choose shorter rows"
        elif last:
            hint = f"the last filter took what was left: {last['filter']}"
        raise UserMistake(f"no row is left of {sum(i['records'] for i in self.inputs)}: {', '.join(took)}", hint=hint)

    def mixed(self, train: list[Row], dev: list[Row], older: list[Row]) -> list[Row]:
        """``train`` with as many older rows as make up their share, none of them dev's."""
        recipe = self.recipe
        held = {row.group for row in dev}
        free, _ = filters.divided(older, recipe.dev_share, None, recipe.seed)
        free = [row for row in free if row.group not in held]
        wanted = round(len(train) * recipe.replay_share / (1 - recipe.replay_share))
        chosen = free[:wanted]
        self.steps.append({"filter": "replay", "before": len(free), "after": len(chosen), "wanted": wanted})
        return filters.shuffled(filters.unlike([*train, *chosen]), recipe.seed)

    def summary(self, rows: Sequence[Row]) -> dict[str, Any]:
        sizes = filters.lengths(rows, self.measure)
        return {
            "rows": len(rows),
            "tokens": sum(sizes),
            "longest": max(sizes, default=0),
            "sources": dict(sorted(Counter(r.source for r in rows).items())),
            "kinds": dict(sorted(Counter(r.kind for r in rows).items())),
        }


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UserMistake(
            f"the fingerprint file {path} cannot be read: {error.strerror}",
            hint="write one: testing-crew bench fingerprints --out FILE",
        ) from None


def _tokenizer_hash(tokenizer: Any) -> str:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    text = backend.to_str() if backend is not None else f"{tokenizer.name_or_path}/{len(tokenizer)}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _code_hash() -> str:
    """The code that makes rows: a set that another version built is not taken for this one's."""
    here = Path(__file__).parent
    files = [*sorted(here.glob("*.py")), *sorted(here.glob("s*/*.py")), *sorted(here.glob("s*/*.txt"))]
    files += sorted(Path(prompt.__file__).parent.glob("*.py"))
    return hashlib.sha256(b"\0".join(f.read_bytes() for f in files)).hexdigest()


def _write(folder: Path, train: list[Row], dev: list[Row], manifest: dict[str, Any]) -> None:
    """The folder, whole or not at all; another process that was quicker has written the same."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            sides = {"train.jsonl": to_jsonl(train), "dev.jsonl": to_jsonl(dev)}
            for name, content in sides.items():
                (part / name).write_bytes(content)
            sums = {name: hashlib.sha256(content).hexdigest() for name, content in sides.items()}
            noted = json.dumps({**manifest, "sha256": sums}, indent=2, sort_keys=True)
            (part / "manifest.json").write_text(noted, encoding="utf-8")
            if not (folder / "manifest.json").is_file():
                shutil.rmtree(folder, ignore_errors=True)
                os.rename(part, folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise UserMistake(
            f"the data set cannot be written to {folder}: {error.strerror}",
            hint="make room on the disk, or point TESTING_CREW_HOME at another folder",
        ) from None
