"""``testing-crew bench ianvs``: ready folders for KubeEdge-Ianvs."""

from __future__ import annotations

from pathlib import Path


def write_folders(
    out: Path,
    task: str | None,
    rows: Path | None,
    models: list[str],
    judge: str,
    repeats: int,
    paraphrases: int,
    limit: int | None,
    pairs: bool,
    force: bool,
) -> None:
    """Write them, and say how they are run. Raises UserMistake for an unknown task, or rows without one."""
    from benchmarks.ianvs.write import write_folder
    from benchmarks.smart_coding.rows import TASKS
    from self_improve.cli.say import Console
    from testing_crew.errors import UserMistake

    if task is not None and task not in TASKS:
        raise UserMistake(f"there is no task {task!r}", hint=f"one of {', '.join(TASKS)}")
    if rows is not None and task is None:
        raise UserMistake(f"{rows} are rows of one task", hint=f"--task {' or '.join(TASKS)} says of which")
    console = Console()
    for each in [name for name in TASKS if task in (None, name)]:
        place = out if task else out / each
        count = write_folder(
            each,
            place,
            rows=rows,
            models=models,
            judge=judge,
            repeats=repeats,
            paraphrases=paraphrases,
            limit=limit,
            pairs=pairs,
            force=force,
        )
        console.print(f"{place}: {count} rows. Run it: cd {place} && ianvs -f benchmarkingjob.yaml", soft_wrap=True)
    console.print("Ianvs must have testing-crew in its environment: pip install 'testing-crew[local]'")
