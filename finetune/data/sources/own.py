"""Rows of the user's own: what the agent did and kept, what the generator makes, and rows that were written before."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from finetune.data.read import Spec
from finetune.data.rows import DEV_ONLY, TRAIN_ONLY, Row, read_jsonl
from finetune.data.sources import Context, Source, digest_of
from testing_crew import prompt
from testing_crew.errors import UserMistake
from trace_logger.curation.curate import DEV, MADE_BY_MEASURING, MEASURED, TRAIN
from trace_logger.curation.fingerprints import code_hash
from trace_logger.jsonl import read_pairs
from trace_logger.pairs import judged_pairs, unit_name
from trace_logger.records import RepairPair, Trace
from trace_logger.store import TraceStore

PAIRS_PER_UNIT = 4  # one's own easy traces, piled up, make a model worse
_HINT = "`testing-crew write PATH` makes traces; `traces:FILE.jsonl` reads pairs that were exported"


def traces(spec: Spec, context: Context) -> Source:
    """``traces`` (the workspace's store), ``traces:STORE.db``, ``traces:FILE.jsonl`` (exported), ``traces:FOLDER`` (curated)."""
    place = Path(spec.where).expanduser() if spec.where else context.home / "traces.db"
    if place.is_dir():
        return _curated(place, context)
    if not place.is_file():
        raise UserMistake(f"traces: there is no {place}", hint=_HINT)
    made: list[Row] = []
    used: Counter[tuple[str, str]] = Counter()
    found = _of_pairs(place, context) if place.suffix != ".db" else _of_store(place, context)
    for row in found:
        used[row.kind, row.group] += 1
        if used[row.kind, row.group] > (1 if row.kind == "generate" else PAIRS_PER_UNIT):
            context.drop("beyond the cap for one unit")
        else:
            made.append(row)
    if not made:
        raise UserMistake(f"traces: {place} holds no pair of a failed and a mended file", hint=_HINT)
    return Source("traces", str(place), len(made) + context.dropped.total(), digest_of(made), iter(made))


def _curated(place: Path, context: Context) -> Source:
    """What curation left, divided as it is there. A pair teaches the repair, and the file that it ended in."""
    made: list[Row] = []
    first: set[str] = set()
    for name, side in ((TRAIN, TRAIN_ONLY), (DEV, DEV_ONLY)):
        for number, pair in enumerate(read_pairs(place / name)):
            row = _repair(f"traces/{side}{number}", pair, context)
            repair = row.model_copy(update={"group": f"{side}{row.group}"})
            made.append(repair)
            if row.group not in first:
                first.add(row.group)
                asked = {
                    "id": f"{repair.id}/first",
                    "kind": "generate",
                    "prompt": prompt.generate(pair.code, context.prompt_version),
                }
                made.append(repair.model_copy(update=asked))
    return Source("traces", str(place), len(made), digest_of(made), iter(made))


def _of_pairs(place: Path, context: Context) -> Iterator[Row]:
    for number, pair in enumerate(read_pairs(place)):
        yield _repair(f"traces/{place.stem}/{number}", pair, context)


def _of_store(place: Path, context: Context) -> Iterator[Row]:
    with TraceStore.open(place) as store:
        for each in reversed(store.list_traces(limit=None)):
            if each.command.startswith(MEASURED):
                context.drop(MADE_BY_MEASURING)
                continue
            trace = store.get_trace(each.id)
            for number, (pair, suspect) in enumerate(judged_pairs(trace)):
                if suspect:
                    context.drop("contradicts an example of the docstring")
                else:
                    yield _repair(f"traces/{trace.id}/{pair.unit}/{number}", pair, context)
            yield from _first_files(trace, context)


def _first_files(trace: Trace, context: Context) -> Iterator[Row]:
    shown = {unit_name(code): code.shown for code in trace.units}
    for attempt in trace.attempts:
        if attempt.kind == "generate" and attempt.accepted and not attempt.suspects:
            yield Row(
                id=f"traces/{trace.id}/{attempt.unit}/first",
                source="traces",
                kind="generate",
                group=code_hash(shown[attempt.unit]),
                prompt=prompt.generate(shown[attempt.unit], context.prompt_version),
                completion=attempt.tests,
            )


def _repair(key: str, pair: RepairPair, context: Context) -> Row:
    return Row(
        id=key,
        source="traces",
        kind="repair",
        group=code_hash(pair.code),
        prompt=prompt.repair(pair.code, pair.failed_test, pair.failure_log, context.prompt_version),
        completion=pair.fixed_test,
    )


def synthetic(spec: Spec, context: Context) -> Source:
    """``synthetic:COUNT``: the generator's rows; its held-out families give the dev rows, beside the count."""
    try:
        count = int(spec.where)
    except ValueError:
        count = 0
    if count < 1:
        raise UserMistake(f"synthetic: {spec.where!r} is no number of rows", hint="for example synthetic:2000")
    from finetune.data.synthetic import stream

    dev = max(1, round(count * context.dev_share)) if context.dev_share else 0

    def rows() -> Iterator[Row]:
        for split, group, number in (("train", TRAIN_ONLY, count), ("dev", DEV_ONLY, dev)):
            made = stream(context.seed, split=split, prompt_version=context.prompt_version)
            for n, example in enumerate(itertools.islice(made, number)):
                yield Row(
                    id=f"synthetic/{split}/{context.seed}/{n}",
                    source="synthetic",
                    kind=example.kind.split("/")[0],
                    group=f"{group}synthetic",
                    prompt=example.prompt,
                    completion=example.completion,
                    licence="Apache-2.0",
                )

    return Source(
        "synthetic", spec.where, count + dev, f"{context.seed}/{count}/{dev}/{context.prompt_version}", rows()
    )


def rows(spec: Spec, context: Context) -> Source:
    """``rows:FILE.jsonl``: rows as they are."""
    found = read_jsonl(Path(spec.where).expanduser())
    if not found:
        raise UserMistake(f"rows: {spec.where} is empty: it holds no row")
    return Source("rows", spec.where, len(found), digest_of(found), iter(found))
