"""What the new text of a test file no longer checks that the old one did: seen in the texts alone, test by test.

Tests may be renamed, moved, split and merged into rows, and checks moved into helpers: what stands elsewhere is not lost.
"""

from __future__ import annotations

import ast
import builtins
import difflib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from testing_crew.gate.text import read
from testing_crew.gate.weight import FunctionNode
from testing_crew.project.syntax import UNREADABLE
from testing_crew.suite.reading.checks import ALWAYS, EXACT, HARDLY, MEMBER, NEAR, SOME, Check
from testing_crew.suite.reading.nodes import constants_in, names_in, shown, shown_whole
from testing_crew.suite.reading.skips import Skip, skips_around, skips_in
from testing_crew.suite.reading.texts import Text, fresh_in, rows_of, running

Kind = Literal["removed", "dropped", "swallowed", "skipped", "weaker", "rows"]
_ALIKE = 0.6  # of the texts of two tests; below, one is not the other under a new name
_NEAR = 0.5  # of the texts of two checks; below, one does not stand in for the other
_HOLDS = {
    ALWAYS: "always holds",
    HARDLY: "holds for nearly any result",
    SOME: "holds for many results",
    MEMBER: "does not say which result it is",
    NEAR: "says less of the result",
}


@dataclass(frozen=True)
class Weak:
    """One thing that is no longer checked. ``line`` is in the new text, None where nothing of it is left there.

    ``name`` is the test, by its qualified name, or a helper of the tests, or empty for the whole file; ``says`` is a sentence
    with the old line and the new one. ``uses`` are the names of the code that it was about.
    """

    kind: Kind
    name: str
    line: int | None
    says: str
    uses: frozenset[str] = frozenset()


def weakened(old: str, new: str, elsewhere: Sequence[str] = ()) -> tuple[Weak, ...]:
    """What the text ``new`` of a test file checks less than ``old`` did, in order of line.

    ``elsewhere`` are the new texts of other test files that changed, where a test may have gone to. Nothing is said where one
    of the texts cannot be read as Python.
    """
    try:
        before, after, *others = (Text(read(text)) for text in (old, new, *elsewhere))
        found = [*_Comparison(before, after, others).found()]
    except UNREADABLE:
        return ()
    return tuple(sorted(dict.fromkeys(found), key=lambda weak: (weak.line or 0, weak.name)))


