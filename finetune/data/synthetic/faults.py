"""Faults put into a true test file, and the lines that the agent's own normaliser makes of pytest's run of it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Any

from finetune.data.synthetic import values
from finetune.data.synthetic.tables import LONGEST_VALUE, Row, Table, row_shown
from testing_crew.runner import failures
from trace_logger.records import CaseResult


@dataclass
class Broken:
    """A file with a fault, the file without it, and the log that pytest's run of the first leaves."""

    failed: Table
    fixed: Table
    log: list[str] = field(default_factory=list)


def _got(table: Table, row: Row, expected: Any, actual: Any) -> str:
    return failures.failure_line(
        CaseResult(
            node="",
            function=f"test_{table.program.unit}",
            outcome="failed",
            row=row_shown((*row.args, expected)),
            exception="AssertionError",
            actual=values.literal(actual),
            expected=values.literal(expected),
        )
    )


def _raised(function: str, row: tuple[Any, ...], exception: str, message: str) -> str:
    case = CaseResult(
        node="", function=function, outcome="failed", row=row_shown(row), exception=exception, message=message
    )
    return failures.failure_line(case)


def _plain(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(a for a in arguments if not hasattr(a, "shown"))


def _guessed(rng: random.Random, table: Table, row: Row, guesses: list[Any], log: list[str]) -> Row:
    """The row with a wrong value, which ``log`` is told; the row itself where none is found."""
    guess = values.wrong(rng, row.value, _plain(row.args), guesses)
    if guess == row.value or len(values.literal(guess)) > LONGEST_VALUE:
        return row
    log.append(_got(table, row, guess, row.value))
    return replace(row, value=guess)


def _break_values(rng: random.Random, table: Table, made_up: bool) -> Broken | None:
    """Wrong expected values; where ``made_up``, the log's answers have nothing to do with the code."""
    if not table.returned:
        return None
    share = rng.choice((0.3, 0.6, 1.0))
    failed, fixed, log = [], [], []
    others = [r.value for r in table.returned]
    for row in table.returned:
        if rng.random() > share:
            failed.append(row)
            fixed.append(row)
            continue
        actual = values.unrelated(rng, row.value) if made_up else row.value
        guess = values.wrong(rng, actual, _plain(row.args), others)
        if guess == actual or (guess != guess) or len(values.literal(guess)) > LONGEST_VALUE:
            failed.append(replace(row, value=actual))
        else:
            failed.append(replace(row, value=guess))
            log.append(_got(table, row, guess, actual))
        fixed.append(replace(row, value=actual))
    if not log:
        return None
    return Broken(replace(table, returned=tuple(failed)), replace(table, returned=tuple(fixed)), log)


_EXCEPTIONS = (
    "ValueError",
    "TypeError",
    "KeyError",
    "IndexError",
    "ZeroDivisionError",
    "AttributeError",
    "RuntimeError",
)
_MESSAGES = (
    "bad value",
    "'int' object is not iterable",
    "list index out of range",
    "division by zero",
    "empty",
    "'x'",
    "must be positive",
)


def _break_raises_in_table(rng: random.Random, table: Table, made_up: bool) -> Broken | None:
    """Rows that raise stood among the rows that return; other values may be wrong as well."""
    moved = list(table.raised)
    if made_up and table.returned:
        moved = [
            replace(r, raises=rng.choice(_EXCEPTIONS), message=rng.choice(_MESSAGES))
            for r in rng.sample(table.returned, rng.randint(1, len(table.returned)))
        ]
        if rng.random() < 0.7:
            moved = [replace(r, raises=moved[0].raises, message=moved[0].message) for r in moved]
    if not moved:
        return None
    staying = [r for r in table.returned if r.args not in [m.args for m in moved]]
    guesses = [r.value for r in table.returned] or [0, "", []]
    inserted = [replace(r, value=rng.choice(guesses), raises=None, message="") for r in moved]
    order = [*staying, *inserted]
    rng.shuffle(order)
    log: list[str] = []
    by_args = {repr(r.args): r for r in moved}
    failed_rows = []
    for row in order:
        real = by_args.get(repr(row.args))
        if real is not None:
            log.append(_raised(f"test_{table.program.unit}", (*row.args, row.value), str(real.raises), real.message))
        elif rng.random() < 0.2:
            row = _guessed(rng, table, row, guesses, log)
        failed_rows.append(row)
    kept = [next(r for r in staying if r.args == row.args) for row in order if repr(row.args) not in by_args]
    now_raising = [by_args[repr(row.args)] for row in order if repr(row.args) in by_args]
    raised = () if made_up else tuple(r for r in table.raised if repr(r.args) not in by_args)
    failed = replace(table, returned=tuple(failed_rows), raised=raised)
    return Broken(failed, replace(table, returned=tuple(kept), raised=(*raised, *now_raising)), log)


def _break_accident(rng: random.Random, table: Table, made_up: bool) -> Broken | None:
    """Rows whose arguments the code is not made for, and wrong values beside them: others take their place, no row is lost."""
    if not table.accidents or not table.returned:
        return None
    bad = rng.sample(table.accidents, min(len(table.accidents), rng.randint(1, len(table.returned))))
    replaced = {id(row): wrong for row, wrong in zip(rng.sample(table.returned, len(bad)), bad, strict=True)}
    guesses = [row.value for row in table.returned]
    failed: list[Row] = []
    log: list[str] = []
    for row in table.returned:
        wrong = replaced.get(id(row))
        if wrong is not None:
            row = Row(wrong.args, rng.choice(guesses))
            shown = (*row.args, row.value)
            log.append(_raised(f"test_{table.program.unit}", shown, str(wrong.raises), wrong.message))
        elif rng.random() < 0.5:
            row = _guessed(rng, table, row, guesses, log)
        failed.append(row)
    return Broken(replace(table, returned=tuple(failed)), table, log)


def _break_no_raise(rng: random.Random, table: Table, made_up: bool) -> Broken | None:
    """A row was said to raise and does not."""
    if len(table.returned) < 2:
        return None
    row = rng.choice(table.returned)
    name = table.raised[0].raises if table.raised else rng.choice(_EXCEPTIONS)
    failed = replace(
        table,
        returned=tuple(r for r in table.returned if r is not row),
        raised=(*table.raised, replace(row, raises=name)),
    )
    case = CaseResult(
        node="",
        function=failed.raising_test(failed.raised[-1]),
        outcome="failed",
        row=row_shown(row.args),
        exception="Failed",
        message=f"DID NOT RAISE <class '{name}'>",
    )
    fixed = replace(table, returned=(*(r for r in table.returned if r is not row), row))
    return Broken(failed, fixed, [failures.failure_line(case)])


def _break_exception(rng: random.Random, table: Table, made_up: bool) -> Broken | None:
    """The wrong exception was expected."""
    if not table.raised:
        return None
    true = rng.choice(_EXCEPTIONS) if made_up else str(table.raised[0].raises)
    guess = rng.choice([e for e in _EXCEPTIONS if e != true])
    rows = [r for r in table.raised if r.raises == table.raised[0].raises]
    rest = tuple(r for r in table.raised if r.raises != table.raised[0].raises)
    if (
        guess in {r.raises for r in rest}
        or true in {r.raises for r in rest}
        or (guess, true) == ("LookupError", "KeyError")
    ):
        return None
    failed = replace(table, raised=(*(replace(r, raises=guess) for r in rows), *rest))
    fixed = replace(table, raised=(*(replace(r, raises=true) for r in rows), *rest))
    made_up_message = rng.choice(_MESSAGES)
    function = failed.raising_test(failed.raised[0])
    log = [_raised(function, r.args, true, made_up_message if made_up else r.message) for r in rows]
    return Broken(failed, fixed, log)


def _break_arity(rng: random.Random, table: Table, made_up: bool) -> Broken | None:
    """The last argument was left out of every call."""
    if (
        len(table.names) < 2
        or len(table.names) != len(table.program.parameters)
        or table.program.parameters[-1].has_default
    ):
        return None
    failed = replace(table, arity=len(table.names) - 1)
    last = table.names[-1]
    kind = "keyword-only" if last in table.keyword else "positional"
    message = f"{table.program.unit}() missing 1 required {kind} argument: {last!r}"
    seen: list[str] = []
    for r in table.returned:
        seen.append(_raised(f"test_{table.program.unit}", (*r.args[:-1], r.value), "TypeError", message))
    return Broken(failed, table, seen) if seen and not table.raised else None


def _break_lazy(rng: random.Random, table: Table, made_up: bool) -> Broken | None:
    """A generator was compared as if it were a list."""
    if not table.wrap or not table.returned:
        return None
    log = []
    for r in table.returned:
        case = CaseResult(
            node="",
            function=f"test_{table.program.unit}",
            outcome="failed",
            row=row_shown((*r.args, r.value)),
            exception="AssertionError",
            actual=f"<generator object {table.program.unit} at 0x7f0000000000>",
            expected=values.literal(r.value),
        )
        log.append(failures.failure_line(case))
    return Broken(replace(table, wrap=""), table, log)


def _break_import(rng: random.Random, table: Table, made_up: bool) -> Broken | None:
    """The import named something that the module does not have."""
    module = table.program.module
    wrong = table.program.unit + rng.choice(("s", "_", "2"))
    case = CaseResult(
        node="",
        function="",
        outcome="error",
        phase="collect",
        exception="ImportError",
        message=f"cannot import name {wrong!r} from {module!r} (/project/{module.replace('.', '/')}.py)",
    )
    return Broken(replace(table, imported=wrong), table, [failures.failure_line(case)])


FAULTS = {
    "values": (_break_values, 56),
    "raises_in_table": (_break_raises_in_table, 22),
    "accident": (_break_accident, 25),  # real code alone has them
    "no_raise": (_break_no_raise, 7),
    "wrong_exception": (_break_exception, 7),
    "arity": (_break_arity, 3),
    "lazy": (_break_lazy, 4),
    "import": (_break_import, 1),
}
