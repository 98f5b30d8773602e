"""``testing-crew bench judge`` and ``bench agreement``: people judge a model's answers, and what that comes to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.judging.agreement import Accuracy, Agreement
    from benchmarks.metrics import Score


def judge(answers: Path, name: str, port: int, open_browser: bool) -> None:
    """Serve the page on which ``name`` judges a file's answers, until Ctrl-C.

    Raises UserMistake for a file that has no answers, a blank name, or a port that is taken.
    """
    import webbrowser

    from benchmarks.judging.page import serve
    from benchmarks.judging.verdicts import Verdicts, read_items
    from self_improve.cli.say import Console

    items, verdicts, console = read_items(answers), Verdicts.beside(answers), Console(stderr=True)
    distinct = {item.digest for item in items}

    def done() -> str:
        return f"{len(distinct & verdicts.of(name).keys())} of {len(distinct)} answers"

    def ready(url: str) -> None:
        console.print(f"{name.strip()} has judged {done()}. Ctrl-C ends; the verdicts are kept.")
        console.print(f"judge here: {url}", soft_wrap=True)
        if open_browser:
            webbrowser.open(url)

    try:
        serve(items, verdicts, name, port=port, ready=ready)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"stopped; {name.strip()} has judged {done()}, which is kept in {verdicts.file}; the same command goes on"
        ) from None


def agreement(answers: Path, out: Path | None, force: bool, as_json: bool) -> None:
    """Say how far the judges agree and how many answers are right; ``out`` gets a row an answer, with every verdict.

    Raises UserMistake for files that cannot be read, answers that nobody has judged, and an ``out`` that is there, without
    ``force``.
    """
    from benchmarks.judging.agreement import report
    from benchmarks.judging.verdicts import Verdicts, export, read_items
    from self_improve.cli.say import Console
    from testing_crew.backends.files import replace
    from testing_crew.errors import UserMistake

    if out is not None and out.exists() and not force:
        raise UserMistake(f"{out} is there already", hint="--force writes over it, --out names another")
    items, verdicts = read_items(answers), Verdicts.beside(answers)
    found = report(items, verdicts)
    if not found.judges:
        raise UserMistake(
            f"nobody has judged {answers}: {verdicts.file} has no verdict on its answers", hint="judge them first"
        )
    if out is not None:
        replace(out, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in export(items, verdicts)))
    if as_json:
        print(json.dumps(found.model_dump(), indent=2))
        return
    console = Console()
    for line in _words(found):
        console.print(line)
    if out is not None:
        console.print(f"{out}: {len(items)} rows, each with every verdict")


def _words(found: Agreement) -> Iterator[str]:
    for judge, count in found.judged.items():
        score = found.by_judge[judge]
        yield f"{judge}: {count} of {found.n} judged; right: {_share(score)}; could not tell: {count - score.n}"
    for pair in found.pairs:
        if pair.agreement is None:
            yield f"{pair.one} and {pair.other} have judged no answer in common"
            continue
        kappa = "undefined, as both gave one and the same verdict" if pair.kappa is None else f"{pair.kappa:.2f}"
        yield f"{pair.one} and {pair.other}: the same verdict on {pair.agreement:.1%} of {pair.n}; Cohen's kappa {kappa}"
    if found.agreement is None:
        yield "no answer has two judges yet, so there is no accuracy: let another person judge, too"
        return
    if len(found.judges) > 2:
        yield f"all who judged it agree on {found.agreement:.1%} of the {found.judged_by_two} answers with two judges or more"
    yield f"accuracy: {_accuracy(found)}"
    for model, accuracy in found.models.items():
        yield f"accuracy of {model or 'no named model'}: {_accuracy(accuracy)}"
    if found.stale:
        yield f"not counted: {found.stale} verdicts on answers that are not in the file (any more)"


def _accuracy(found: Accuracy) -> str:
    if not found.judged_by_two:
        return "no answer has two judges yet"
    said = f"{_share(found.accuracy)}, of {found.judged_by_two} of {found.n} answers with two judges or more"
    if not found.disputed:
        return said
    bounds = f"{found.at_least:.1%} if all of them were wrong, {found.at_most:.1%} if right"
    return f"{said}; {found.disputed} have no majority: {bounds}"


def _share(score: Score) -> str:
    return f"{score.value:.1%} of {score.n} ({score.low:.1%} to {score.high:.1%})" if score.n else "none of none"
