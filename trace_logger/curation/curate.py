"""From the store to training data: each pair is run again, and only what still teaches something is kept.

The same store, read by the same verifier, gives the same bytes. What is dropped is counted by its reason in the manifest, and
named by trace and unit in ``dropped.jsonl``.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from trace_logger.curation.chance import drawn
from trace_logger.curation.fingerprints import Fingerprints, code_hash, normalised
from trace_logger.curation.near import Near
from trace_logger.errors import NothingLeft, PairFileError
from trace_logger.journal import Journal
from trace_logger.jsonl import export_pairs, replacing
from trace_logger.pairs import judged_pairs, unit_name
from trace_logger.records import CodeUnderTest, Record, RepairPair, Verified, Verifier
from trace_logger.store import TraceStore

TRAIN, DEV, MANIFEST, DROPPED = "train.jsonl", "dev.jsonl", "manifest.json", "dropped.jsonl"
MADE_BY_MEASURING = "made while a model was measured"
MEASURED = ("benchmark ", "gate ")  # how the commands begin that only measure a model
_MEMORY = ".verified.jsonl"

Told = Callable[[str, int, int], None]  # what is being done, how much of it is, of how much


class Rules(Record):
    """What is kept. ``near`` is a Jaccard similarity, ``dev_share`` the share of modules that are held back for dev."""

    per_unit: int = 4  # one's own easy traces, piled up, make a model worse
    near: float = 0.85
    dev_share: float = 0.15
    seed: int = 0


@dataclass(frozen=True)
class Candidate:
    """A pair with the code that it is about; ``measured``: it came of a benchmark, ``suspect``: the code may be wrong."""

    pair: RepairPair
    code: CodeUnderTest
    project: str
    measured: bool = False
    suspect: bool = False

    @property
    def module(self) -> str:
        """The module that it belongs to, by its project and its name: what is divided between train and dev."""
        return f"{self.project}:{self.code.module}"

    @cached_property
    def text(self) -> str:
        """What two pairs are compared by: code and both files, normalised."""
        return "\n".join(map(normalised, (self.pair.code, self.pair.failed_test, self.pair.fixed_test)))


@dataclass
class Curated:
    """What became of the candidates."""

    train: list[RepairPair] = field(default_factory=list)
    dev: list[RepairPair] = field(default_factory=list)
    dropped: list[dict[str, str]] = field(default_factory=list)
    manifest: dict[str, Any] = field(default_factory=dict)


def candidates(store: TraceStore, project: str | None = None) -> Iterator[Candidate]:
    """Every pair of the store, oldest first; ``project`` as in `TraceStore.list_traces`."""
    for each in reversed(store.list_traces(project, limit=None)):
        trace = store.get_trace(each.id)
        codes = {unit_name(code): code for code in trace.units}
        measured = each.command.startswith(MEASURED)
        for pair, suspect in judged_pairs(trace):
            yield Candidate(pair, codes[pair.unit], trace.project, measured, suspect)


def curate(
    found: Iterable[Candidate],
    verifier: Verifier,
    rules: Rules | None = None,
    *,
    tasks: Fingerprints | None = None,
    held_out: Fingerprints | None = None,
    held_files: frozenset[str] = frozenset(),
    memory: Path | None = None,
    tell: Told | None = None,
) -> Curated:
    """Judge every candidate, the cheap tests first, and divide what is kept into train and dev by module.

    ``tasks`` are what benchmarks score, ``held_out`` what a gate will decide on, ``held_files`` where that stands. What the
    verifier said is kept in the file ``memory``, if given, so that a curation that was stopped goes on. Raises `NothingLeft`
    where no pair is kept.
    """
    rules = rules or Rules()
    every = list(found)
    sieve = _Sieve(rules, _Remembering(verifier, memory), tasks, held_out, held_files)
    result = Curated()
    kept: list[Candidate] = []
    why: Counter[str] = Counter()
    for number, each in enumerate(every):
        reason = sieve.against(each)
        if reason is None:
            kept.append(each)
        else:
            why[reason] += 1
            result.dropped.append({"trace_id": each.pair.trace_id, "unit": each.pair.unit, "reason": reason})
        if tell:
            tell("curated", number + 1, len(every))
    if not kept:
        if memory:
            memory.unlink(missing_ok=True)  # the next time something else may stand there
        raise NothingLeft(_none_left(len(every), why), hint="`testing-crew write PATH` makes more pairs")
    modules = len({each.module for each in kept})
    # of one module the units are divided
    groups = [each.module if modules > 1 else code_hash(each.pair.code) for each in kept]
    dev_groups = _dev_groups(set(groups), rules)
    for each, group in zip(kept, groups, strict=True):
        (result.dev if group in dev_groups else result.train).append(each.pair)
    result.manifest = {
        "version": 1,
        "rules": rules.model_dump(exclude={"version"}),
        "pairs": len(every),
        "kept": len(kept),
        "modules": modules,
        "dropped": dict(sorted(why.items())),
        "train": len(result.train),
        "dev": len(result.dev),
    }
    return result


def write(curated: Curated, folder: Path) -> dict[str, Any]:
    """Write train, dev, what was dropped and the manifest (last) into ``folder``; returns it. Raises `PairFileError`."""
    must_be_folder(folder)
    for name, pairs in ((TRAIN, curated.train), (DEV, curated.dev)):
        export_pairs(pairs, folder / name, force=True)
    _put(folder / DROPPED, "".join(json.dumps(row) + "\n" for row in curated.dropped))
    sums = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in (TRAIN, DEV)}
    manifest = {**curated.manifest, "sha256": sums}
    _put(folder / MANIFEST, json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    (folder / _MEMORY).unlink(missing_ok=True)
    return manifest


def must_be_folder(folder: Path) -> None:
    """Make ``folder``, if need be. Raises `PairFileError` where it is none, or cannot be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise PairFileError(
            f"curating: {folder} is no folder that can be written to ({error.strerror}).",
            hint="Name another: --out FOLDER.",
        ) from None


