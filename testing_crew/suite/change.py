"""What a change does to the Python files of a working tree: which statements differ, and in which functions they stand.

Statements are compared by what they mean, so that comments, docstrings, blank lines and another layout are no change.
"""

from __future__ import annotations

import ast
import copy
import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from testing_crew.project.syntax import UNREADABLE, first_line, parse
from testing_crew.suite.reading.git import Entry, Repository, decoded

Status = Literal["added", "modified", "renamed", "deleted"]
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_BLOCKS = ("body", "handlers", "cases", "orelse", "finalbody")
_ALIKE = 0.6  # of the lines of two files; below, one is not the other under a new name
_LONG = 3000  # statements; two texts that differ in more are compared less exactly, but soon


@dataclass(frozen=True)
class FileChange:
    """One file. ``path`` and ``was`` are relative to the top of the repository; of a deleted file ``path`` is where it lay.

    ``lines`` are the changed ones of ``new``, counted from 1: those of statements that are new or not what they were, and of
    the statement beside one that was taken out of a function. ``names`` are the functions and classes that they lie in, by
    qualified name (empty for the module's own), each with the first of its lines. ``added`` and ``removed`` are functions and
    classes that only one of both texts has, ``functions`` all functions of ``new``. ``readable`` is False where one of them is no
    Python: then ``lines`` are those that are not written alike, and there are no names.
    """

    path: str
    status: Status
    was: str | None
    old: str
    new: str
    lines: frozenset[int] = frozenset()
    names: tuple[tuple[str, int], ...] = ()
    added: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()
    functions: frozenset[str] = frozenset()
    readable: bool = True

    @property
    def behaves(self) -> bool:
        """Whether it does something else than before, and does not only lie elsewhere."""
        return bool(self.lines or self.names or self.removed) or self.status == "deleted"


@dataclass(frozen=True)
class _Piece:
    """One statement without those under it: what it says and where it stands, its lines, the definition that it is in."""

    key: tuple[int, str, str]
    first: int
    last: int
    name: str
    in_function: bool


def changes(repository: Repository, commit: str, *, staged: bool = False) -> list[FileChange]:
    """What is not as in ``commit``, by path; ``staged``: only what is staged. Files that behave as before are left out.

    Those that were renamed are there in any case, and files of `settings.SETTINGS`, which are not ``readable``, where a line
    of them differs. Raises `UserMistake` where git cannot say it.
    """
    entries = repository.changed(commit, staged=staged)
    texts = repository.texts(entry.old for entry in entries if entry.old is not None)
    new = {entry.path: _read(repository.top / entry.path) for entry in entries if entry.path is not None}
    found = []
    for entry in _moved(entries, texts, new):
        old = texts[entry.old] if entry.old is not None else ""
        path = entry.path if entry.path is not None else entry.was
        assert path is not None
        status: Status = "deleted" if entry.path is None else "added" if entry.was is None else "modified"
        if entry.path is not None and entry.was not in (None, entry.path):
            status = "renamed"
        change = compare(path, status, entry.was, old, new.get(entry.path or "", ""))
        if change.lines or change.names or change.removed or status in ("deleted", "renamed"):
            found.append(change)
    return sorted(found, key=lambda change: change.path)


def compare(path: str, status: Status, was: str | None, old: str, new: str) -> FileChange:
    """The change from the text ``old`` to the text ``new`` of one file."""
    try:
        before, after = (list(_pieces(parse(text))) if path.endswith(".py") else None for text in (old, new))
    except UNREADABLE:
        before = after = None
    if before is None or after is None:
        return FileChange(path, status, was, old, new, lines=_lines(old, new), readable=False)
    gone = {piece.name for piece in before} - {piece.name for piece in after} - {""}
    there = {piece.name for piece in after} - {piece.name for piece in before} - {""}
    touched: list[_Piece] = []
    names: dict[str, int] = {}
    for _, i, j, k, m in _opcodes([piece.key for piece in before], [piece.key for piece in after]):
        touched += after[k:m]
        if k == m:
            taken = [piece for piece in before[i:j] if piece.name not in gone and piece.name]
            beside = [piece for piece in [*after[k : k + 1], *after[max(k - 1, 0) : k]]]
            for piece in taken:
                near = next((each for each in beside if each.name == piece.name), None)
                names.setdefault(piece.name, near.first if near else 1)
                touched += [near] if near is not None and piece.in_function else []
    written = _lines(old, new) if any(piece.last > piece.first for piece in touched) else frozenset()
    lines: set[int] = set()
    for piece in touched:
        own = range(piece.first, piece.last + 1)
        lines.update(written.intersection(own) or own)
        names[piece.name] = min(names.get(piece.name, piece.first), piece.first)
    ordered = tuple(sorted(names.items(), key=lambda each: each[1]))
    functions = frozenset(piece.name for piece in after if piece.in_function)
    return FileChange(
        path, status, was, old, new, frozenset(lines), ordered, frozenset(there), frozenset(gone), functions
    )