@dataclass
class _Comparison:
    before: Text
    after: Text
    others: list[Text]

    def __post_init__(self) -> None:
        texts = [self.after, *self.others]
        helpers = not self.before.tests  # a file beside tests
        self.run = running(texts, helpers=helpers)
        self.fresh = [
            each for text, run in zip(texts, self.run, strict=True) for each in fresh_in(self.before, text, run)
        ]
        had = Counter(self.before.open_keys(*running([self.before], helpers=helpers)))
        has = Counter(key for text, run in zip(texts, self.run, strict=True) for key in text.open_keys(run))
        self.kept = {key for key, times in had.items() if has[key] >= times}
        self.names = names_in(self.after.tree)

    def found(self) -> Iterator[Weak]:
        before, after = self.before, self.after
        pairs = _matched(before, after)
        yield from _skipped("", skips_around(before.tree), skips_around(after.tree))
        classes = {node.name: node for node in before.tree.body if isinstance(node, ast.ClassDef)}
        left_out: set[str] = set()
        for node in after.tree.body:
            if isinstance(node, ast.ClassDef) and node.name in classes:
                skipped = list(_skipped(node.name, skips_around(classes[node.name]), skips_around(node)))
                left_out |= {node.name} if skipped else set()
                yield from skipped
        for name, function in before.functions.items():
            if name in pairs and (name not in before.tests or pairs[name] in after.tests):
                yield from self._less(name, pairs[name])
                if name in before.tests:
                    yield from self._left_out(name, pairs[name])
            elif name.partition(".")[0] in left_out:
                continue  # told of the class
            elif name in before.tests and not self._is_elsewhere(name):
                yield self._removed(name, function)

    def _removed(self, name: str, function: FunctionNode) -> Weak:
        """The test ``name`` is gone, or its text is still there where pytest does not collect it."""
        checks, after = self.before.checks[name], self.after
        said = " and ".join(dict.fromkeys(f"`{check.text}`" for check in checks[:2])) or f"`{_last(function)}`"
        keys = {check.key for check in checks}
        idle = [each for each in after.functions if each not in after.tests and each not in self.run[0]]
        left = next((each for each in idle if keys and keys <= {check.key for check in after.checks[each]}), None)
        if left is None:
            return Weak("removed", name, None, f"the test is gone, with {said}", self.before.uses(name))
        says = f"pytest does not collect `{left}`, where {said} stands now"
        return Weak("removed", name, after.functions[left].lineno, says, self.before.uses(name))

    def _less(self, name: str, now: str) -> Iterator[Weak]:
        """What the function ``now`` checks less than ``name`` did."""
        had, has = self.before.checks[name], self.after.checks[now]
        held = {check.key: check for check in has if not check.swallowed}
        quiet = {check.key: check for check in has if check.swallowed}
        known = {check.key for check in had}
        free = [check for key, check in held.items() if key not in known]
        lost = [each for each in had if not each.swallowed and each.key not in held and each.key not in self.kept]
        for check in sorted(lost, key=lambda each: -each.rank):
            other = _stands_in(check, free, self.names)
            if check.key in quiet:
                says = f"a failure of `{check.text}` is caught now, and fails nothing"
                yield Weak("swallowed", now, quiet[check.key].line, says, check.uses)
            elif other is not None:
                free.remove(other)
                if how := _weaker(check, other, has):
                    says = f"`{check.text}` became `{other.text}`, which {how}"
                    yield Weak("weaker", now, other.line, says, check.uses)
            elif not _implied(check, has) and not self._is_fresh(check):
                new = self.after.functions[now]
                left = has[-1].text if has else _last(new)
                yield Weak("dropped", now, new.lineno, f"`{check.text}` is gone; what is left is `{left}`", check.uses)
        conditions = {shown(n.test) for n in ast.walk(self.before.functions[name]) if isinstance(n, ast.If)}
        for check in had:
            guards = held[check.key].guards if check.key in held else ()
            guard = next((each for each in guards if each not in conditions), None)
            if guard is not None and len(guards) > len(check.guards):
                says = f"`{check.text}` is asked only where `if {guard}` holds"
                yield Weak("weaker", now, held[check.key].line, says, check.uses)

    def _left_out(self, name: str, now: str) -> Iterator[Weak]:
        """By which the test ``now`` is left out, or ends early, or has fewer rows than ``name``."""
        before, after = self.before, self.after
        old, new = before.functions[name], after.functions[now]
        into = after.owners.get(now) if name not in before.owners else None
        around = skips_around(into) if into is not None else []
        yield from _skipped(now, skips_in(old, before.tree), [*skips_in(new, after.tree), *around])
        known = {ast.dump(node) for node in ast.walk(old) if isinstance(node, (ast.If, ast.Return))}
        last = max((check.line for check in after.checks[now]), default=0)
        for node in new.body:
            returns = isinstance(node, ast.Return) or (
                isinstance(node, ast.If) and isinstance(node.body[-1], ast.Return)
            )
            if returns and ast.dump(node) not in known and node.lineno < last:
                text = f"if {shown(node.test)}: return" if isinstance(node, ast.If) else "return"
                yield Weak("skipped", now, node.lineno, f"it ends at a new `{text}`, before its checks")
        yield from self._rows(name, now)

    def _rows(self, name: str, now: str) -> Iterator[Weak]:
        """Rows of a ``parametrize`` that are gone, where there are fewer of them."""
        was, became = rows_of(self.before, name), rows_of(self.after, now)
        if was is None or became is None:
            return
        left = Counter(map(ast.dump, became))
        gone = []
        for row in was:
            left[ast.dump(row)] -= 1
            if left[ast.dump(row)] < 0 and not any(each.has(frozenset(), constants_in(row)) for each in self.fresh):
                gone.append(row)
        if len(became) < len(was) and gone:
            says = f"of {len(was)} rows of its parametrize {len(became)} are left; gone is `{shown(gone[0])}`"
            yield Weak("rows", now, self.after.functions[now].lineno, says, self.before.uses(name))

    def _is_elsewhere(self, name: str) -> bool:
        """Whether a test that is gone stands under another name or in another file, or became part of another test."""
        if any(_likeness(self.before, name, text, each) >= _ALIKE for text in self.others for each in text.tests):
            return True
        checks = self.before.checks[name]
        return bool(checks) and all(check.key in self.kept or self._is_fresh(check) for check in checks)

    def _is_fresh(self, check: Check) -> bool:
        return any(each.has(check.uses, check.constants) for each in self.fresh)


