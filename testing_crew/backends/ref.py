"""Model tags: what a user writes, and what it names."""

from __future__ import annotations

import difflib
import re
from typing import Literal

from testing_crew.errors import UnknownModel
from trace_logger.records import Record

Kind = Literal["embedded", "smollm2", "snapshot", "ollama", "gguf", "hf", "openai", "local", "scripted"]

FORMS = (
    "embedded[@ADAPTER]",
    "smollm2[@ADAPTER]",
    "snapshot",
    "NAME:TAG or ollama/NAME[:TAG] (Ollama)",
    "gguf:PATH[@ADAPTER]",
    "hf:REPO_OR_PATH[@ADAPTER]",
    "openai/NAME",
    "local/NAME:VERSION",
    "scripted:PATH",
)

OWN = ("embedded", "smollm2")  # bases that a tag names by themselves
SNAPSHOT = "snapshot"

_WORD = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
_OLLAMA = re.compile(rf"(?P<name>(?:{_WORD}(?::\d+)?/)?(?:{_WORD}/)*{_WORD})(?::(?P<label>{_WORD}))?")
_LOCAL = re.compile(rf"(?P<name>{_WORD}):(?P<label>{_WORD})")
_WINDOWS_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_NEVER = re.compile(r"(?!)")
# Folders on the way may have an @ in their names: after a file's ending it divides, else the last that begins no name.
_DIVIDED = {
    "gguf": re.compile(r"(?P<name>.*?\.gguf)@(?P<adapter>.*)", re.IGNORECASE),
    "hf": re.compile(r"(?P<name>.*)(?<![/\\])@(?P<adapter>.*)"),
}
_NEAR_MISSES = {
    "openai:": "openai/",
    "local:": "local/",
    "ollama:": "ollama/",
    "gguf/": "gguf:",
    "hf/": "hf:",
    "scripted/": "scripted:",
}


class ModelRef(Record):
    """What a tag names: ``name`` is a model or a path, ``label`` the part after the colon, ``adapter`` a LoRA."""

    kind: Kind
    name: str = ""
    label: str = ""
    adapter: str | None = None

    @property
    def tag(self) -> str:
        """The tag in its full form; ``parse`` reads it back to the same reference."""
        if self.kind in OWN:
            return self.kind + (f"@{self.adapter}" if self.adapter else "")
        if self.kind == "snapshot":
            return SNAPSHOT
        if self.kind == "ollama":
            # A registry's host may carry a port, which a bare NAME:TAG would be mistaken for.
            prefix = "ollama/" if "/" in self.name or self.name in ("embedded", "local", "openai", SNAPSHOT) else ""
            return f"{prefix}{self.name}:{self.label}"
        if self.kind == "local":
            return f"local/{self.name}:{self.label}"
        if self.kind == "openai":
            return f"openai/{self.name}"
        return f"{self.kind}:{self.name}" + (f"@{self.adapter}" if self.adapter else "")

    @property
    def base(self) -> str:
        """The tag without its adapter."""
        return self.model_copy(update={"adapter": None}).tag


def _bad(tag: str, why: str, hint: str = "") -> UnknownModel:
    return UnknownModel(f"{tag!r} is not a model tag: {why}", hint=hint or f"a tag is one of: {'; '.join(FORMS)}")


def _path(tag: str, kind: Kind) -> ModelRef:
    path = tag.partition(":")[2].strip()
    if not path:
        raise _bad(tag, f"there is no path after {kind}:")
    divided = _DIVIDED.get(kind, _NEVER).fullmatch(path)
    if divided is None:
        return ModelRef(kind=kind, name=path)
    if not divided["name"] or not divided["adapter"]:
        raise _bad(tag, f"{kind}:BASE@ADAPTER needs a name on both sides of the @")
    return ModelRef(kind=kind, name=divided["name"], adapter=divided["adapter"])


def _ollama(tag: str, text: str) -> ModelRef:
    match = _OLLAMA.fullmatch(text)
    if not match:
        raise _bad(tag, "an Ollama name has letters, digits, '.', '_', '-' and '/', then ':' and a tag")
    return ModelRef(kind="ollama", name=match["name"], label=match["label"] or "latest")


def parse(tag: str) -> ModelRef:
    """Read a tag. No file and no server is looked at; a tag that cannot be one raises ``UnknownModel``."""
    text = tag.strip()
    if not text:
        raise _bad(tag, "it is empty")
    if any(ord(letter) < 32 for letter in text):
        raise _bad(tag, "it has control characters in it")
    base, divider, adapter = text.partition("@")
    if base in OWN:
        if divider and not adapter:
            raise _bad(tag, f"{base}@ADAPTER needs a path after the @")
        return ModelRef(kind="embedded" if base == "embedded" else "smollm2", adapter=adapter or None)
    if text == SNAPSHOT:
        return ModelRef(kind="snapshot")
    if text.startswith("gguf:"):
        return _path(text, "gguf")
    if text.startswith("hf:"):
        return _path(text, "hf")
    if text.startswith("scripted:"):
        return _path(text, "scripted")
    if text.startswith("openai/"):
        name = text.removeprefix("openai/")
        if not name or " " in name:
            raise _bad(tag, "openai/ is followed by the server's name for the model")
        return ModelRef(kind="openai", name=name)
    if text.startswith("local/"):
        match = _LOCAL.fullmatch(text.removeprefix("local/"))
        if not match:
            raise _bad(tag, "the registry's models are named local/NAME:VERSION")
        return ModelRef(kind="local", name=match["name"], label=match["label"])
    if text.startswith("ollama/"):
        return _ollama(tag, text.removeprefix("ollama/"))
    return _bare(tag, text)


def _bare(tag: str, text: str) -> ModelRef:
    """Read a tag without one of our prefixes: Ollama's NAME[:TAG], or a folder or ORG/NAME for transformers."""
    for wrong, right in _NEAR_MISSES.items():
        if text.lower().startswith(wrong):
            raise _bad(tag, "that prefix is written otherwise", hint=f"did you mean {right}{text[len(wrong) :]}?")
    if "://" in text:
        raise _bad(tag, "it is a URL", hint="name the model openai/NAME, and its server as base_url under [server]")
    if text.lower().endswith(".gguf"):
        raise _bad(tag, "it is a path without its prefix", hint=f"did you mean gguf:{text}?")
    if text.startswith(("/", "./", "../", ".\\", "..\\", "~")) or _WINDOWS_DRIVE.match(text):
        return _path(f"hf:{text}", "hf")
    if ":" in text:
        return _ollama(tag, text)
    if "/" in text or "\\" in text:
        return _path(f"hf:{text}", "hf")
    if near := difflib.get_close_matches(text.lower(), (*OWN, SNAPSHOT), 1, cutoff=0.8):
        raise _bad(tag, "nothing is called that", hint=f"did you mean {near[0]}? For a model of Ollama: {text}:latest")
    return _ollama(tag, text)
