"""Runs as one HTML page: tables and plots, nothing from the network, legible in light and dark."""

from __future__ import annotations

import html
import io
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.compare import compare
from benchmarks.metrics import COSTS, Score
from benchmarks.run import Run
from testing_crew.backends.ref import SNAPSHOT
from testing_crew.errors import UserMistake

_INK = "#010203"  # drawn with it, then replaced by the page's own colour
_COLOURS = ("#3b82c4", "#d97706", "#2f9e6e", "#b4497b", "#7c6bc4", "#8a8a3c", "#c4503b", "#4aa3a8")
_STYLE = """
:root { color-scheme: light dark; --ink: #1c2530; --soft: #5b6673; --line: #d5dae0; --page: #fdfdfc; --raised: #f3f5f7; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ed; --soft: #9aa5b1; --line: #39424d; --page: #15191e; --raised: #1e242b; }
}
body { margin: 0 auto; max-width: 72rem; padding: 2rem 1.5rem 4rem; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; }
p { color: var(--soft); margin: .25rem 0 1rem; max-width: 46rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .35rem .8rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } th { color: var(--soft); font-weight: 600; }
td small { color: var(--soft); }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); gap: 1rem; margin-top: 1rem; }
.made { color: var(--soft); font-size: .8rem; padding-left: 1rem; }
figure { margin: 0; padding: .75rem; background: var(--raised); border-radius: .5rem; }
figcaption { font-size: .85rem; color: var(--soft); margin-bottom: .25rem; }
svg { width: 100%; height: auto; color: var(--ink); }
"""
_SHARES = ("passed@1", "passed@3", "accepted@1", "accepted@3", "repaired", "coverage", "mutants")
_BEGIN, _END = "<!-- figures -->", "<!-- /figures -->"


def markdown(runs: Sequence[Run], around: str = "") -> str:
    """The runs as tables in Markdown, between the two comments that ``around`` has for them.

    Raises UserMistake for a text without these, and where there is no run.

    ``over snapshot`` is what the model has beyond the writer without a model, on the same tasks: accepted within all rounds.
    """
    text = "".join(f"### {name}\n\n{_ways(each)}\n\n{_rows(each)}\n" for name, each in _by_name(runs).items())
    head, begin, rest = (around if around.strip() else f"{_BEGIN}{_END}\n").partition(_BEGIN)
    _, end, tail = rest.partition(_END)
    if not (begin and end):
        raise UserMistake(
            "the file has text, and no place for the tables", hint=f"put {_BEGIN} and {_END} where they are to stand"
        )
    return f"{head}{begin}\n\n{text}{end}{tail}"


def _rows(runs: Sequence[Run]) -> str:
    head = ["", *(f"`{_label(run)}`" for run in runs)]
    lines = [head, ["---"] * len(head)]
    for name, cells in _table(runs):
        lines.append([name, *(re.sub(r" <small>(.*)</small>", r" (\1)", cell) for cell in cells)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _table(runs: Sequence[Run]) -> list[tuple[str, list[str]]]:
    """A row for each figure, a cell for each run."""
    rows = [("n", [str(run.n) for run in runs])]
    if len({run.settings.tasks for run in runs}) > 1:
        rows.append(("which tasks", [run.settings.tasks[:8] for run in runs]))
    rows.append(("infrastructure errors", [str(run.infrastructure_errors) for run in runs]))
    rows += [(_heading(m), [_cell(m, run.scores.get(m), run.n) for run in runs]) for m in _metrics(runs)]
    plain = next((run for run in runs if run.settings.model == SNAPSHOT), None)
    if plain is not None and len(runs) > 1:
        rows.append(("accepted@3 over snapshot", [_over(run, plain) for run in runs]))
    return rows


def _over(run: Run, plain: Run) -> str:
    if run is plain:
        return "–"
    each = compare(plain.outcomes, run.outcomes)[-1]
    chance = "p < 0.001" if each.p < 0.001 else f"p = {each.p:.3f}"
    return f"{each.delta:+.0%} ({each.low:+.0%} to {each.high:+.0%}), {chance}" if each.n else "–"


def _by_name(runs: Sequence[Run]) -> dict[str, list[Run]]:
    if not runs:
        raise UserMistake("there is no run to report", hint="testing-crew bench NAME --model TAG")
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(run.settings.benchmark, []).append(run)
    return found


def _metrics(runs: Sequence[Run]) -> list[str]:
    more = sorted({metric for run in runs for metric in run.scores} - {*_SHARES, *COSTS, "passed@2", "accepted@2"})
    return [metric for metric in (*_SHARES, *more, *COSTS) if any(metric in run.scores for run in runs)]


def page(runs: Sequence[Run]) -> str:
    """The page for the runs. Raises UserMistake where there is none, or matplotlib is missing."""
    by_name = _by_name(runs)
    try:
        import matplotlib
    except ImportError:
        raise UserMistake("plots are drawn with matplotlib", hint="pip install 'testing-crew[bench]'") from None
    with matplotlib.rc_context(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": "testing-crew",
            "font.family": "sans-serif",
            "font.size": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
            **{f"{name}.color": _INK for name in ("text", "xtick", "ytick")},
            **{f"axes.{name}": _INK for name in ("edgecolor", "labelcolor", "titlecolor")},
            "axes.facecolor": "none",
            "figure.facecolor": "none",
            "legend.frameon": False,
        }
    ):
        sections = "".join(_section(name, each) for name, each in by_name.items())
    title = "How good is this model at writing and repairing tests?"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>\n'
        f"<body><h1>{title}</h1><p>Each figure with its 95 % interval. <em>Passed</em> is pytest's word; <em>accepted</em> is "
        "the gate's: steady, about the code, and failing when the code is changed. "
        "What the infrastructure failed at counts apart. The snapshot has no model: what it reaches, a model has to "
        f"beat.</p>\n{sections}</body></html>\n"
    )


