"""How ``testing-crew improve`` and ``status`` tell of rounds."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from self_improve.improve import Options
    from self_improve.rounds import Round
    from testing_crew.config import LoadedConfig


def run_round(options: Options, loaded: LoadedConfig, project: Path, dry_run: bool, as_json: bool) -> int:
    """Make a round, or tell its plan; returns the exit code: 0 promoted (or planned), 1 not, 130 stopped."""
    from self_improve.cli.train import hush
    from self_improve.exporting import must_have_packages
    from self_improve.improve import Line
    from self_improve.packages import must_have
    from self_improve.rounds import lock

    must_have_packages()
    must_have("improve", "trl", "datasketch", "detect_secrets", "filelock")
    with _live(as_json) as tell:
        line = Line(options, loaded, project, tell)
        line.check()
        _tell_plan(line, as_json, dry_run)
        if dry_run:
            return 0
        hush()
        with lock():
            try:
                done = line.go()
            except KeyboardInterrupt:
                print("stopped; what is finished stands, and the same command goes on", file=sys.stderr)
                return 130
    if as_json:
        print(json.dumps(told(done), indent=2))
    else:
        _print(done)
    return 0 if done.state.decision == "promoted" else 1


def told(done: Round) -> dict[str, Any]:
    """A round for machines."""
    outputs = {name: step.output for name, step in done.state.steps.items()}
    state = done.state.model_dump(include={"number", "decision", "why", "begun_at", "finished_at"})
    return {**state, "folder": str(done.folder), **outputs}


def _tell_plan(line: Any, as_json: bool, dry_run: bool) -> None:
    from self_improve.cli.say import Console
    from self_improve.estimate import stations

    plan = stations(line)
    if as_json:
        if dry_run:
            print(json.dumps([station.model_dump() for station in plan], indent=2))
        return
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table("station", "what", "about", "memory", "disk", box=SIMPLE)
    for each in plan:
        size = [f"{n / 2**30:.1f} GiB" if n else "" for n in (each.memory, each.disk)]
        table.add_row(each.name, each.what, "done" if each.done else _time(each.seconds), *size)
    console = Console(stderr=not dry_run)
    console.print(table)
    left = sum(station.seconds for station in plan if not station.done)
    console.print(f"about {_time(left)} in all; these are guesses from what attempts took so far", soft_wrap=True)


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _print(done: Round) -> None:
    from self_improve.cli.say import Console, text

    console = Console()
    style = {"promoted": "green", "kept": "yellow"}.get(done.state.decision, "cyan")
    console.print(
        text(f"round {done.state.number}: ", (done.state.decision, style), f": {done.state.why}"), soft_wrap=True
    )
    gate = done.state.steps.get("gate")
    if gate is not None and "champion" in gate.output:
        _scores(gate.output, console)
    if (promoted := done.state.steps.get("promote")) is not None:
        swap = promoted.output
        console.print(f"  {swap['file']}: model {swap['before'] or 'not set'} → {swap['after']}", soft_wrap=True)
        console.print("  back with: testing-crew rollback")
    console.print(f"  all of it: {done.folder}", style="dim", soft_wrap=True)


def _scores(gate: dict[str, Any], console: Any) -> None:
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table("model", "accepted@1", "accepted@3", "mutants noticed", "cheat or empty", "errors", box=SIMPLE)
    for side in (gate["champion"], gate["challenger"]):
        rates = [
            f"{side[key]['value']:.0%} ({side[key]['low']:.0%} to {side[key]['high']:.0%})"
            for key in ("accepted_at_1", "accepted_at_3")
        ]
        mutants = "" if side["mutants"] is None else f"{side['mutants']:.0%}"
        table.add_row(side["model"], *rates, mutants, f"{side['worthless']['value']:.0%}", str(side["errors"]))
    console.print(table)
    console.print(
        f"  {gate['n']} tasks: {gate['wins']} that only the new one has, {gate['losses']} that only the old one has; "
        f"p = {gate['p']:.3f} (one-sided, exact)",
        soft_wrap=True,
    )
    if gate["needed"]:
        console.print(f"  about {gate['needed']} tasks would settle it", soft_wrap=True)


def show_status(loaded: LoadedConfig, project: Path, as_json: bool) -> None:
    """The model in use, its history, the pairs that wait, and what the last round decided and why."""
    from self_improve.champion import lineage_of
    from self_improve.rounds import rounds
    from testing_crew.config import history
    from trace_logger.curation.curate import MADE_BY_MEASURING, candidates
    from trace_logger.store import TraceStore

    tag = loaded.config.model
    made = lineage_of(tag)
    every = rounds()
    last = every[-1] if every else None
    ended = [each for each in every if each.state.finished_at]
    with TraceStore.open() as store:
        total = sum(not each.measured for each in candidates(store))
    seen: dict[str, Any] = ended[-1].state.steps["curate"].output if ended else {"pairs": 0, "dropped": {}}
    waiting = total - (seen["pairs"] - seen["dropped"].get(MADE_BY_MEASURING, 0))
    swaps = history(project)
    if as_json:
        lineage = made.model_dump() if made else None
        document = {"model": tag, "lineage": lineage, "history": swaps, "pairs": total, "waiting": max(0, waiting)}
        print(json.dumps({**document, "round": told(last) if last else None}, indent=2))
        return
    from self_improve.cli.say import Console, text

    console = Console()
    origin = loaded.origins.get("model", "default")
    console.print(text("in use: ", (tag, "bold"), f" (set by: {origin})"), soft_wrap=True)
    if made:
        rows = (made.data.get("train") or {}).get("rows", "?")
        console.print(f"  stage {made.stage} on {made.base}, {rows} rows, {made.created_at}; accepted@3 "
                      f"{made.scores.get('accepted@3', 'not measured')}", soft_wrap=True)  # fmt: skip
    for swap in swaps[-5:]:
        why = f" ({swap['why']})" if swap.get("why") else ""
        console.print(
            f"  {swap['at']} {swap['action']}: {swap['before'] or 'not set'} → {swap['after'] or 'not set'}{why}",
            style="dim",
            soft_wrap=True,
        )
    console.print(f"pairs: {total} in the store, {max(0, waiting)} since the last round")
    if last is None:
        console.print("no round yet: testing-crew improve")
    elif not last.state.finished_at:
        got = ", ".join(last.state.steps) or "nothing"
        console.print(f"round {last.state.number} was stopped after {got}: testing-crew improve goes on")
    else:
        _print(last)


@contextmanager
def _live(quiet: bool) -> Iterator[Any]:
    """Tells of a round on stderr: a line for each station, a bar with the time left for what goes on in it."""
    from rich.progress import TimeRemainingColumn

    from self_improve.cli.say import Console, bars

    console = Console(stderr=True, quiet=quiet)
    with bars(console, TimeRemainingColumn()) as bar:
        task = bar.add_task("looking", total=None)

        def tell(event: dict[str, Any]) -> None:
            kind = event["event"]
            if kind == "station":
                console.print(f"round {event['round']}, {event['name']}: {event['what']}", soft_wrap=True)
                bar.update(task, description=event["name"], completed=0, total=None)
            elif kind == "data":
                bar.update(task, description=event["what"], completed=event["done"], total=event["of"] or None)
            elif kind == "plan":
                bar.update(task, description="training", completed=0, total=event["steps"])
            elif kind == "step":
                bar.update(task, description=f"training: loss {event['loss']:.3f}", completed=event["step"])
            elif kind == "dev":
                console.print(f"  step {event['step']}: dev loss {event['loss']:.4f}")
            elif kind == "note":
                console.print(f"  {event['text']}", soft_wrap=True)

        yield tell
