"""How every script of this folder prints: a table for people, one JSON object for machines."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def paired(first: Callable[[], object], second: Callable[[], object], pairs: int) -> tuple[list[float], list[float]]:
    """Seconds of ``pairs`` calls of each, one after the other in turn, so that both meet the same load."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(pairs):
        for call, kept in zip((first, second), times, strict=True):
            began = time.perf_counter()
            call()
            kept.append(time.perf_counter() - began)
    return times


def quartiles(seconds: Sequence[float]) -> str:
    """``12.3 ms (11.9 to 13.0)``: the median and the quartiles."""
    low, middle, high = statistics.quantiles(seconds, n=4)
    return f"{middle * 1e3:.1f} ms ({low * 1e3:.1f} to {high * 1e3:.1f})"


def show(title: str, figures: Mapping[str, float], details: Mapping[str, Any], *, as_json: bool) -> None:
    """Print ``figures`` (ratios) and ``details``."""
    if as_json:
        print(json.dumps({"benchmark": title, "figures": dict(figures), **details}, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("figure", "ratio", title=title)
    for name, figure in figures.items():
        table.add_row(name, f"{figure:.2f}")
    console = Console(markup=False)
    console.print(table)
    for name, detail in details.items():
        console.print(f"{name}: {detail}", highlight=False, soft_wrap=True)
