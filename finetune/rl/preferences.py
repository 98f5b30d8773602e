"""Preferences: several answers to a prompt, each run, and of two that differ in worth, the better one and the worse one."""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import itertools
import json
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from finetune.data.rows import Row, read_as, to_jsonl
from finetune.reward import Grader, Reward
from finetune.rl.asked import Asked
from testing_crew import prompt
from testing_crew.backends.base import Backend, Sampling
from testing_crew.backends.many import Answer, complete_many
from testing_crew.errors import PromptTooLong, TestingCrewError, UserMistake
from testing_crew.project.code import parts
from trace_logger.curation.curate import MEASURED
from trace_logger.curation.fingerprints import code_hash
from trace_logger.journal import Journal
from trace_logger.pairs import judged_pairs
from trace_logger.records import Record
from trace_logger.store import TraceStore

PAIRS, HELD_OUT, CHOSEN, MANIFEST = "pairs.jsonl", "held_out.jsonl", "chosen.jsonl", "manifest.json"
_TOGETHER = 16  # prompts whose answers are asked for at once; what a kill loses


class PairRecipe(BaseModel):
    """How answers are drawn and paired.

    A pair's rewards differ by ``margin`` at least; one text is at most ``longer`` times as long as the other, and in the ``most``
    pairs of a prompt none stands twice or is ``alike`` another (difflib's ratio). ``answers`` are drawn at ``temperature``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    answers: int = Field(default=8, ge=2, le=64)
    temperature: float = Field(default=0.9, gt=0, le=2)
    top_p: float = Field(default=1.0, gt=0, le=1)
    margin: float = Field(default=0.2, gt=0, le=1)
    longer: float = Field(default=2.0, ge=1)
    most: int = Field(default=2, ge=1)
    accepted: int = Field(default=4, ge=1, description="accepted answers of a prompt that are kept to imitate")
    alike: float = Field(default=0.95, gt=0, le=1)


class Pair(Record):
    """A prompt, the test file that is worth more, and the one that is worth less. A pair of a trace has no rewards."""

    id: str
    source: str
    group: str
    licence: str = ""
    prompt: str
    chosen: str
    rejected: str
    chosen_reward: float | None = None
    rejected_reward: float | None = None


class Drawn(Record):
    """The answers to one prompt, with their rewards: the texts that were run, in the order in which they were drawn."""

    texts: tuple[str, ...]
    rewards: tuple[Reward, ...]

    @property
    def known(self) -> dict[str, Reward]:
        """Each text once."""
        return dict(zip(self.texts, self.rewards, strict=True))

    @property
    def accepted(self) -> list[str]:
        """The texts that were accepted, the best first, and of those the shortest."""
        known = self.known
        return sorted((t for t, r in known.items() if r.accepted), key=lambda t: (-known[t].value, len(t)))


def draw(
    asked: Sequence[Asked],
    backend: Backend,
    recipe: PairRecipe,
    longest: int,
    seed: int,
    grader: Grader,
    kept: Path,
    tell: Callable[[str, int, int], None] | None = None,
) -> dict[str, Drawn]:
    """Have each prompt answered and the answers graded; what an earlier call did, of which ``kept`` tells, is not done again.

    Raises GenerationFailed where the model stops answering, SandboxError where nothing can be run: what was done stands.
    """
    done = Journal(kept, Drawn)
    todo = [(number, each) for number, each in enumerate(asked) if each.id not in done]
    there = len(asked) - len(todo)
    for start in range(0, len(todo), _TOGETHER):
        some = todo[start : start + _TOGETHER]
        asks = [
            (each.prompt, _sampling(recipe, longest, seed + number * recipe.answers + n))
            for number, each in some
            for n in range(recipe.answers)
        ]
        # Those that follow are written while one prompt's are run.
        with contextlib.closing(complete_many(backend, asks)) as answers:
            for _, each in some:
                texts = _texts(each, list(itertools.islice(answers, recipe.answers)))
                rewards = grader.grade([each.sample(text) for text in texts])
                done.add(each.id, Drawn(texts=tuple(texts), rewards=tuple(rewards)))
                there += 1
                if tell is not None:
                    tell("answers drawn and run", there, len(asked))
    return {each.id: done[each.id] for each in asked}


def _texts(asked: Asked, answers: Sequence[Answer]) -> list[str]:
    """The test files that the answers hold, none where the prompt is too long. Raises what kept the model from answering."""
    texts: list[str] = []
    for answer in answers:
        if isinstance(answer, PromptTooLong):
            return []
        if isinstance(answer, TestingCrewError):
            raise answer
        texts.append(asked.tests(answer.text) or answer.text)
    return texts


def _sampling(recipe: PairRecipe, longest: int, seed: int) -> Sampling:
    return Sampling(temperature=recipe.temperature, top_p=recipe.top_p, seed=seed, max_tokens=longest)


def pairs_of(asked: Asked, drawn: Drawn, recipe: PairRecipe) -> list[Pair]:
    """The pairs that one prompt's answers give: the best accepted ones, each over one of like length that is worth clearly less.

    Of those that are worth less, each kind of failure comes once before any comes twice.
    """
    known = drawn.known
    found: list[Pair] = []
    used: list[str] = []
    kinds: Counter[str] = Counter()
    for chosen in drawn.accepted:
        if len(found) == recipe.most:
            break
        if any(_alike(chosen, other, recipe.alike) for other in used):
            continue
        worse = [
            text
            for text, reward in known.items()
            if text.strip()
            and known[chosen].value - reward.value >= recipe.margin
            and max(len(text), len(chosen)) <= recipe.longer * min(len(text), len(chosen))
            and not any(_alike(text, other, recipe.alike) for other in used)
        ]
        if not worse:
            continue
        rejected = min(worse, key=lambda text: (kinds[_kind(known[text])], abs(len(text) - len(chosen))))
        kinds[_kind(known[rejected])] += 1
        used += [chosen, rejected]
        found.append(
            Pair(
                id=f"{asked.id}#{len(found)}",
                source=asked.source,
                group=asked.group,
                licence=asked.licence,
                prompt=asked.prompt,
                chosen=chosen,
                rejected=rejected,
                chosen_reward=known[chosen].value,
                rejected_reward=known[rejected].value,
            )
        )
    return found


def _alike(text: str, other: str, ratio: float) -> bool:
    return text == other or (ratio < 1 and difflib.SequenceMatcher(None, text, other, autojunk=False).ratio() > ratio)


def _kind(reward: Reward) -> str:
    return reward.refused[0] if reward.refused else reward.verdict


def pairs_of_traces(place: Path, version: int) -> Iterator[tuple[Pair, str]]:
    """What the agent mended: the accepted file over the failed one, and their code. Raises UserMistake without a store."""
    if not place.is_file():
        raise UserMistake(f"traces: there is no {place}", hint="`testing-crew write PATH` makes traces")
    with TraceStore.open(place) as store:
        for each in store.list_traces(limit=None):
            if each.command.startswith(MEASURED):
                continue
            trace = store.get_trace(each.id)
            for number, (pair, suspect) in enumerate(judged_pairs(trace)):
                if not suspect and pair.failed_test.strip() and parts(pair.code)[0]:
                    made = Pair(
                        id=f"traces/{trace.id}/{pair.unit}/{number}",
                        source="traces",
                        group=code_hash(pair.code),
                        prompt=prompt.generate(pair.code, version),
                        chosen=pair.fixed_test,
                        rejected=pair.failed_test,
                    )
                    yield made, pair.code


def figures(pairs: Sequence[Pair], drawn: Sequence[Drawn]) -> dict[str, Any]:
    """What a data set of preferences is like, for its manifest."""
    rewards = [reward for each in drawn for reward in each.rewards]
    longer = [len(pair.chosen) - len(pair.rejected) for pair in pairs]
    return {
        "pairs": len(pairs),
        "prompts_with_a_pair": len({pair.prompt for pair in pairs}),
        "answers": len(rewards),
        "accepted": round(sum(r.accepted for r in rewards) / max(1, len(rewards)), 4),
        "cheats": round(sum(r.cheats for r in rewards) / max(1, len(rewards)), 4),
        "mean_reward": round(statistics.fmean(r.value for r in rewards), 4) if rewards else None,
        "chosen_longer_by_characters": round(statistics.fmean(longer), 1) if longer else None,
        "sources": dict(Counter(pair.source for pair in pairs)),
        "licences": dict(Counter(pair.licence or "unknown" for pair in pairs)),
    }


def accepted_of(asked: Asked, drawn: Drawn, most: int) -> list[Row]:
    """The best accepted answers to one prompt, each once: rows to imitate, as ``train a --data rows:FILE`` takes them."""
    return [_row(asked, text, number) for number, text in enumerate(drawn.accepted[:most])]


def _row(of: Asked | Pair, completion: str, number: int) -> Row:
    return Row(
        id=f"{of.id}+{number}",
        source=of.source,
        kind="generate",
        group=of.group,
        prompt=of.prompt,
        completion=completion,
        licence=of.licence,
    )


def write_pairs(
    folder: Path, pairs: Sequence[Pair], accepted: Sequence[Row], held_out: Sequence[Asked], manifest: dict[str, Any]
) -> None:
    """Write the data set into ``folder``: the manifest last, which says that all is there."""
    rows: dict[tuple[str, str], Row] = {}
    for row in (*accepted, *(_row(pair, pair.chosen, 0) for pair in pairs)):  # what traces chose is in the pairs alone
        rows.setdefault((row.prompt, row.completion), row)
    (folder / MANIFEST).unlink(missing_ok=True)
    (folder / CHOSEN).write_bytes(to_jsonl(rows.values()))
    for name, lines in (
        (PAIRS, [pair.model_dump_json() for pair in pairs]),
        (HELD_OUT, [each.model_dump_json() for each in held_out]),
    ):
        (folder / name).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    digest = hashlib.sha256((folder / PAIRS).read_bytes()).hexdigest()
    (folder / MANIFEST).write_text(json.dumps({**manifest, "sha256": digest}, indent=2) + "\n", encoding="utf-8")


def read_pairs(folder: Path) -> tuple[list[Pair], list[Asked], dict[str, Any]]:
    """The pairs, the prompts held out, and the manifest. Raises UserMistake where there is no whole data set of this form."""
    made_by = "testing-crew train dpo-data --data code:src makes them"
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserMistake(f"{folder} holds no pairs: {error}", hint=made_by) from None
    pairs = read_as(Pair, folder / PAIRS, made_by)
    held = read_as(Asked, folder / HELD_OUT, made_by)
    if not pairs or not held:
        raise UserMistake(f"{folder} holds no pair" if not pairs else f"{folder} holds no prompt to judge by")
    return pairs, held, manifest


def joined(folders: Sequence[Path]) -> tuple[list[Pair], list[Asked], dict[str, Any]]:
    """What `read_pairs` gives of each folder, as one data set: held out in turns, and nothing that another one learns from.

    Raises UserMistake as that does, and where they were made for prompts of different versions.
    """
    read = [read_pairs(folder) for folder in folders]
    if len(read) == 1:
        return read[0]
    manifests = [manifest for _, _, manifest in read]
    versions = {manifest.get("prompt_version") for manifest in manifests}
    if len(versions) > 1:
        raise UserMistake(f"these pairs are of prompts of different versions: {', '.join(map(str, folders))}")
    pairs = list({(pair.prompt, pair.chosen, pair.rejected): pair for some, _, _ in read for pair in some}.values())
    learned = {name for pair in pairs for name in (pair.prompt, pair.group)}
    turns = itertools.zip_longest(*(held for _, held, _ in read))
    held = {
        each.prompt: each
        for turn in turns
        for each in turn
        if each is not None and learned.isdisjoint((each.prompt, each.group))
    }
    if not held:
        raise UserMistake(
            f"each of {', '.join(map(str, folders))} learns from what another holds out",
            hint="make one data set: testing-crew train dpo-data with several --data",
        )
    licences: Counter[str] = Counter()
    for manifest in manifests:
        licences.update(manifest.get("licences", {}))
    return (
        pairs,
        list(held.values()),
        {
            "prompt_version": versions.pop(),
            "recipe": {"sources": [name for m in manifests for name in m.get("recipe", {}).get("sources", ())]},
            "licences": dict(licences),
            "sha256": [manifest.get("sha256") for manifest in manifests],
            "parts": manifests,
        },
    )
