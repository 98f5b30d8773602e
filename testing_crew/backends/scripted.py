"""A backend that recites: completions written beforehand, for tests and demonstrations."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from testing_crew.backends.base import Completion, Sampling
from testing_crew.errors import BackendUnavailable, GenerationFailed, UnknownModel
from testing_crew.prompt import PROMPT_VERSION

Script = Sequence[str] | Mapping[str, Sequence[str]]

FORMAT = 'a JSON list of texts, a JSON object {"part of a prompt": [texts]}, or one text or {"completion": …} per line'


class ScriptedBackend:
    """Answers in the order of its script and keeps the prompts that it was given in ``prompts``.

    A mapping has one queue for each part of a prompt (a unit's name, ``def add``); the longest key that the prompt
    contains is the one that answers.
    """

    context: int | None = None
    prompt_version: int = PROMPT_VERSION

    def __init__(self, script: Script, tag: str = "scripted:memory") -> None:
        self.tag = tag
        self.prompts: list[str] = []
        self.samplings: list[Sampling] = []
        queues = script if isinstance(script, Mapping) else {"": script}
        self._queues = {key: deque(texts) for key, texts in queues.items()}
        self._lock = threading.Lock()
        self.revision = hashlib.sha256(json.dumps({k: list(v) for k, v in queues.items()}).encode()).hexdigest()[:12]

    @classmethod
    def from_file(cls, path: Path, tag: str) -> ScriptedBackend:
        """Read the script from a JSON or JSONL file."""
        return cls(_read(path), tag)

    def complete(self, prompt: str, sampling: Sampling) -> Completion:
        """Recite the next completion for ``prompt``."""
        with self._lock:
            self.prompts.append(prompt)
            self.samplings.append(sampling)
            keys = sorted((key for key in self._queues if key in prompt), key=len)
            if not keys:
                raise GenerationFailed(f"{self.tag} has no completion for this prompt: none of its keys is in it")
            queue = self._queues[keys[-1]]
            if not queue:
                which = f" for {keys[-1]!r}" if keys[-1] else ""
                raise GenerationFailed(f"{self.tag} has no completion left{which}: this was prompt {len(self.prompts)}")
            return Completion(text=queue.popleft(), finish="stop", seconds=0.0)

    def count_tokens(self, text: str) -> None:
        """None: there is no tokenizer."""
        return None

    def close(self) -> None:
        """Nothing is held."""


def _read(path: Path) -> Script:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UnknownModel(f"there is no file {path}", hint=f"scripted: is followed by a file: {FORMAT}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise BackendUnavailable(f"{path} cannot be read: {error}") from error
    try:
        whole = json.loads(text)
    except json.JSONDecodeError:
        return _lines(path, text)
    if isinstance(whole, list):
        return [_one(path, item) for item in whole]
    if isinstance(whole, dict) and all(isinstance(texts, list) for texts in whole.values()):
        return {key: [_one(path, item) for item in texts] for key, texts in whole.items()}
    return [_one(path, whole)]  # a JSONL file of a single line


def _lines(path: Path, text: str) -> list[str]:
    texts = []
    for number, line in enumerate(text.split("\n"), 1):  # splitlines would cut at separators inside a JSON text
        if not line.strip():
            continue
        try:
            texts.append(_one(path, json.loads(line)))
        except json.JSONDecodeError as error:
            raise BackendUnavailable(f"{path}, line {number}, is not JSON: {error.msg}", hint=FORMAT) from error
    return texts


def _one(path: Path, item: Any) -> str:
    text = item.get("completion") if isinstance(item, dict) else item
    if not isinstance(text, str):
        raise BackendUnavailable(f"{path} has something that is not a completion: {json.dumps(item)[:60]}", hint=FORMAT)
    return text
