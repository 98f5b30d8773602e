"""What is taken out of the rows, and how the rest is divided. Everything here gives the same for the same rows and seed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from finetune.data.rows import DEV_ONLY, TRAIN_ONLY, Row, module_of
from trace_logger.curation.chance import drawn
from trace_logger.curation.fingerprints import Fingerprints, code_hash, normalised
from trace_logger.curation.near import Near

Told = Callable[[str, int, int], None]  # what is being done, how much of it is, of how much
_BATCH = 1000


class Lengths:
    """How many tokens a prompt and its completion have, the end token counted in."""

    def __init__(self, tokenizer: Any, most: int) -> None:
        self.tokenizer = tokenizer
        self.most = most

    def of(self, prompt: str, completion: str) -> int:
        """The tokens of one row."""
        return self.many([(prompt, completion)])[0]

    def many(self, pairs: Sequence[tuple[str, str]]) -> list[int]:
        """The tokens of many."""
        if not pairs:
            return []
        parts = [self.tokenizer(list(side), add_special_tokens=False)["input_ids"] for side in zip(*pairs, strict=True)]
        return [len(a) + len(b) + 1 for a, b in zip(*parts, strict=True)]

    def fits(self, prompt: str, completion: str) -> bool:
        """Whether one row fits the window."""
        return self.of(prompt, completion) <= self.most


def lengths(rows: Sequence[Row], measure: Lengths, tell: Told | None = None) -> list[int]:
    """The tokens of each row."""
    found: list[int] = []
    for start in range(0, len(rows), _BATCH):
        found += measure.many([(r.prompt, r.completion) for r in rows[start : start + _BATCH]])
        if tell:
            tell("lengths", len(found), len(rows))
    return found


def unlike(rows: Iterable[Row], answers: int = 1) -> list[Row]:
    """The rows without those that ask what ``answers`` others have asked already, or answer it in the same words.

    The same is asked for the same normalised code, or (by repairs and the like) with the same prompt.
    """
    seen: dict[str, set[str]] = {}
    kept = []
    for row in rows:
        key = (
            code_hash(module_of(row)[1]) if row.kind == "generate" else hashlib.sha256(row.prompt.encode()).hexdigest()
        )
        known = seen.setdefault(key, set())
        if len(known) < answers and row.completion not in known:
            known.add(row.completion)
            kept.append(row)
    return kept


def far_apart(rows: Sequence[Row], threshold: float, tell: Told | None = None) -> list[Row]:
    """The rows without near-duplicates of earlier ones: Jaccard of the code's token n-grams, estimated by MinHash.

    Only rows that ask for a first file are compared, and none of the generator's: its families are variations by intent.
    """
    near = Near(threshold)
    kept = []
    for number, row in enumerate(rows):
        if row.kind == "generate" and row.source != "synthetic":
            code = normalised(module_of(row)[1])
            if near.has(code):
                continue
            near.keep(code)
        kept.append(row)
        if tell and number % _BATCH == 0:
            tell("near duplicates", number, len(rows))
    return kept


def clean(rows: Iterable[Row], fingerprints: Fingerprints) -> tuple[list[Row], dict[str, int]]:
    """The rows that resemble no task, in code or tests, and how many each task took."""
    kept, taken = [], dict[str, int]()
    for row in rows:
        texts = row.shows or (module_of(row)[1], row.completion)
        task = next((found for text in texts if (found := fingerprints.resembles(text)) is not None), None)
        if task is None:
            kept.append(row)
        else:
            taken[task] = taken.get(task, 0) + 1
    return kept, dict(sorted(taken.items()))


def shuffled(rows: Iterable[Row], seed: int) -> list[Row]:
    """The rows in an order of the seed's, in which a row's place among others does not depend on further rows."""
    return sorted(rows, key=lambda row: (drawn(row.id, seed), row.id))


def divided(rows: Sequence[Row], share: float, most: int | None, seed: int) -> tuple[list[Row], list[Row]]:
    """Train and dev rows, whole groups on one side. Which side a group is on depends on its name and the seed alone.

    So another set of rows with the same seed never trains on a group that is dev here. Where chance gives dev no group, it gets
    the first in the seed's order. ``most`` caps the dev rows; those beyond it are in neither.
    """
    free = sorted(
        {r.group for r in rows if not r.group.startswith((TRAIN_ONLY, DEV_ONLY))}, key=lambda g: drawn(g, seed)
    )
    held = {group for group in free if drawn(group, seed) < share}
    settled = {r.group for r in rows if r.group.startswith(DEV_ONLY)}
    if share and not held and not settled and len(free) > 1:
        held = {free[0]}
    dev = [r for r in rows if r.group in held | settled]
    return [r for r in rows if r.group not in held | settled], dev[:most]
