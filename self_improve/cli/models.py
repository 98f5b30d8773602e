"""How ``testing-crew models`` lists what can be used."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testing_crew.config import LoadedConfig


def list_models(loaded: LoadedConfig, as_json: bool) -> None:
    """Every tag that can be used now, the one in use marked, and where that choice was made."""
    from testing_crew.backends import available

    config = loaded.config
    rows = [
        {"tag": a.tag, "usable": a.usable, "in_use": a.tag == config.model, "note": a.note}
        for a in available(config.server, [config.model])
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