def memory_of(folder: Path) -> Path:
    """Where a curation into ``folder`` notes what was verified, until it is written."""
    return folder / _MEMORY


def _put(file: Path, text: str) -> None:
    with replacing(file, force=True) as descriptor, os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(text)


def _none_left(count: int, why: Counter[str]) -> str:
    if not count:
        return "there is no pair of a failed and a mended file"
    return f"no pair is left of {count}: {', '.join(f'{reason} ({n})' for reason, n in why.most_common())}"


def _dev_groups(groups: set[str], rules: Rules) -> set[str]:
    """Which groups are for dev: by their name and the seed alone; one where chance gives none, if there are others."""
    order = sorted(groups, key=lambda group: drawn(group, rules.seed))
    held = {group for group in order if drawn(group, rules.seed) < rules.dev_share}
    if rules.dev_share and len(order) > 1 and not held:
        held = {order[0]}
    return held if len(held) < len(order) else held - {order[-1]}


class _Sieve:
    """Says of one candidate after the other why it is dropped, in view of those kept before."""

    def __init__(
        self,
        rules: Rules,
        verifier: _Remembering,
        tasks: Fingerprints | None,
        held_out: Fingerprints | None,
        held_files: frozenset[str],
    ) -> None:
        self.rules = rules
        self._verifier = verifier
        self._against = [("like a benchmark's task", tasks), ("held out for the gate", held_out)]
        self._held_files = held_files
        self._near = Near(rules.near)
        self._same: set[str] = set()
        self._of_unit: Counter[str] = Counter()

    def against(self, each: Candidate) -> str | None:
        """The reason why ``each`` is dropped, None where it is kept."""
        reason = self._by_its_text(each) or self._by_running(each)
        if reason is None:
            self._same.add(each.text)
            self._near.keep(each.text)
            self._of_unit[code_hash(each.pair.code)] += 1
        return reason

    def _by_its_text(self, each: Candidate) -> str | None:
        if each.measured:
            return MADE_BY_MEASURING
        if each.suspect:
            return "contradicts an example of the docstring"
        if each.code.path in self._held_files:
            return "held out for the gate"
        for reason, marks in self._against:
            if marks and (marks.resembles(each.pair.code) or marks.resembles(each.pair.fixed_test)):
                return reason
        if each.text in self._same:
            return "duplicate"
        if self._of_unit[code_hash(each.pair.code)] >= self.rules.per_unit:
            return "beyond the cap for one unit"
        if self._near.has(each.text):
            return "near duplicate"
        if has_secret(f"{each.pair.code}\n{each.pair.failed_test}\n{each.pair.fixed_test}\n{each.pair.failure_log}"):
            return "holds what looks like a secret"
        return None

    def _by_running(self, each: Candidate) -> str | None:
        if self._verifier.verify(each.code, each.pair.failed_test).passed:
            return "the failed file passes now"
        fixed = self._verifier.verify(each.code, each.pair.fixed_test, each.pair.failed_test)
        if fixed.suspects:
            return "contradicts an example of the docstring"
        if not fixed.accepted:
            code = (fixed.reasons or ("not_passed",))[0].partition(":")[0]
            return f"the fixed file is not accepted: {code}"
        return None


class _Remembering:
    """A verifier that notes what it said, and does not run again what it knows."""

    def __init__(self, verifier: Verifier, memory: Path | None) -> None:
        self._verifier = verifier
        self._known = Journal(memory, Verified)

    def verify(self, code: CodeUnderTest, tests: str, failed: str | None = None) -> Verified:
        parts = [code.source, code.module, code.path or "", code.unit or "", tests, failed]
        key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
        if key in self._known:
            return self._known[key]
        said = self._verifier.verify(code, tests, failed)
        if "not_run" not in said.reasons:  # for want of an interpreter, say, which may be there the next time
            self._known.add(key, said)
        return said


def has_secret(text: str) -> bool:
    """Whether detect-secrets, with its own default plugins and filters, finds a secret in the Python file ``text``."""
    from detect_secrets.core.secrets_collection import SecretsCollection
    from detect_secrets.settings import default_settings

    found = SecretsCollection()
    with tempfile.TemporaryDirectory() as folder, default_settings():
        file = Path(folder, "pair.py")  # it reads files only, and by their ending
        file.write_text(text, encoding="utf-8", errors="backslashreplace")
        found.scan_file(str(file))
    return bool(found)