def _pieces(tree: ast.Module) -> Iterator[_Piece]:
    def below(node: ast.AST, depth: int, name: str, inside: bool) -> Iterator[_Piece]:
        for block in _BLOCKS:
            for child in _without_docstring(node, getattr(node, block, [])):
                here, within = name, inside
                if isinstance(child, DEFINITIONS):
                    here = f"{name}.{child.name}" if name else child.name
                    within = not isinstance(child, ast.ClassDef)
                first, last = _head(child)
                yield _Piece((depth, block, _own(child)), first, last, here, within)
                yield from below(child, depth + 1, here, within)

    return below(tree, 0, "", False)


def _without_docstring(node: ast.AST, block: Sequence[ast.AST]) -> Sequence[ast.AST]:
    has = isinstance(node, (ast.Module, *DEFINITIONS)) and ast.get_docstring(node, clean=False) is not None
    return block[1:] if has and block and block[0] is node.body[0] else block  # type: ignore[attr-defined]


def _own(node: ast.AST) -> str:
    bare = copy.copy(node)
    for block in _BLOCKS:
        if isinstance(getattr(bare, block, None), list):
            setattr(bare, block, [])
    return ast.dump(bare)


def _head(node: ast.AST) -> tuple[int, int]:
    """First and last line of a statement, a handler or a case, without what stands under it."""
    blocks = {id(child) for block in _BLOCKS for child in _listed(node, block)}
    own = [child for child in ast.iter_child_nodes(node) if id(child) not in blocks]
    ends = [getattr(child, "end_lineno", 0) for child in own]
    if isinstance(node, ast.match_case):
        return node.pattern.lineno, max(ends)
    if isinstance(node, ast.stmt) and not blocks:
        return first_line(node), node.end_lineno or node.lineno
    first = first_line(node) if isinstance(node, ast.stmt) else node.lineno  # type: ignore[attr-defined]
    return first, max([getattr(node, "lineno", first), *ends])


def _listed(node: ast.AST, block: str) -> list[ast.AST]:
    found = getattr(node, block, None)  # a lambda's and an expression's ``body`` is one node
    return found if isinstance(found, list) else []


def _lines(old: str, new: str) -> frozenset[int]:
    """The lines of ``new`` that are not as they were, blanks at their ends left out."""
    before, after = ([line.strip() for line in text.split("\n")] for text in (old, new))
    return frozenset(line + 1 for _, _, _, k, m in _opcodes(before, after) for line in range(k, m))


def _opcodes(old: Sequence[object], new: Sequence[object]) -> Iterator[tuple[str, int, int, int, int]]:
    """What differs, as `difflib` says it; what both begin and end with is not looked at again."""
    shorter = min(len(old), len(new))
    head = next((index for index in range(shorter) if old[index] != new[index]), shorter)
    rest = shorter - head
    tail = next((index for index in range(rest) if old[-1 - index] != new[-1 - index]), rest)
    a, b = old[head : len(old) - tail], new[head : len(new) - tail]
    matcher = difflib.SequenceMatcher(None, a, b, autojunk=max(len(a), len(b)) > _LONG)
    for tag, i, j, k, m in matcher.get_opcodes():
        if tag != "equal":
            yield tag, i + head, j + head, k + head, m + head


def _moved(entries: list[Entry], texts: dict[str, str], new: dict[str, str]) -> list[Entry]:
    """``entries`` with those that git does not know yet matched with what is gone: a file that was moved without its word."""
    gone = [entry for entry in entries if entry.path is None and entry.old is not None]
    found = []
    for entry in entries:
        if entry.was is not None or entry.path is None:
            continue
        near = [each for each in gone if Path(each.was or "").suffix == Path(entry.path).suffix]
        likely = [(_alike(texts[each.old or ""], new[entry.path]), each.was or "", each) for each in near]
        best = max(likely, default=None, key=lambda each: each[:2])
        if best is not None and best[0] >= _ALIKE:
            gone.remove(best[2])
            found.append(Entry(entry.path, best[2].was, best[2].old))
        else:
            found.append(entry)
    return [*(entry for entry in entries if entry.was is not None and entry.path is not None), *found, *gone]


def _alike(old: str, new: str) -> float:
    if not old.strip() or not new.strip():
        return 0.0
    matcher = difflib.SequenceMatcher(None, old.split("\n"), new.split("\n"))
    return matcher.ratio() if matcher.quick_ratio() >= _ALIKE else 0.0


def _read(path: Path) -> str:
    try:
        return decoded(path.read_bytes())
    except OSError:
        return ""  # it went while it was looked at