def _section(name: str, runs: Sequence[Run]) -> str:
    labels = [_label(run) for run in runs]
    head = "".join(f"<th>{html.escape(label)}</th>" for label in labels)
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
        for name, cells in _table(runs)
    )
    drawn = [run for run in runs if not run.settings.model.startswith("control:")] or list(runs)
    plots = "".join(_plots(drawn, [_label(run) for run in drawn]))
    made = "".join(f"<li>{html.escape(_made(run))}</li>" for run in runs)
    return (
        f"<h2>{html.escape(name)}</h2><p>{html.escape(_ways(runs))}</p><div class=scroll><table><tr><th></th>"
        f'{head}</tr>{rows}</table></div><div class="plots">{plots}</div><ul class=made>{made}</ul>\n'
    )


def _label(run: Run) -> str:
    tag = run.settings.model
    short = tag if len(tag) < 40 else f"…{tag[-38:]}"
    return f"{short}, {run.settings.mode}" if run.settings.mode else short


def _ways(runs: Sequence[Run]) -> str:
    """How they were made; told apart where they differ."""
    told: dict[str, list[str]] = {}
    for run in runs:
        told.setdefault(_settings(run), []).append(_label(run))
    if len(told) == 1:
        return next(iter(told))
    return ". ".join(f"{', '.join(labels)}: {way}" for way, labels in told.items())


def _settings(run: Run) -> str:
    settings = run.settings
    if settings.mode:
        return f"questions, greedy answers; seed {settings.seed}"
    ways = "docstrings' examples first" if settings.derive else "the model's own tests only"
    return f"{ways}; {settings.candidates} answer(s) drawn a round; {settings.rounds} rounds; seed {settings.seed}"


def _made(run: Run) -> str:
    """When, by which revision and where."""
    on = ", ".join(f"{name} {value}" for name, value in run.versions.items())
    return (
        f"{_label(run)} at revision {run.settings.revision[:20]}, {run.finished_at}, {run.seconds / 60:.0f} min: {on}"
    )


def _heading(metric: str) -> str:
    return metric.replace("_", " ")


def _cell(metric: str, score: Score | None, n: int) -> str:
    """A figure with its interval, and its own n where that is not the run's."""
    if score is None:
        return "–"
    of = "" if score.n == n else f", n = {score.n}"
    if metric in COSTS:
        return f"{score.value:,.1f} <small>{score.low:,.1f}–{score.high:,.1f}{of}</small>"
    return f"{score.value:.0%} <small>{score.low:.0%}–{score.high:.0%}{of}</small>"


