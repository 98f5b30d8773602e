"""``testing-crew train``: the plan first, then the loss, the speed and the time left as it goes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from finetune.adapters import Adapter
    from finetune.rl.run import PolicyRun
    from finetune.runs import Run

_PAIRS = "dpo-data"


@dataclass(frozen=True)
class Order:
    """What the command was told."""

    stage: str
    base: str
    start: str | None
    data: list[str]
    config: Path | None
    overrides: list[str]
    minutes: float | None
    resume: bool
    fresh: bool
    plan_only: bool
    cluster: str | None
    as_json: bool


def run_stage(order: Order) -> int:
    """Do one stage; returns the exit code."""
    # Idle OpenMP threads spin by default, and take the cores that the runs of an answer need; read when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from finetune.recipe import STAGES, read_recipe, shipped
    from finetune.rl.recipe import METHODS
    from self_improve.packages import must_have
    from testing_crew.errors import UserMistake

    stage, overrides = order.stage, order.overrides
    if stage == _PAIRS or stage in METHODS:
        return _policy(order)
    if stage not in STAGES:
        raise UserMistake(f"there is no stage {stage!r}", hint=f"stages: {', '.join((*STAGES, _PAIRS, *METHODS))}")
    if order.cluster is not None:
        raise UserMistake(f"stage {stage} runs no answers, which is what --ray is for", hint="leave --ray out")
    if order.data:
        overrides = [f"data.sources={json.dumps(order.data)}", *overrides]
    recipe = read_recipe(order.config or shipped(stage), overrides)
    if recipe.stage != stage:
        raise UserMistake(f"{order.config} is a recipe of stage {recipe.stage}, not {stage}")
    must_have("training", "torch", "transformers", "peft", "trl")
    from finetune import runs, train

    hush()
    main = runs.processes().is_main_process
    with _live(order.as_json or not main) as tell:
        run = train.open_run(
            recipe, order.base, order.start, minutes=order.minutes, resume=order.resume, fresh=order.fresh, tell=tell
        )
        try:
            adapter = train.train(run, tell, plan_only=order.plan_only)
        except KeyboardInterrupt:
            if main:
                print("stopped; the last checkpoint is kept: the same command with --resume goes on", file=sys.stderr)
            return 130
    if main:
        _say(adapter, run, order.as_json)
    return 0


def _policy(order: Order) -> int:
    """A stage that learns from rewards, or the preferences that one of them learns from."""
    from finetune.recipe import read_as, shipped
    from finetune.rl.recipe import PolicyRecipe
    from self_improve.packages import must_have
    from testing_crew.errors import UserMistake

    stage, data, overrides = order.stage, order.data, order.overrides
    method = "dpo" if stage == _PAIRS else stage
    traces = stage == _PAIRS and "traces" in data
    pairs = [text.removeprefix("pairs:") for text in data if text.startswith("pairs:")]
    sources = [text for text in data if text != "traces" or not traces]
    if stage == "dpo" and [text for text in data if not text.startswith("pairs:")]:
        raise UserMistake(
            "dpo learns from pairs", hint="--data pairs:FOLDER, which `testing-crew train dpo-data` leaves"
        )
    if sources and stage != "dpo":
        overrides = [f"prompts.sources={json.dumps(sources)}", *overrides]
    recipe = read_as(PolicyRecipe, order.config or shipped(method), overrides)
    if recipe.stage != method:
        raise UserMistake(f"{order.config} is a recipe of {recipe.stage}, not of {method}")
    must_have("training", "torch", "transformers", "peft", "trl")
    from finetune.rl import run as policy

    hush()
    with _live(order.as_json) as tell:
        if stage == _PAIRS:
            try:
                folder, said = policy.make_pairs(
                    recipe, order.base, order.start, traces=traces, cluster=order.cluster, tell=tell
                )
            except KeyboardInterrupt:
                print("stopped; what is drawn is kept, and the same command goes on", file=sys.stderr)
                return 130
        else:
            made = policy.open_policy_run(
                recipe,
                order.base,
                order.start,
                pairs=pairs,
                minutes=order.minutes,
                resume=order.resume,
                fresh=order.fresh,
                cluster=order.cluster,
                tell=tell,
            )
            try:
                adapter = policy.train_policy(made, tell, plan_only=order.plan_only)
            except KeyboardInterrupt:
                print("stopped; the last checkpoint is kept: the same command with --resume goes on", file=sys.stderr)
                return 130
    if stage == _PAIRS:
        _say_pairs(folder, said, order.as_json)
    elif adapter is not None:
        _say_policy(adapter, made, order.as_json)
    return 0


def _say_pairs(folder: Path, said: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps({"folder": str(folder), **said}, indent=2))
        return
    print(
        f"{said['pairs']} pairs of {said['prompts_with_a_pair']} of {said['prompts']} prompts, {said['held_out']} held out"
    )
    print(
        f"  {said['answers']} answers, {said['accepted']:.1%} accepted, {said['cheats']:.1%} cheats; licences {said['licences']}"
    )
    print(
        f"  a chosen file is {said['chosen_longer_by_characters']:+.0f} characters longer than the one it is chosen over"
    )
    print(f"  {folder}")
    print(f"  learn from it: testing-crew train dpo --data pairs:{folder}")
    print(f"  or from the chosen files alone: testing-crew train a --data rows:{folder / 'chosen.jsonl'}")


def _say_policy(adapter: Adapter, run: PolicyRun, as_json: bool) -> None:
    tag = _served(run, adapter)
    if as_json:
        print(json.dumps({"folder": str(run.folder), "tag": tag, **adapter.model_dump()}, indent=2))
        return
    first, best = adapter.held_out[0], adapter.best
    print(
        f"{adapter.name}: {first.accepted:.1%} → {best.accepted:.1%} of {best.n} answers to prompts held out are accepted"
    )
    print(f"  mean reward {first.reward:.3f} → {best.reward:.3f}, cheats {first.cheats:.1%} → {best.cheats:.1%}")
    print(f"  {adapter.steps} steps, {adapter.seconds / 60:.1f} minutes (ended: {adapter.ended})")
    print(f"  {run.folder}: adapter/, training.json, loss.png, README.md")
    if best.score > first.score:
        print(f"  use it: testing-crew use {tag}")
    else:
        print("  no better than where it began, which is the one to go on using")


def hush() -> None:
    """The libraries' own bars and words of what they will do otherwise one day are not for the person who trains."""
    import logging
    import warnings

    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning)


