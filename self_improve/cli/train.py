"""``testing-crew train a|b|c``: the plan first, then the loss, the speed and the time left as it goes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from finetune.adapters import Adapter
    from finetune.runs import Run


def run_stage(
    stage: str,
    base: str,
    start: str | None,
    data: list[str],
    config: Path | None,
    overrides: list[str],
    minutes: float | None,
    resume: bool,
    fresh: bool,
    plan_only: bool,
    as_json: bool,
) -> int:
    """Do one stage; returns the exit code."""
    from finetune.recipe import STAGES, read_recipe, shipped
    from self_improve.packages import must_have
    from testing_crew.errors import UserMistake

    if stage not in STAGES:
        raise UserMistake(f"there is no stage {stage!r}", hint=f"stages: {', '.join(STAGES)}")
    if data:
        overrides = [f"data.sources={json.dumps(data)}", *overrides]
    recipe = read_recipe(config or shipped(stage), overrides)
    if recipe.stage != stage:
        raise UserMistake(f"{config} is a recipe of stage {recipe.stage}, not {stage}")
    must_have("training", "torch", "transformers", "peft", "trl")
    from finetune import runs, train

    hush()
    main = runs.processes().is_main_process
    with _live(as_json or not main) as tell:
        run = train.open_run(recipe, base, start, minutes=minutes, resume=resume, fresh=fresh, tell=tell)
        try:
            adapter = train.train(run, tell, plan_only=plan_only)
        except KeyboardInterrupt:
            if main:
                print("stopped; the last checkpoint is kept: the same command with --resume goes on", file=sys.stderr)
            return 130
    if main:
        _say(adapter, run, as_json)
    return 0


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


def _served(run: Run, noted: Adapter) -> str:
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
                said = f"loss {event['loss']:.3f}{speed}, {event['seconds_left'] / 60:.0f} min left"
                bar.update(task, completed=event["step"], description=said)
                if not console.is_terminal and event["step"] % 10 == 0:
                    console.print(f"step {event['step']} of {event['of']}: {said}")
            elif kind == "dev":
                console.print(f"step {event['step']}: dev loss {event['loss']:.4f}")
            elif kind == "stopping":
                console.print("stopping after this step, with a checkpoint; once more ends it at once")
            elif kind == "note":
                console.print(event["text"])
            elif kind == "data":
                bar.update(task, description=event["what"], completed=event["done"], total=event["of"] or None)

        yield tell


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
