"""How ``testing-crew check`` tells its report to a person."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def print_report(test: Path, target: Path, report: dict[str, Any]) -> None:
    """The report in a few lines."""
    from rich.console import Console
    from rich.markup import escape

    console = Console()
    mark = "[green]accepted[/]" if report["accepted"] else "[red]not accepted[/]"
    cases = report["cases"]
    console.print(f"{escape(str(test))} against {escape(str(target))}: {report['verdict']}, {mark}", soft_wrap=True)
    console.print(f"  {cases['passed']} passed, {cases['failed']} failed, {cases['error']} errors")
    for reason in report["reasons"]:
        console.print(f"  why not: {escape(reason.replace('_', ' '))}")
    for line in report["failures"]:
        console.print(f"  {escape(line)}", soft_wrap=True)
    coverage = report["coverage"]
    if coverage["line"] is not None:
        branch = "" if coverage["branch"] is None else f", branches {coverage['branch']:.0%}"
        console.print(f"  lines covered {coverage['line']:.0%}{branch}")
    console.print(f"  [dim]sandbox: {escape(report['sandbox'])}[/]")
