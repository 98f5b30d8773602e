"""Which lines of the target ran: coverage.py where the target's interpreter has it, a small line tracer elsewhere.

What counts as a line of a unit: an executable statement inside the body of a function (or method) that is defined in the
unit's line range, docstrings left out. ``def`` and ``class`` headers, decorators, default values, class attributes and
module code run by importing alone and do not count, so a file that only imports its target has covered nothing. A unit
without a function body (an enum, a bare dataclass) has nothing to cover, and its coverage is None.

Standard library only; coverage.py is imported when it is there.
PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import re
import sys
import threading
from collections import defaultdict
from collections.abc import Iterable
from types import CodeType, FrameType
from typing import Any, Protocol

CO_OPTIMIZED = 1  # set on the code of functions, not on that of modules and class bodies


class Watch(Protocol):
    """Something that notes executed lines, each under the label of the moment."""

    def label(self, name: str) -> None:
        """File what runs from now on under ``name``; empty for none."""

    def stop(self) -> None:
        """Stop watching; must come before the other questions."""

    def labels(self, path: str) -> dict[int, set[str]]:
        """Line of ``path`` → the labels under which it ran."""

    def touched(self) -> dict[str, int]:
        """Each watched file → how many of its lines ran under a label."""

    def measure(self, body: Body) -> dict[str, Any]:
        """The fields of the ``Coverage`` record for the target."""


class Body:
    """The lines of the unit in ``path`` between lines ``first`` and ``last`` (the whole file when they are None).

    ``spans`` are all lines of its function bodies; ``statements`` maps the first line of each executable statement there
    to the last line of that statement's own text; ``shared`` maps a body line on which importing runs something too
    (``def f(x): return x``) to the first line of that function's code and the last of its body.
    """

    def __init__(self, path: str, first: int | None, last: int | None) -> None:
        with open(path, "rb") as file:
            tree = ast.parse(file.read())
        self.path = path
        self.spans: set[int] = set()
        self.statements: dict[int, int] = {}
        self.shared: dict[int, tuple[int, int]] = {}
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and (
                first is None or last is None or first <= node.lineno <= last
            ):
                self._add(node)

    def _add(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        body = function.body[1:] if _is_text(function.body[0]) else function.body
        if not body:
            return
        start = first_line(body[0])
        end = function.end_lineno or start
        self.spans.update(range(start, end + 1))
        if start == function.lineno:
            self.shared[start] = (first_line(function), end)
        for node in (inner for statement in body for inner in ast.walk(statement)):
            if isinstance(node, ast.match_case):
                self.statements[node.pattern.lineno] = node.pattern.lineno
            elif isinstance(node, ast.ExceptHandler) or (isinstance(node, ast.stmt) and _runs(node)):
                inside = getattr(node, "body", None)
                own_end = inside[0].lineno - 1 if inside else node.end_lineno or node.lineno
                self.statements[first_line(node)] = max(node.lineno, own_end)


def first_line(node: ast.stmt | ast.ExceptHandler) -> int:
    """The line on which a statement begins, its decorators counted in."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(d.lineno for d in decorators)])


def _runs(node: ast.stmt) -> bool:
    """Whether a line event comes from ``node``: declarations and docstrings leave none."""
    bare = isinstance(node, ast.AnnAssign) and node.value is None
    return not (bare or isinstance(node, (ast.Global, ast.Nonlocal)) or _is_text(node))


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def figures(lines: Iterable[int], ran: Iterable[int]) -> dict[str, Any]:
    """The line half of the ``Coverage`` record for the executable ``lines`` of which ``ran`` were executed."""
    wanted, done = set(lines), set(ran)
    share = len(wanted & done) / len(wanted) if wanted else None
    return {"line": share, "branch": None, "missed_lines": sorted(wanted - done), "missed_branches": []}


class Unwatched:
    """Nothing is watched: for a run of which only the outcome is asked."""

    def label(self, name: str) -> None:
        pass

    def stop(self) -> None:
        pass

    def labels(self, path: str) -> dict[int, set[str]]:
        return {}

    def touched(self) -> dict[str, int]:
        return {}

    def measure(self, body: Body) -> dict[str, Any]:
        return {}


