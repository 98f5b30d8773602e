"""A stage that learns from rewards, from its recipe to the adapter it leaves; its trainer is in `dpo`, `online` or `ppo`."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from finetune.adapters import Adapter, adapters, lineage, must_fit, noted, weights_of
from finetune.bases import Base, find_base, load_tokenizer
from finetune.reward import Grader
from finetune.rl.asked import Asked, fitting, prompts_of
from finetune.rl.held_out import HeldOut
from finetune.rl.preferences import Pair, accepted_of, draw, figures, joined, pairs_of, pairs_of_traces, write_pairs
from finetune.rl.recipe import PolicyRecipe
from finetune.runs import InFolder, Tell, reading, version_of
from finetune.train import leave, save, told
from testing_crew.backends import open_backend, trained
from testing_crew.backends.base import ModelConfig
from testing_crew.errors import UserMistake
from testing_crew.runner.plan import Limits
from testing_crew.runner.run import Runner
from trace_logger.curation.fingerprints import code_hash
from trace_logger.workspace import workspace

LIMITS = Limits(wall_seconds=5, cpu_seconds=5)  # of one run of an answer; 1 in 50 hangs, and a step waits for it
REWARDS = "rewards.jsonl"


@dataclass(frozen=True)
class PolicyRun(InFolder):
    """A stage that is ready: ``pairs`` for DPO, else ``asked``; ``held_out`` is what it is judged by."""

    recipe: PolicyRecipe
    asked: tuple[Asked, ...]
    pairs: tuple[Pair, ...]
    held_out: tuple[Asked, ...]
    manifest: dict[str, Any]
    minutes: float | None = None
    cluster: str | None = None


class PolicyPlan(BaseModel):
    """What a stage is going to do: counts of prompts or pairs, of those held out, and of steps."""

    learns_by: int
    held_out: int
    answers_a_step: int
    steps: int
    evaluations: int


def pairs_folder(named: str) -> Path:
    """The folder of preferences that ``named`` names: a path, or one of the workspace's."""
    place = Path(named).expanduser()
    return place if place.exists() else workspace() / "datasets" / named


def newest_pairs() -> Path:
    """The folder of the preferences that the workspace had last. Raises UserMistake where there are none."""
    found = sorted(workspace().glob("datasets/pairs-*/manifest.json"), key=lambda file: file.stat().st_mtime)
    if not found:
        raise UserMistake(
            "there are no preferences to learn from", hint="testing-crew train dpo-data --data code:src makes them"
        )
    return found[-1].parent


def open_policy_run(
    recipe: PolicyRecipe,
    base_name: str,
    start: str | None = None,
    *,
    pairs: Sequence[str] = (),
    minutes: float | None = None,
    resume: bool = False,
    fresh: bool = False,
    cluster: str | None = None,
    tell: Tell | None = None,
) -> PolicyRun:
    """Find the base, the adapter to go on from (None: the base itself) and what is learned from.

    ``cluster`` is the address of a Ray cluster that gives the rewards, in place of this machine.

    Raises UserMistake for whatever of it is missing, and for an unfinished run of the same inputs unless ``resume`` (go on) or
    ``fresh`` (begin anew) says what is to become of it.
    """
    base, tokenizer, begin = opened(base_name, start)
    asked: list[Asked] = []
    chosen: list[Pair] = []
    if recipe.stage == "dpo":
        chosen, held_out, manifest = joined([pairs_folder(named) for named in pairs] or [newest_pairs()])
        held_out = held_out[: recipe.prompts.dev_rows]
    else:
        recipe = with_version(recipe, base, begin)
        asked, held_out, manifest = prompts_of(recipe.prompts, tokenizer, reading(tell))
    content = [each.id + each.prompt for some in (asked, chosen, held_out) for each in some]
    inputs = [
        recipe.model_dump(),
        base.sha256 or base.source,
        noted(begin) if begin else None,
        manifest.get("sha256"),
        content,
    ]
    mark = hashlib.sha256(json.dumps(inputs, sort_keys=True, default=str).encode()).hexdigest()[:8]
    folder = adapters() / f"{Path(base.name).name}-{recipe.stage}-{mark}"
    run = PolicyRun(
        recipe, base, begin, tokenizer, folder, tuple(asked), tuple(chosen), tuple(held_out), manifest, minutes, cluster
    )
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        run.must_be_asked_for(resume)
    return run


def opened(base_name: str, start: str | None) -> tuple[Base, Any, Path | None]:
    """The base, its tokenizer, and the adapter's folder. Raises UserMistake for what is missing or does not fit."""
    base = find_base(base_name)
    begin = weights_of(Path(start).expanduser()) if start and start != "none" else None
    if begin is not None:
        must_fit(begin, base)
    return base, load_tokenizer(base), begin


def with_version(recipe: PolicyRecipe, base: Base, start: Path | None) -> PolicyRecipe:
    """The recipe with the prompt of what is trained on, where it does not ask for another."""
    if recipe.prompts.prompt_version is not None:
        return recipe
    version = version_of(base, start)
    return recipe.model_copy(update={"prompts": recipe.prompts.model_copy(update={"prompt_version": version})})


