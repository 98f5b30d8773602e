"""How ``testing-crew models`` lists what can be used."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testing_crew.backends import Available
    from testing_crew.config import LoadedConfig


def list_models(loaded: LoadedConfig, as_json: bool) -> None:
    """Every tag that can be used now, the one in use marked, and where that choice was made."""
    from testing_crew.backends import available

    config = loaded.config
    rows = [
        {"tag": a.tag, "usable": a.usable, "in_use": a.tag == config.model, "note": _lineage(a.tag) or a.note}
        for a in [*available(config.server, [config.model]), *_trained()]
    ]
    origin = loaded.origins.get("model", "default")
    if as_json:
        print(json.dumps({"model": config.model, "set_by": origin, "models": rows}, indent=2))
        return
    from rich.table import Table

    from self_improve.cli.say import Console

    table = Table("", "tag", "can be used", "note")
    for row in rows:
        table.add_row("→" if row["in_use"] else "", str(row["tag"]), "yes" if row["usable"] else "no", str(row["note"]))
    console = Console()
    console.print(table)
    console.print(f"in use: {config.model} (set by: {origin})", soft_wrap=True)


def _lineage(tag: str) -> str:
    """Where a model of the registry comes from, and what a gate found of it; empty for others."""
    from export.registry import exported
    from testing_crew.backends.ref import parse
    from testing_crew.errors import TestingCrewError

    try:
        ref = parse(tag)
        made = exported(ref) if ref.kind == "local" else None
    except TestingCrewError as error:
        return error.message
    if made is None:
        return ""
    rows = (made.data.get("train") or {}).get("rows")
    told = f"stage {made.stage or '?'} on {made.base}, {made.quantisation}" + (f", {rows} rows" if rows else "")
    scores = made.scores
    if not scores:
        return f"{told}; not measured"
    rate = f"accepted@3 {scores['accepted@3']:.0%} of {scores['n']} tasks"
    return f"{told}; {rate}, {scores['decision']} against {scores['against']}"


def _trained() -> list[Available]:
    """The adapters that training left in the workspace, newest first."""
    from finetune.adapters import NOTE, adapters, lineage, tag_of
    from testing_crew.backends import Available
    from testing_crew.errors import UserMistake

    found = []
    for note in adapters().glob(f"*/{NOTE}"):
        weights = note.parent / "adapter"
        try:
            noted = lineage(weights)
        except UserMistake as error:
            found.append(("", Available(tag=f"hf:{weights}", usable=False, note=error.message)))
            continue
        if noted is not None:
            fell = (
                f"{noted.dev_loss_before:.3f} → {noted.dev_loss:.3f}"
                if noted.dev_loss and noted.dev_loss_before
                else "unknown"
            )
            told = f"trained here: stage {noted.stage} on {noted.base}, dev loss {fell}"
            found.append((noted.created_at, Available(tag=tag_of(noted, weights), note=told)))
    return [each for _, each in sorted(found, key=lambda pair: pair[0], reverse=True)]
