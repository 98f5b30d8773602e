"""The store's repairs curated with the runner and the gate: what `traces curate` and `improve` do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from self_improve.packages import must_have
from testing_crew import config
from testing_crew.crew import runner_for
from testing_crew.gate.verifier import GateVerifier
from trace_logger.curation.curate import Rules, Told, candidates, curate, memory_of, must_be_folder, write
from trace_logger.curation.fingerprints import Fingerprints
from trace_logger.store import TraceStore


def curate_store(
    out: Path,
    rules: Rules,
    *,
    project: str | None = None,
    fingerprints: Path | None = None,
    held_out: Fingerprints | None = None,
    held_files: frozenset[str] = frozenset(),
    tell: Told | None = None,
) -> dict[str, Any]:
    """Curate the workspace's store into the folder ``out``; returns the manifest. Goes on where it was stopped.

    Raises NothingLeft where no pair is kept, FingerprintError for a file that is none, BackendUnavailable where a package of the
    extra ``train`` is missing.
    """
    must_have("curation", "datasketch", "detect_secrets")
    must_be_folder(out)
    tasks = Fingerprints.load(fingerprints) if fingerprints else None
    with TraceStore.open() as store:
        found = list(candidates(store, project))
    with runner_for(config.load(Path.cwd()).config) as runner:
        curated = curate(
            found,
            GateVerifier(runner),
            rules,
            tasks=tasks,
            held_out=held_out,
            held_files=held_files,
            memory=memory_of(out),
            tell=tell,
        )
    return write(curated, out)