def make_pairs(
    recipe: PolicyRecipe,
    base_name: str,
    start: str | None = None,
    *,
    traces: bool = False,
    cluster: str | None = None,
    tell: Tell | None = None,
) -> tuple[Path, dict[str, Any]]:
    """Have the base, with the adapter ``start`` over it, answer the recipe's prompts several times, and pair what it wrote.

    ``traces`` adds the workspace's own: the mended file over the failed one. Returns the folder and its manifest. Stopped or
    killed, the same call goes on. Raises as `prompts_of` and `draw` do, and UserMistake where no pair comes of it.
    """
    base, tokenizer, begin = opened(base_name, start)
    recipe = with_version(recipe, base, begin)
    asked, held_out, manifest = prompts_of(recipe.prompts, tokenizer, reading(tell))
    tag = _tag(base, begin)
    backend = open_backend(tag, ModelConfig())
    try:
        depends = [
            recipe.prompts.model_dump(),
            recipe.pairs.model_dump(),
            recipe.seed,
            recipe.mutants,
            backend.revision,
            traces,
            [(each.prompt, each.code.source) for each in asked],
        ]
        mark = hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()[:12]
        folder = workspace() / "datasets" / f"pairs-{mark}"
        folder.mkdir(parents=True, exist_ok=True)
        with grader_of(cluster, folder / REWARDS, recipe.mutants) as grader:
            longest = recipe.prompts.longest_answer
            drawn = draw(
                asked, backend, recipe.pairs, longest, recipe.seed, grader, folder / "drawn.jsonl", reading(tell)
            )
    finally:
        backend.close()
    pairs = [pair for each in asked for pair in pairs_of(each, drawn[each.id], recipe.pairs)]
    if traces:
        fits = fitting(recipe.prompts, tokenizer)
        judged_by = {code_hash(each.code.shown) for each in held_out}
        for pair, code in pairs_of_traces(workspace() / "traces.db", manifest["prompt_version"]):
            if pair.group not in judged_by and all(
                fits(pair.prompt, code, text) for text in (pair.chosen, pair.rejected)
            ):
                pairs.append(pair)
    if not pairs:
        raise UserMistake(
            f"of {len(asked)} prompts none has an accepted answer beside one that is worth clearly less",
            hint="more answers (--set pairs.answers=16), more prompts (--data), or a base that knows a little more",
        )
    said = {**manifest, "model": tag, "revision": backend.revision, "pairs_recipe": recipe.pairs.model_dump()}
    said |= figures(pairs, list(drawn.values()))
    accepted = [row for each in asked for row in accepted_of(each, drawn[each.id], recipe.pairs.accepted)]
    write_pairs(folder, pairs, accepted, held_out, {**said, "accepted_rows": len(accepted)})
    return folder, said


def grader_of(cluster: str | None, kept: Path, mutants: int) -> Grader:
    """A grader on this machine, or on the Ray cluster at an address."""
    if cluster is None:
        return Grader(Runner(LIMITS), kept, mutants=mutants)
    from finetune.rl.cluster import RayGrader

    return RayGrader(cluster, LIMITS, kept, mutants=mutants)


def _tag(base: Base, start: Path | None) -> str:
    """The model tag of what is to answer: through llama.cpp, many answers at once, where it is served so."""
    if start is None:
        return base.serves or f"hf:{base.source}"
    if base.serves and (start / trained.FILE).is_file():
        return f"{base.serves}@{start / trained.FILE}"
    return f"hf:{base.source}@{start}"


def train_policy(run: PolicyRun, tell: Tell | None = None, *, plan_only: bool = False) -> Adapter | None:
    """Train ``run`` to its end, from its last checkpoint where there is one. With ``plan_only`` nothing is trained.

    Raises UserMistake for what the person can mend (memory, disk), LossIsNotANumber, SandboxError where no answer can be run,
    KeyboardInterrupt when it was stopped (the checkpoint is kept).
    """
    from transformers import set_seed

    from finetune.callbacks import Watch
    from finetune.rl import dpo, online, ppo

    tell = tell or (lambda event: None)
    if run.finished:
        return lineage(run.folder)
    recipe = run.recipe
    run.folder.mkdir(parents=True, exist_ok=True)
    planned = PolicyPlan(
        learns_by=len(run.pairs) or len(run.asked),
        held_out=len(run.held_out),
        answers_a_step=recipe.batch * (2 if recipe.stage == "dpo" else recipe.group),
        steps=recipe.steps,
        evaluations=recipe.evaluations,
    )
    checkpoint = run.checkpoint
    tell({"event": "policy_plan", **planned.model_dump(), "folder": str(run.folder), "resumed": str(checkpoint or "")})
    if plan_only:
        return None
    make = {"dpo": dpo.make_trainer, "ppo": ppo.make_trainer}.get(recipe.stage, online.make_trainer)
    with (
        told(run.folder, f"--set micro_batch={max(1, recipe.micro_batch // 2)}"),
        grader_of(run.cluster, run.folder / REWARDS, recipe.mutants) as grader,
    ):
        judge = HeldOut(
            run.held_out,
            run.tokenizer,
            grader,
            answers=recipe.dev_answers,
            longest=recipe.prompts.longest_answer,
            seed=recipe.seed,
        )
        watch = Watch(tell, run.minutes, recipe.on_the_same)
        set_seed(recipe.seed)  # a new adapter is drawn
        trainer = make(run, judge, grader, watch)
        if checkpoint:
            judge.take_up(checkpoint)
        set_seed(recipe.seed)
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        if watch.interrupted:
            raise KeyboardInterrupt
        save(run.folder, trainer)
        sources = list(run.manifest.get("recipe", {}).get("sources", ()))
        said = {**recipe.model_dump(mode="json"), "data": {"sources": sources, "replay": []}}
        leave(run, trainer, watch, recipe.steps, int(run.manifest["prompt_version"]), run.manifest, said, judge.found)
        return lineage(run.folder)