def _stands_in(check: Check, others: list[Check], names: set[str]) -> Check | None:
    """Which of ``others`` stands where ``check`` stood: one about the same thing, or about what has a new name."""

    def likeness(other: Check) -> float:
        about = not check.uses or not other.uses or check.uses & other.uses or not check.uses & names
        if not about:
            return 0.0
        alike = difflib.SequenceMatcher(None, check.key, other.key, autojunk=False).ratio()
        return 1.0 + alike if check.subject == other.subject else alike

    best = max(others, key=likeness, default=None)
    return best if best is not None and likeness(best) >= _NEAR else None


def _weaker(check: Check, other: Check, has: list[Check]) -> str:
    """In which way ``other`` says less than ``check``; empty where it does not."""
    if check.expects and other.expects:
        wide = [name for name in other.expects if any(_is_wider(name, each) for each in check.expects)]
        if wide or other.expects > check.expects:
            return f"lets {', '.join(sorted(wide or other.expects - check.expects))} pass as well"
        if check.match and not other.match and not any("value" in each.key or "args" in each.key for each in has):
            return "no longer looks at the message"
        return ""
    if other.tolerance is not None and other.rank == NEAR:
        was = check.tolerance or (0.0, 0.0)
        if check.rank >= NEAR and any(now > then for now, then in zip(other.tolerance, was, strict=True)):
            return "allows more difference"
    if check.rank == EXACT and other.rank == NEAR and "approx" in other.key + other.text:
        return ""  # a comparison of floats that was mended
    return _HOLDS[other.rank] if other.rank < check.rank and not check.expects else ""


def _is_wider(name: str, than: str) -> bool:
    wide, narrow = (getattr(builtins, each, None) for each in (name, than))
    if name == than or not (isinstance(wide, type) and issubclass(wide, BaseException)):
        return False
    if not isinstance(narrow, type):  # of the project's own: only what catches everything is surely wider
        return wide in (Exception, BaseException)
    return issubclass(narrow, wide)


def _implied(check: Check, has: list[Check]) -> bool:
    """Whether what ``check`` says follows from another check of the same thing, or became the ``match`` of an exception."""
    if check.rank == ALWAYS or (".value" in check.subject and any(each.match for each in has)):
        return True
    firmer = (each for each in has if not each.swallowed and each.subject == check.subject and each.rank > check.rank)
    return check.rank <= SOME and any(firmer)


def _matched(before: Text, after: Text) -> dict[str, str]:
    """Which function of the new text each of the old one became: by its name, else by its likeness."""
    pairs = {name: name for name in before.functions if name in after.functions}
    left = [name for name in before.functions if name not in pairs and name in before.tests]
    free = [name for name in after.tests if name not in before.functions]
    scored = []
    for name in left:
        for other in free:
            alike = _likeness(before, name, after, other)
            if alike >= _ALIKE:
                scored.append((alike, name, other))
    for _, name, other in sorted(scored, reverse=True):
        if name not in pairs and other not in pairs.values():
            pairs[name] = other
    return pairs


def _likeness(before: Text, name: str, after: Text, other: str) -> float:
    uses, others = before.uses(name), after.uses(other)
    if uses and others and not uses & others:
        return 0.0
    if name.rpartition(".")[2] == other.rpartition(".")[2]:
        return 1.0
    one, two = (
        shown_whole(ast.Module(text.functions[each].body, [])) for text, each in ((before, name), (after, other))
    )
    matcher = difflib.SequenceMatcher(None, one, two, autojunk=False)
    return matcher.ratio() if matcher.quick_ratio() >= _ALIKE else 0.0


def _skipped(name: str, was: list[Skip], now: list[Skip]) -> Iterator[Weak]:
    """Marks and calls that leave tests out, and that are new."""
    known = Counter(skip.kind for skip in was)
    for skip in now:
        if known[skip.kind] > 0:
            known[skip.kind] -= 1
        else:
            ignored = skip.kind.startswith("collect_ignore")
            what = "it is" if name else "test files are" if ignored else "the whole file is"
            yield Weak("skipped", name, skip.line, f"{what} left out by a new `{skip.text}`")


def _last(function: FunctionNode) -> str:
    """What ``function`` ends with."""
    last = function.body[-1]
    return shown(last).partition(":")[0] if hasattr(last, "body") else shown(last)
