"""Which row or assertion of a test file a line of its failure log is about, and what is noted there (``notes.py``)."""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from testing_crew.project.syntax import UNREADABLE, parse_expression
from testing_crew.runner.failures import MAX_VALUE, clip
from testing_crew.runner.inside.watch import asserts

TOO_LONG = "a value too long to show"
_LOG_LINE = re.compile(r"([^\W\d]\w*)\(")
_OUTCOME = r": (?=got |raised |did not raise |.* is false$)"
_MOST_UNKNOWN = (
    2  # values of a row that are no literals; with more of them, a line of the log could be read in many ways
)
_Function = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class _Place:
    """A row or an assertion: the line that it ends in, and how it is named where others end there too."""

    line: int
    label: str = ""


@dataclass(frozen=True)
class _Row:
    """A row of a ``parametrize`` list: what its case is called in the log, and the reprs of its values, where known."""

    place: _Place
    pattern: str
    values: tuple[str | None, ...]


def notes(tree: ast.Module, log: Sequence[str]) -> dict[int, list[str]]:
    """What is to be noted at the ends of the lines of ``tree``, from the lines of a failure log; only what is certain."""
    functions: dict[str, list[ast.FunctionDef | ast.AsyncFunctionDef]] = defaultdict(list)
    for node in ast.walk(tree):
        if isinstance(node, _Function):
            functions[node.name].append(node)
    told: dict[str, list[str]] = defaultdict(list)
    for line in log:
        named = _LOG_LINE.match(line)
        if named and len(functions[named[1]]) == 1:  # of two functions with one name the log does not say which
            told[named[1]].append(line.removeprefix(named[1]))
    crowd: Counter[int] = Counter(claim.last for claim in asserts.claims(tree))
    found: dict[_Place, set[str]] = defaultdict(set)
    for name, lines in told.items():
        function = functions[name][0]
        rows = _rows(function)
        if rows:
            crowd.update(row.place.line for row in rows)
            pairs = _about_rows(rows, lines)
        elif not any(_parametrize(d) for d in function.decorator_list):
            pairs = [(place, note) for line in lines for place, note in _about_claim(tree, function, line)]
        else:
            pairs = []
        for place, note in pairs:
            found[place].add(note)
    noted: dict[int, list[str]] = defaultdict(list)
    for place, said in found.items():
        alone = crowd[place.line] == 1
        if len(said) == 1 and (alone or place.label):
            noted[place.line] += said if alone else [f"{place.label}: {next(iter(said))}"]
    return noted


def _note(outcome: str, known: Sequence[str | None]) -> str | None:
    """The note for what a line of the log says after the case's name; ``known`` are values that it may have expected."""
    if outcome.startswith("got "):
        value = _actual(outcome.removeprefix("got "), known)
        return None if value is None else f"got {TOO_LONG if _is_cut(value) else value}"
    if outcome.startswith("did not raise "):
        return "did not raise"
    raised = re.match(r"raised (\w+)(?:: |$)", outcome)
    if raised:
        return f"raised {raised[1]}"
    return "is false" if outcome.endswith(" is false") else None


def _is_cut(value: str) -> bool:
    return len(value) == MAX_VALUE and value.endswith("...")


def _actual(text: str, known: Sequence[str | None]) -> str | None:
    """The first value of ``A, expected B``; None where the text can be divided in more ways than one."""
    cuts = [match.start() for match in re.finditer(", expected ", text)]
    ways = [(text[:at], text[at + len(", expected ") :]) for at in cuts]
    if len(ways) > 1:
        ways = [(a, b) for a, b in ways if b in known] or ways
    if len(ways) > 1:
        ways = [(a, b) for a, b in ways if _value(a) is not None and (_value(b) is not None or b in known)]
    return ways[0][0] if len(ways) == 1 else None


def _value(text: str) -> str | None:
    """The repr of the literal that ``text`` is; None where it is none, or one whose repr may vary from run to run."""
    try:
        return _literal(parse_expression(text))
    except UNREADABLE:
        return None


def _literal(node: ast.expr) -> str | None:
    if any(isinstance(inner, ast.Set) and len(inner.elts) > 1 for inner in ast.walk(node)):
        return None  # in the order of its hashes
    try:
        return clip(repr(ast.literal_eval(node)))
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None


