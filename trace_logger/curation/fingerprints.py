"""Fingerprints of benchmark tasks: what training data must not resemble.

A task is known by the hashes of its normalised functions and classes, and by a sketch (the smallest hashes of its token
n-grams) of its code and of each longer docstring. A text resembles it when it holds one of the hashes, or most of a sketch: so
a task is found inside a larger file, with other comments, or with a few lines changed.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from trace_logger.errors import FingerprintError

VERSION = 1
GRAM = 5  # tokens
SKETCH = 64  # hashes kept of each text
SHORTEST = 8  # n-grams; a shorter text is known by its hash alone
SHARE = 0.7  # of a sketch's hashes found again
_TOKEN = re.compile(r"\w+|[^\w\s]")
_DEFINITION = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def normalised(code: str) -> str:
    """``code`` without comments, docstrings and the writer's layout; text that is no Python with its spaces made one."""
    tree = _parsed(code)
    return " ".join(code.split()) if tree is None else ast.unparse(_without_docstrings(tree))


def code_hash(code: str) -> str:
    """The hash of what is left of ``code`` when it is `normalised`."""
    return hashlib.sha256(normalised(code).encode("utf-8", "replace")).hexdigest()[:16]


def tokens(text: str) -> list[str]:
    """The words and signs of a text, in order."""
    return _TOKEN.findall(text)


class Fingerprints:
    """The fingerprints of many tasks, by the tasks' ids."""

    def __init__(self, hashes: dict[str, str], sketches: list[tuple[str, list[int]]]) -> None:
        self._hashes = hashes
        self._sketches = sketches

    @classmethod
    def of(cls, texts: Iterable[tuple[str, str]]) -> Fingerprints:
        """Take the fingerprints of (task id, text) pairs; an id may come with several texts: its code, its question."""
        hashes: dict[str, str] = {}
        sketches: list[tuple[str, list[int]]] = []
        for task, text in texts:
            for each in _hashes(text):
                hashes.setdefault(each, task)
            for part in _parts(text):
                grams = sorted(_grams(part))
                if len(grams) >= SHORTEST:
                    sketches.append((task, grams[:SKETCH]))
        return cls(hashes, sketches)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Fingerprints:
        """Read what `save` wrote. Raises `FingerprintError` when the file is not there or is something else."""
        hint = "Write one: testing-crew bench fingerprints --out FILE"
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            if (content["version"], content["gram"]) != (VERSION, GRAM):
                raise FingerprintError(f"{path} was written by another version of testing-crew.", hint=hint)
            sketches = [(str(task), [int(n) for n in sketch]) for task, sketch in content["sketches"]]
            return cls({str(k): str(v) for k, v in content["hashes"].items()}, sketches)
        except OSError as error:
            raise FingerprintError(
                f"The fingerprint file {path} cannot be read: {error.strerror}.", hint=hint
            ) from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise FingerprintError(f"{path} is no fingerprint file.", hint=hint) from None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file, whole or not at all. Raises `FingerprintError` when it cannot be written."""
        content = {"version": VERSION, "gram": GRAM, "hashes": self._hashes, "sketches": self._sketches}
        place = Path(path)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=place.parent, encoding="utf-8", delete=False) as file:
                json.dump(content, file, sort_keys=True)
            os.chmod(file.name, 0o644)
            os.replace(file.name, place)
        except OSError as error:
            raise FingerprintError(f"The fingerprint file {path} cannot be written: {error.strerror}.") from error

    def __or__(self, other: Fingerprints) -> Fingerprints:
        """Those of both."""
        return Fingerprints(other._hashes | self._hashes, [*self._sketches, *other._sketches])

    @property
    def tasks(self) -> list[str]:
        """The ids of the tasks, sorted."""
        return sorted({*self._hashes.values(), *(task for task, _ in self._sketches)})

    def resembles(self, text: str) -> str | None:
        """The id of the task that ``text`` is, holds, or is near to; None when there is none."""
        for each in _hashes(text):
            if each in self._hashes:
                return self._hashes[each]
        grams = {gram for part in _parts(text) for gram in _grams(part)}
        found = Counter(number for gram in grams & self._index.keys() for number in self._index[gram])
        near = [number for number, hits in found.items() if hits >= SHARE * len(self._sketches[number][1])]
        return self._sketches[min(near)][0] if near else None

    @cached_property
    def _index(self) -> dict[int, list[int]]:
        index: dict[int, list[int]] = {}
        for number, (_, sketch) in enumerate(self._sketches):
            for gram in sketch:
                index.setdefault(gram, []).append(number)
        return index


def _parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, (*_DEFINITION, ast.Module)) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or ([] if isinstance(node, ast.Module) else [ast.Pass()])
    return tree


def _hashes(text: str) -> list[str]:
    tree = _parsed(text)
    definitions = [n for n in tree.body if isinstance(n, _DEFINITION)] if tree else []
    return [code_hash(ast.unparse(n)) for n in definitions] or [code_hash(text)]


def _parts(text: str) -> list[str]:
    """The code without its docstrings, and each docstring; text that is no Python is one part."""
    tree = _parsed(text)
    if tree is None:
        return [text]
    said = [ast.get_docstring(n) or "" for n in ast.walk(tree) if isinstance(n, (*_DEFINITION, ast.Module))]
    return [ast.unparse(_without_docstrings(tree)), *filter(None, said)]


def _grams(text: str) -> set[int]:
    words = tokens(text)
    grams = {" ".join(words[i : i + GRAM]) for i in range(len(words) - GRAM + 1)}
    return {int.from_bytes(hashlib.blake2b(g.encode("utf-8", "replace"), digest_size=6).digest(), "big") for g in grams}
