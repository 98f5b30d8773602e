"""``testing-crew bench rows``: rows for code-correctness, made of anyone's Python project."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import closing
from pathlib import Path


def make_rows(
    path: Path,
    out: Path,
    model: str | None,
    draws: int,
    changes: int,
    limit: int | None,
    seed: int,
    force: bool,
    as_json: bool,
) -> None:
    """Write the rows, and say what gave none. Raises UserMistake for a project that gives none at all."""
    from benchmarks.code_correctness import generate
    from benchmarks.code_correctness.labels import Labeller
    from self_improve.cli.say import Console, bars
    from testing_crew import config as configuration
    from testing_crew.backends import open_backend
    from testing_crew.backends.files import replace
    from testing_crew.errors import UserMistake

    if out.exists() and not force:
        raise UserMistake(f"{out} is there already", hint="--force writes over it, --out names another")
    project = generate.Project(path)
    with bars(Console(stderr=True, quiet=as_json)) as progress:
        bar = progress.add_task("reading", total=None)

        def tell(what: str, done: int, of: int) -> None:
            progress.update(bar, description=what, completed=done, total=of)

        originals = sorted(project.originals(), key=lambda draft: draft.digest)
        enough = None if limit is None else (limit + 1) // 2
        originals = originals[:enough]
        made: list[generate.Draft] = []
        if model:
            with closing(open_backend(model, configuration.load(Path.cwd()).config.server)) as backend:
                made = list(generate.written(originals, backend, draws, seed, tell))
        with closing(Labeller()) as labeller:
            found = generate.by_people(originals, changes, labeller, project.dropped, tell, enough)
            found += generate.labelled(made, labeller, project.dropped, tell, enough)
    chosen = generate.balanced(found, limit, seed)
    not_taken = dict(project.dropped.most_common())
    if not chosen:
        labels = Counter(str(label.label) for _, label in found)
        raise UserMistake(
            f"{path} gives no row: of {len(found)} tests that could be run, {labels['success']} pass and {labels['failed']} fail",
            hint="; ".join(f"{why}: {count}" for why, count in not_taken.items())
            or "--changes 4 gives tests that fail",
        )
    try:
        replace(out, generate.to_jsonl(generate.rows_from(chosen)))
    except OSError as error:
        raise UserMistake(f"{out} cannot be written: {error.strerror or error}") from None
    counts = Counter(f"{draft.origin} {label.label}" for draft, label in chosen)
    if as_json:
        print(json.dumps({"file": str(out), "rows": len(chosen), "counts": counts, "not_taken": not_taken}, indent=2))
        return
    console = Console()
    console.print(f"{out}: {len(chosen)} rows, half of them with each answer: {dict(sorted(counts.items()))}")
    console.print(f"{len(found) - len(chosen)} more were run, and are left out for the balance")
    for why, count in not_taken.items():
        console.print(f"{count:5} not taken: {why}")
    console.print(f"ask a model: testing-crew bench code-correctness --rows {out}")
    console.print(f"or train on them: testing-crew train a --data correctness:{out}")