def _plots(runs: Sequence[Run], labels: Sequence[str]) -> list[str]:
    if not all(run.settings.rounds for run in runs):
        right = tuple(name for name in _metrics(runs) if name.startswith("exact_match"))
        answers = right or tuple(name for name in _metrics(runs) if name not in COSTS)
        return [
            _figure("Right answers" if right else "Answers", lambda axes: _bars(axes, runs, labels, answers)),
            _figure("What wrong answers were, share of questions", lambda axes: _reasons(axes, runs, labels)),
            _figure("Seconds a question", lambda axes: _bars(axes, runs, labels, ("seconds",))),
        ]
    return [
        _figure("Accepted within so many rounds (dotted: passed)", lambda axes: _rounds(axes, runs, labels)),
        _figure("Why a task was not accepted, share of tasks", lambda axes: _reasons(axes, runs, labels)),
        _figure(
            "What accepted files reach and notice", lambda axes: _bars(axes, runs, labels, ("coverage", "mutants"))
        ),
        _figure("Seconds a task", lambda axes: _bars(axes, runs, labels, ("seconds",))),
    ]


def _figure(caption: str, draw: Callable[[Any], None]) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 3.1), layout="constrained")
    draw(figure.add_subplot())
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    drawn = buffer.getvalue()
    drawn = drawn[drawn.index("<svg") :].replace(_INK, "currentColor")
    drawn = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", drawn))
    return f"<figure><figcaption>{html.escape(caption)}</figcaption>{drawn}</figure>"


def _rounds(axes: Any, runs: Sequence[Run], labels: Sequence[str]) -> None:
    rounds = range(1, max(run.settings.rounds for run in runs) + 1)
    for run, label, colour in zip(runs, labels, _cycle(len(runs)), strict=True):
        accepted = [run.scores[f"accepted@{number}"] for number in rounds]
        axes.plot(rounds, [s.value for s in accepted], color=colour, marker="o", label=label)
        axes.fill_between(rounds, [s.low for s in accepted], [s.high for s in accepted], color=colour, alpha=0.12, lw=0)
        axes.plot(rounds, [run.scores[f"passed@{number}"].value for number in rounds], color=colour, ls=":")
    axes.set(xticks=list(rounds), ylim=(-0.02, 1.02), xlabel="rounds")
    axes.yaxis.set_major_formatter("{x:.0%}")
    _legend(axes)


def _reasons(axes: Any, runs: Sequence[Run], labels: Sequence[str]) -> None:
    counts: Counter[str] = sum((Counter(run.reasons) for run in runs), Counter())
    kinds = [why for why, _ in counts.most_common(len(_COLOURS) - 1)]
    told = [{why: run.reasons.get(why, 0) for why in kinds} for run in runs]
    if len(counts) > len(kinds):
        kinds.append("other")
        told = [
            each | {"other": sum(run.reasons.values()) - sum(each.values())}
            for run, each in zip(runs, told, strict=True)
        ]
    left = [0.0] * len(runs)
    for kind, colour in zip(kinds, _cycle(len(kinds)), strict=True):
        shares = [each[kind] / max(1, run.n) for run, each in zip(runs, told, strict=True)]
        axes.barh(labels, shares, left=left, color=colour, label=_heading(kind))
        left = [before + share for before, share in zip(left, shares, strict=True)]
    axes.set(xlim=(0, 1))
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter("{x:.0%}")
    if kinds:
        _legend(axes)


def _bars(axes: Any, runs: Sequence[Run], labels: Sequence[str], metrics: Sequence[str]) -> None:
    height = 0.8 / len(metrics)
    for number, (metric, colour) in enumerate(zip(metrics, _cycle(len(metrics)), strict=True)):
        there = [(place, run.scores[metric]) for place, run in enumerate(runs) if metric in run.scores]
        values = [score.value for _, score in there]
        spread = [[s.value - s.low for _, s in there], [s.high - s.value for _, s in there]]
        places = [place + number * height for place, _ in there]
        axes.barh(places, values, height=height * 0.9, color=colour, label=metric)
        axes.errorbar(values, places, xerr=spread, fmt="none", ecolor=_INK, elinewidth=1)
    axes.set_yticks([place + height * (len(metrics) - 1) / 2 for place in range(len(runs))], labels)
    axes.invert_yaxis()
    if metrics[0] not in COSTS:
        axes.set(xlim=(0, 1))
        axes.xaxis.set_major_formatter("{x:.0%}")
        _legend(axes)


def _legend(axes: Any) -> None:
    """Below what is drawn, where it hides none of it."""
    axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3)


def _cycle(count: int) -> list[str]:
    return [_COLOURS[number % len(_COLOURS)] for number in range(count)]