def _say(adapter: Adapter | None, run: Run, as_json: bool) -> None:
    folder = run.folder
    if adapter is None:  # the plan alone
        if as_json:
            print((folder / "plan.json").read_text())
        return
    tag = _served(run, adapter)
    if as_json:
        where = {"folder": str(folder), "base_folder": run.base.source, "rows_folder": str(run.data.folder), "tag": tag}
        print(json.dumps({**where, **adapter.model_dump()}, indent=2))
        return
    print(f"{adapter.name}: dev loss {_loss(adapter.dev_loss_before)} → {_loss(adapter.dev_loss)} a completion token")
    print(
        f"  {adapter.steps} steps, {adapter.tokens} tokens, {adapter.seconds / 60:.1f} minutes (ended: {adapter.ended})"
    )
    print(f"  {folder}: adapter/, training.json, loss.png, README.md")
    print(f"  use it: testing-crew use {tag}")


def _served(run: Run | PolicyRun, noted: Adapter) -> str:
    """The tag that serves the adapter: through llama.cpp where its base is served so and the converter is to be had."""
    from export.lora import convert_lora
    from finetune.adapters import tag_of
    from testing_crew.backends.trained import FILE
    from testing_crew.errors import TestingCrewError

    weights = run.folder / "adapter"
    if run.base.serves:
        try:
            convert_lora(weights, Path(run.base.source), weights / FILE)
        except TestingCrewError as error:
            print(f"not converted for llama.cpp: {error.message}", file=sys.stderr)
    return tag_of(noted, weights)


def _loss(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4f}"


@contextmanager
def _live(quiet: bool) -> Iterator[Any]:
    """Tells of a run on stderr: one line for what stays, a bar for what goes on."""
    from self_improve.cli.say import Console, bars

    console = Console(stderr=True, quiet=quiet)
    with bars(console) as bar:
        task = bar.add_task("reading", total=None)

        def tell(event: dict[str, Any]) -> None:
            kind = event["event"]
            if kind == "plan":
                console.print(_plan(event))
                bar.update(task, description="training", completed=0, total=event["steps"])
            elif kind == "step":
                speed = f", {event['tokens_per_second']:.0f} tokens/s" if event["tokens_per_second"] else ""
                worth = f", reward {event['reward']:.3f}" if event.get("reward") is not None else ""
                said = f"loss {event['loss']:.3f}{worth}{speed}, {event['seconds_left'] / 60:.0f} min left"
                bar.update(task, completed=event["step"], description=said)
                if not console.is_terminal and event["step"] % 10 == 0:
                    console.print(f"step {event['step']} of {event['of']}: {said}")
            elif kind == "policy_plan":
                console.print(_policy_plan(event))
                bar.update(task, description="training", completed=0, total=event["steps"])
            elif kind == "held_out":
                console.print(
                    f"step {event['step']}: {event['accepted']:.1%} accepted, reward {event['reward']:.3f}, "
                    f"cheats {event['cheats']:.1%} of the answers to prompts held out"
                )
            elif kind == "dev":
                console.print(f"step {event['step']}: dev loss {event['loss']:.4f}")
            elif kind == "stopping":
                console.print("stopping after this step, with a checkpoint; once more ends it at once")
            elif kind == "note":
                console.print(event["text"])
            elif kind == "data":
                bar.update(task, description=event["what"], completed=event["done"], total=event["of"] or None)

        yield tell


def _policy_plan(event: dict[str, Any]) -> str:
    lines = [
        f"{event['learns_by']} prompts or pairs to learn by, {event['held_out']} held out; {event['steps']} steps of "
        f"{event['answers_a_step']} answers, looked at {event['evaluations']} times",
        f"→ {event['folder']}",
    ]
    return "\n".join([*lines, f"going on from {event['resumed']}"] if event["resumed"] else lines)


def _plan(event: dict[str, Any]) -> str:
    speed = f"{event['steps']} steps at {event['tokens_per_second']:.0f} tokens/s: about {event['seconds'] / 60:.0f} minutes, "
    speed += f"{event['memory'] / 2**30:.1f} GiB of memory (measured on a few batches)"
    if not event["memory"]:
        speed = f"{event['steps']} steps (a model that is divided over devices is not measured ahead)"
    lines = [
        f"{event['rows']} rows for training, {event['dev_rows']} for dev, {event['tokens']} tokens; weights {event['weights']}",
        speed,
        f"→ {event['folder']}",
    ]
    return "\n".join([*lines, f"going on from {event['resumed']}"] if event["resumed"] else lines)