def _parametrize(decorator: ast.expr) -> ast.Call | None:
    called = isinstance(decorator, ast.Call) and ast.unparse(decorator.func).endswith("parametrize")
    return decorator if called and isinstance(decorator, ast.Call) else None


def _rows(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[_Row]:
    """The rows of the one ``parametrize`` list of ``function``; none where it is not written out, or not alone."""
    calls = [call for decorator in function.decorator_list if (call := _parametrize(decorator))]
    if len(calls) != 1:
        return []
    given = dict(zip(("argnames", "argvalues"), calls[0].args, strict=False))
    given |= {keyword.arg: keyword.value for keyword in calls[0].keywords if keyword.arg}
    names, values = given.get("argnames"), given.get("argvalues")
    if not isinstance(values, (ast.List, ast.Tuple)) or any(isinstance(row, ast.Starred) for row in values.elts):
        return []
    try:
        listed = ast.literal_eval(names) if names is not None else ()
    except (ValueError, TypeError):
        return []
    split = [name.strip() for name in listed.split(",") if name.strip()] if isinstance(listed, str) else list(listed)
    arguments = [a.arg for a in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]
    if not split or set(split) - set(arguments):
        return []
    order = sorted(range(len(split)), key=lambda i: arguments.index(split[i]))
    rows = [_row(node, len(split), isinstance(listed, str) and len(split) == 1, order) for node in values.elts]
    # A fixture with values of its own would stand in the log's rows as well: only known values tell then.
    closed = not set(arguments) - set(split) - {"self", "cls"}
    return rows if closed or not any(".*" in row.pattern for row in rows) else []


def _row(node: ast.expr, width: int, single: bool, order: Sequence[int]) -> _Row:
    values: list[ast.expr]
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("param"):
        values = node.args
    elif single:
        values = [node]
    else:
        values = node.elts if isinstance(node, (ast.Tuple, ast.List)) else []
    place = _Place(node.end_lineno or node.lineno, clip(ast.unparse(node)))
    if len(values) != width or any(isinstance(value, ast.Starred) for value in values):
        return _Row(place, r"\(.*\)", (None,))
    reprs = tuple(_literal(values[i]) for i in order)
    if None not in reprs:
        return _Row(place, re.escape(clip(f"({', '.join(map(str, reprs))})")), reprs)
    inner = ", ".join(
        _any_order(values[i]) if text is None else re.escape(text) for i, text in zip(order, reprs, strict=True)
    )
    return _Row(place, rf"\({inner}\)", reprs)


def _any_order(node: ast.expr) -> str:
    """A pattern for the repr of a value that is no literal, or a set, whose members may stand in any order."""
    members = [_literal(member) for member in node.elts] if isinstance(node, ast.Set) else [None]
    if None in members:
        return ".*"
    one = f"(?:{'|'.join(re.escape(str(member)) for member in members)})"
    return rf"\{{{one}(?:, {one}){{{len(members) - 1}}}\}}"


def _about_rows(rows: Sequence[_Row], lines: Sequence[str]) -> list[tuple[_Place, str]]:
    """Which row each line is about: the one that it can only be about, or of rows that are the same, each in its turn."""
    if any(row.pattern.count(".*") > _MOST_UNKNOWN for row in rows):
        return []
    fitting = [tuple(i for i, row in enumerate(rows) if re.match(row.pattern + _OUTCOME, line)) for line in lines]
    turns: Counter[tuple[int, ...]] = Counter()
    found = []
    for line, fits in zip(lines, fitting, strict=True):
        same = len({rows[i].pattern for i in fits}) == 1 and ".*" not in rows[fits[0]].pattern
        if len(fits) != 1 and not (same and fitting.count(fits) == len(fits)):
            continue
        row = rows[fits[turns[fits] % len(fits)]]
        turns[fits] += 1
        ends = {m.end() for p in (row.pattern, row.pattern.replace(".*", ".*?")) if (m := re.match(p + _OUTCOME, line))}
        note = _note(line[ends.pop() :], row.values) if len(ends) == 1 else None
        if note is not None:
            found.append((row.place, note))
    return found


def _about_claim(
    tree: ast.Module, function: ast.FunctionDef | ast.AsyncFunctionDef, line: str
) -> list[tuple[_Place, str]]:
    """The one claim of a test without rows that ``line`` can be about, with its note."""
    if not line.startswith("(): "):
        return []
    outcome = line.removeprefix("(): ")
    mine = asserts.claims(function)
    every = [*mine, *(claim for helper in _helpers(tree, function) for claim in asserts.claims(helper))]
    known: list[str | None] = []
    if outcome.startswith("got "):
        known = [text for claim in every for side in _sides(claim) if (text := _literal(side)) is not None]
        fits = [claim for claim in every if _could_be(claim, outcome)]
    elif outcome.startswith("did not raise "):
        name = outcome.removeprefix("did not raise ")
        fits = [claim for claim in every if name in _raises(claim)]
    elif outcome.startswith("raised "):
        fits = mine if _only_step(tree, function) and len(mine) == 1 else []
    else:
        fits = [
            c
            for c in every
            if isinstance(c.node, ast.Assert)
            and clip(f"{function.name}(): {asserts.expression(c.node, with_message=False)} is false", 2 * MAX_VALUE)
            == function.name + line
        ]
    note = _note(outcome, known)
    if note is None or len(fits) != 1 or fits[0] not in mine:
        return []
    return [(_Place(fits[0].last), note)]


def _helpers(tree: ast.Module, function: ast.AST) -> list[ast.AST]:
    """What ``function`` calls or asks for in its file, and what that does in turn: a claim of theirs may have failed."""
    left = {n for n in ast.walk(tree) if isinstance(n, _Function)} - set(ast.walk(function))
    reached: list[ast.AST] = [function]
    for node in reached:
        names = {getattr(n, "id", getattr(n, "attr", getattr(n, "arg", None))) for n in ast.walk(node)}
        reached += [helper for helper in left if helper.name in names]
        left -= set(reached)
    return reached[1:]


def _sides(claim: asserts.Claim) -> list[ast.expr]:
    """The operands of the equalities that a claim asserts."""
    if not isinstance(claim.node, ast.Assert):
        return []
    test = claim.node.test
    parts = test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And) else [test]
    equal = [p for p in parts if isinstance(p, ast.Compare) and len(p.ops) == 1 and isinstance(p.ops[0], ast.Eq)]
    return [side for p in equal for side in (p.left, p.comparators[0])]