class Measured:
    """coverage.py, for lines and branches."""

    def __init__(self, paths: list[str], folder: str, survey: str | None) -> None:
        import coverage

        self._folder = folder

        # ``include`` takes patterns, and a path may hold their special characters.
        patterns = [re.sub(r"[*?\[\]{}!]", "?", path) for path in [*paths, *([survey] if survey else [])]]
        patterns += [os.path.join(patterns.pop(), "*")] if survey else []
        self._coverage = coverage.Coverage(data_file=None, branch=True, include=patterns, config_file=False)
        self._coverage.set_option(
            "run:disable_warnings",
            ["no-data-collected", "couldnt-parse", "no-ctracer", "already-imported", "no-sysmon"],
        )
        self._coverage.start()

    def label(self, name: str) -> None:
        with contextlib.suppress(
            Exception
        ):  # a test may have stopped it: what is measured is less, what holds is the same
            self._coverage.switch_context(name)

    def stop(self) -> None:
        self._coverage.stop()

    def labels(self, path: str) -> dict[int, set[str]]:
        return {line: set(names) for line, names in self._coverage.get_data().contexts_by_lineno(path).items()}

    def touched(self) -> dict[str, int]:
        return {path: _labelled(self.labels(path)) for path in self._coverage.get_data().measured_files()}

    def measure(self, body: Body) -> dict[str, Any]:
        answer = os.path.join(self._folder, "coverage.json")
        self._coverage.json_report(morfs=[body.path], outfile=answer)
        with open(answer, encoding="utf-8") as file:
            (found,) = json.load(file)["files"].values()
        # A function whose body stands on the line of its ``def`` ran only if it was entered. coverage.py notes an entry
        # as an arc from minus the first line of the code; the module itself is the code that begins at line 1.
        arcs = set(self._coverage.get_data().arcs(body.path) or [])
        entered = {
            line
            for line, (start, end) in body.shared.items()
            if any((-start, reached) in arcs for reached in range(line, end + 1)) and (start > 1 or (1, -1) in arcs)
        }
        ran = {line for line in found["executed_lines"] if line not in body.shared or line in entered}
        lines = body.spans & {*found["executed_lines"], *found["missing_lines"]}
        forks = lines - body.shared.keys()  # there, importing and calling look like two ways out of one line
        taken = [arc for arc in found["executed_branches"] if arc[0] in forks]
        missed = sorted(tuple(arc) for arc in found["missing_branches"] if arc[0] in forks)
        total = len(taken) + len(missed)
        return {**figures(lines, ran), "branch": len(taken) / total if total else None, "missed_branches": missed}


class Traced:
    """A line tracer of our own, for an interpreter without coverage.py: lines only."""

    def __init__(self, paths: list[str], survey: str | None) -> None:
        self._paths = set(paths)
        self._survey = survey and os.path.join(survey, "")
        self._known: dict[str, str | None] = {}
        self._label = ""
        self._ran: defaultdict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
        self._in_functions: defaultdict[str, set[int]] = defaultdict(set)
        threading.settrace(self._enter)
        sys.settrace(self._enter)

    def _path(self, code: CodeType) -> str | None:
        name = code.co_filename
        if name not in self._known:
            real = os.path.realpath(name)
            wanted = real in self._paths or bool(self._survey and real.startswith(self._survey))
            self._known[name] = real if wanted else None
        return self._known[name]

    def _enter(self, frame: FrameType, event: str, _: object) -> Any:
        return self._line if self._path(frame.f_code) is not None else None

    def _line(self, frame: FrameType, event: str, _: object) -> Any:
        path = self._path(frame.f_code)
        if event == "line" and path is not None:
            self._ran[path][frame.f_lineno].add(self._label)
            if frame.f_code.co_flags & CO_OPTIMIZED:
                self._in_functions[path].add(frame.f_lineno)
        return self._line

    def label(self, name: str) -> None:
        self._label = name

    def stop(self) -> None:
        sys.settrace(None)
        threading.settrace(None)

    def labels(self, path: str) -> dict[int, set[str]]:
        return self._ran.get(path, {})

    def touched(self) -> dict[str, int]:
        return {path: _labelled(ran) for path, ran in self._ran.items()}

    def measure(self, body: Body) -> dict[str, Any]:
        seen = self._in_functions[body.path]
        ran = [start for start, end in body.statements.items() if any(n in seen for n in range(start, end + 1))]
        return figures(body.statements, ran)


def _labelled(ran: dict[int, set[str]]) -> int:
    return sum(bool(names - {""}) for names in ran.values())


def watch(paths: list[str], folder: str, survey: str | None = None) -> Watch:
    """Begin to watch ``paths`` (real paths of files) and what lies in the folder ``survey``.

    ``folder`` takes what coverage.py writes in passing.
    """
    try:
        return Measured(paths, folder, survey)
    except ImportError:
        return Traced(paths, survey)