def _could_be(claim: asserts.Claim, outcome: str) -> bool:
    """Whether the values of ``got A, expected B`` could be the two sides of one of the claim's equalities."""
    sides = _sides(claim)
    for left, right in zip(sides[::2], sides[1::2], strict=True):
        literals = [text for text in (_literal(left), _literal(right)) if text is not None]
        if all(outcome.startswith(f"got {t}, expected ") or outcome.endswith(f", expected {t}") for t in literals):
            return True
    return False


def _raises(claim: asserts.Claim) -> set[str]:
    """The exceptions that a claim of the form ``pytest.raises(…)`` expects, by their bare names."""
    node = claim.node
    if isinstance(node, (ast.With, ast.AsyncWith)):
        calls = [item.context_expr for item in node.items]
    else:
        calls = [node.value] if isinstance(node, ast.Expr) else []
    found = set()
    for call in calls:
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("raises") and call.args:
            first = call.args[0]
            found |= {
                ast.unparse(e).rpartition(".")[2] for e in (first.elts if isinstance(first, ast.Tuple) else [first])
            }
    return found


def _only_step(tree: ast.Module, function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether nothing but one statement of ``function`` could have raised: no fixture, no set-up, no other call."""
    fixtures = [
        n
        for n in ast.walk(tree)
        if isinstance(n, _Function)
        and (
            n.name.lower().startswith(("setup", "teardown"))
            or "fixture" in " ".join(map(ast.unparse, n.decorator_list))
        )
    ]
    arguments = {a.arg for a in ast.walk(function.args) if isinstance(a, ast.arg)} - {"self"}
    steps = [
        s
        for s in function.body
        if any(isinstance(n, (ast.Call, ast.Attribute, ast.Subscript, ast.BinOp)) for n in ast.walk(s))
    ]
    return not fixtures and not arguments and len(steps) <= 1
