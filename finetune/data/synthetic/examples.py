"""Training examples: a prompt and the test file that answers it, for writing, repairing and completing tests.

True answers come from running the program. A repair example is a file with faults put in, the log that pytest's run of it
leaves (the lines are built by the agent's own normaliser), and the file mended. In half of the repairs the log is
**counterfactual**: it claims values unrelated to the code, so that a model learns to take the value from the log.
"""

from __future__ import annotations

import random
import signal
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import Any, Literal

from finetune.data.synthetic import values
from finetune.data.synthetic.programs import Parameter, Program
from testing_crew import code, failures, prompt
from trace_logger.records import CaseResult

LONGEST_VALUE = 90  # characters; longer answers teach nothing that shorter ones do not


@dataclass(frozen=True)
class Example:
    """One row of training: ``prompt`` + ``completion`` as the model sees them."""

    kind: str
    prompt: str
    completion: str


@dataclass(frozen=True)
class Row:
    """One call of the function and what came of it: a literal's text, or the exception's name and message."""

    args: tuple[Any, ...]
    value: Any = None
    raises: str | None = None
    message: str = ""


@dataclass(frozen=True)
class Table:
    """A test file for one function, before it is text."""

    program: Program
    names: tuple[str, ...]
    returned: tuple[Row, ...]
    raised: tuple[Row, ...]
    keyword: frozenset[str] = frozenset()
    wrap: str = ""
    arity: int | None = None
    imported: str | None = None

    def text(self) -> str:
        """The file."""
        unit, module = self.program.unit, self.program.module
        out = [f"import pytest\nfrom {module} import {self.imported or unit}\n"]
        names = self.names if self.arity is None else self.names[: self.arity]
        call = f"{unit}({', '.join(f'{n}={n}' if n in self.keyword else n for n in names)})"
        call = f"{self.wrap}({call})" if self.wrap else call
        if self.returned:
            rows = [(*r.args[: len(names)], r.value) for r in self.returned]
            out.append(_test(f"test_{unit}", [*names, "expected"], rows, [f"assert {call} == expected"]))
        groups = list(dict.fromkeys(r.raises for r in self.raised))
        for i, name in enumerate(groups):
            rows = [r.args[: len(names)] for r in self.raised if r.raises == name]
            body = [f"with pytest.raises({name}):", f"    {call}"]
            out.append(_test(f"test_{unit}_raises{'' if i == 0 else f'_{i + 1}'}", list(names), rows, body))
        return "\n\n".join(out)

    def raising_test(self, row: Row) -> str:
        """The name of the test function that a raising row stands in."""
        groups = list(dict.fromkeys(r.raises for r in self.raised))
        i = groups.index(row.raises)
        return f"test_{self.program.unit}_raises{'' if i == 0 else f'_{i + 1}'}"


def _test(name: str, names: list[str], rows: list[tuple[Any, ...]], body: list[str]) -> str:
    lines = [f'@pytest.mark.parametrize("{", ".join(names)}", [']
    for row in rows:
        lines.append("    " + (values.literal(row[0]) if len(names) == 1 else _tuple(row)) + ",")
    lines += ["])", f"def {name}({', '.join(names)}):", *("    " + line for line in body)]
    return "\n".join(lines) + "\n"


def _tuple(row: tuple[Any, ...]) -> str:
    return "(" + ", ".join(map(values.literal, row)) + ")"


class _TooSlow(BaseException):
    pass


def _stop(signum: int, frame: FrameType | None) -> None:
    raise _TooSlow


def call(function: Any, args: tuple[Any, ...], parameters: tuple[Parameter, ...]) -> Row | None:
    """Call a made-up function; None when the answer cannot be written down, is too long, or does not come."""
    plain = [a for a, p in zip(args, parameters, strict=True) if not p.keyword_only]
    named = {p.name: a for a, p in zip(args, parameters, strict=True) if p.keyword_only}
    old = signal.signal(signal.SIGALRM, _stop)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        value = function(*plain, **named)
        if hasattr(value, "__next__"):
            value = list(value)
    except _TooSlow:
        return None
    except Exception as error:
        return Row(args, raises=type(error).__name__, message=str(error))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    if not values.is_literal(value) or len(values.literal(value)) > LONGEST_VALUE:
        return None
    return Row(args, value)


def observe(rng: random.Random, program: Program, canonical: bool) -> Table | None:
    """Run a program on rows of inputs; None when fewer than two of them have an answer that can be written down."""
    namespace: dict[str, Any] = {}
    try:
        exec(compile(program.source, "<made up>", "exec"), namespace)
    except Exception:
        return None
    parameters = program.parameters
    if any(p.has_default for p in parameters) and rng.random() < 0.3:
        parameters = tuple(p for p in parameters if not p.has_default)
    if not parameters:
        return None
    picked = values.rows([p.kind for p in parameters], 6, None if canonical else rng)
    if not canonical:
        picked = picked[: rng.randint(3, 6)]
    import copy

    seen = [call(namespace[program.unit], copy.deepcopy(args), parameters) for args in picked]
    rows = [replace(row, args=args) for row, args in zip(seen, picked, strict=True) if row is not None]
    returned = tuple(r for r in rows if r.raises is None)
    raised = tuple(r for r in rows if r.raises is not None)
    if len(rows) < 2 or any(not hasattr(__builtins__, str(r.raises)) and not _is_builtin(r.raises) for r in raised):
        return None
    lazy = "yield " in program.source
    return Table(
        program,
        tuple(p.name for p in parameters),
        returned,
        raised,
        frozenset(p.name for p in parameters if p.keyword_only),
        "list" if lazy else "",
    )


def _is_builtin(name: str | None) -> bool:
    import builtins

    return isinstance(getattr(builtins, str(name), None), type)


def shown(program: Program) -> str:
    """What the agent would show of the program."""
    return code.render(program.source, program.module, program.unit)


def generate(table: Table) -> Example:
    """Code → first test file."""
    return Example("generate", prompt.generate(shown(table.program)), table.text())


# ---- repair ----

Fault = Literal["values", "raises_in_table", "no_raise", "wrong_exception", "arity", "lazy", "import"]


@dataclass
class _Broken:
    failed: Table
    fixed: Table
    log: list[str] = field(default_factory=list)


def _got(table: Table, row: Row, expected: Any, actual: Any) -> str:
    return failures.failure_line(
        CaseResult(
            node="",
            function=f"test_{table.program.unit}",
            outcome="failed",
            row=_tuple((*row.args, expected)),
            exception="AssertionError",
            actual=values.literal(actual),
            expected=values.literal(expected),
        )
    )


def _raised(function: str, row: tuple[Any, ...], exception: str, message: str) -> str:
    case = CaseResult(node="", function=function, outcome="failed", row=_tuple(row), exception=exception, message=message)
    return failures.failure_line(case)


def _break_values(rng: random.Random, table: Table, made_up: bool) -> _Broken | None:
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
        guess = values.wrong(rng, actual, row.args, others)
        if guess == actual or (guess != guess) or len(values.literal(guess)) > LONGEST_VALUE:
            failed.append(replace(row, value=actual))
        else:
            failed.append(replace(row, value=guess))
            log.append(_got(table, row, guess, actual))
        fixed.append(replace(row, value=actual))
    if not log:
        return None
    return _Broken(replace(table, returned=tuple(failed)), replace(table, returned=tuple(fixed)), log)


_EXCEPTIONS = ("ValueError", "TypeError", "KeyError", "IndexError", "ZeroDivisionError", "AttributeError", "RuntimeError")
_MESSAGES = ("bad value", "'int' object is not iterable", "list index out of range", "division by zero", "empty", "'x'", "must be positive")


def _break_raises_in_table(rng: random.Random, table: Table, made_up: bool) -> _Broken | None:
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
    log = []
    by_args = {repr(r.args): r for r in moved}
    failed_rows = []
    for row in order:
        real = by_args.get(repr(row.args))
        if real is not None:
            log.append(_raised(f"test_{table.program.unit}", (*row.args, row.value), str(real.raises), real.message))
        elif rng.random() < 0.2:
            guess = values.wrong(rng, row.value, row.args, guesses)
            if guess != row.value and len(values.literal(guess)) <= LONGEST_VALUE:
                log.append(_got(table, row, guess, row.value))
                row = replace(row, value=guess)
        failed_rows.append(row)
    kept = [next(r for r in staying if r.args == row.args) for row in order if repr(row.args) not in by_args]
    now_raising = [by_args[repr(row.args)] for row in order if repr(row.args) in by_args]
    raised = () if made_up else tuple(r for r in table.raised if repr(r.args) not in by_args)
    failed = replace(table, returned=tuple(failed_rows), raised=raised)
    return _Broken(failed, replace(table, returned=tuple(kept), raised=(*raised, *now_raising)), log)


def _break_no_raise(rng: random.Random, table: Table, made_up: bool) -> _Broken | None:
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
        row=_tuple(row.args),
        exception="Failed",
        message=f"DID NOT RAISE <class '{name}'>",
    )
    fixed = replace(table, returned=(*(r for r in table.returned if r is not row), row))
    return _Broken(failed, fixed, [failures.failure_line(case)])


def _break_exception(rng: random.Random, table: Table, made_up: bool) -> _Broken | None:
    """The wrong exception was expected."""
    if not table.raised:
        return None
    true = rng.choice(_EXCEPTIONS) if made_up else str(table.raised[0].raises)
    guess = rng.choice([e for e in _EXCEPTIONS if e != true])
    rows = [r for r in table.raised if r.raises == table.raised[0].raises]
    rest = tuple(r for r in table.raised if r.raises != table.raised[0].raises)
    if guess in {r.raises for r in rest} or true in {r.raises for r in rest} or (guess, true) == ("LookupError", "KeyError"):
        return None
    failed = replace(table, raised=(*(replace(r, raises=guess) for r in rows), *rest))
    fixed = replace(table, raised=(*(replace(r, raises=true) for r in rows), *rest))
    message = rng.choice(_MESSAGES) if made_up else rows[0].message
    log = [_raised(failed.raising_test(failed.raised[0]), r.args, true, message) for r in rows]
    return _Broken(failed, fixed, log)


def _break_arity(rng: random.Random, table: Table, made_up: bool) -> _Broken | None:
    """The last argument was left out of every call."""
    if len(table.names) < 2 or len(table.names) != len(table.program.parameters) or table.program.parameters[-1].has_default:
        return None
    failed = replace(table, arity=len(table.names) - 1)
    last = table.names[-1]
    kind = "keyword-only" if last in table.keyword else "positional"
    message = f"{table.program.unit}() missing 1 required {kind} argument: {last!r}"
    seen: list[str] = []
    for r in table.returned:
        seen.append(_raised(f"test_{table.program.unit}", (*r.args[:-1], r.value), "TypeError", message))
    return _Broken(failed, table, seen) if seen and not table.raised else None


def _break_lazy(rng: random.Random, table: Table, made_up: bool) -> _Broken | None:
    """A generator was compared as if it were a list."""
    if not table.wrap or not table.returned:
        return None
    log = []
    for r in table.returned:
        case = CaseResult(
            node="",
            function=f"test_{table.program.unit}",
            outcome="failed",
            row=_tuple((*r.args, r.value)),
            exception="AssertionError",
            actual=f"<generator object {table.program.unit} at 0x7f0000000000>",
            expected=values.literal(r.value),
        )
        log.append(failures.failure_line(case))
    return _Broken(replace(table, wrap=""), table, log)


def _break_import(rng: random.Random, table: Table, made_up: bool) -> _Broken | None:
    """The import named something that the module does not have."""
    wrong = table.program.unit + rng.choice(("s", "_", "2"))
    case = CaseResult(
        node="",
        function="",
        outcome="error",
        phase="collect",
        exception="ImportError",
        message=f"cannot import name {wrong!r} from {table.program.module!r} (/project/{table.program.module.replace('.', '/')}.py)",
    )
    return _Broken(replace(table, imported=wrong), table, [failures.failure_line(case)])


_FAULTS = {
    "values": (_break_values, 56),
    "raises_in_table": (_break_raises_in_table, 22),
    "no_raise": (_break_no_raise, 7),
    "wrong_exception": (_break_exception, 7),
    "arity": (_break_arity, 3),
    "lazy": (_break_lazy, 4),
    "import": (_break_import, 1),
}


def repair(rng: random.Random, table: Table) -> Example | None:
    """A failed file with its log → the file mended; None when the fault drawn does not fit this program."""
    fault = rng.choices(list(_FAULTS), [weight for _, weight in _FAULTS.values()])[0]
    made_up = rng.random() < 0.5
    broken = _FAULTS[fault][0](rng, table, made_up)
    if broken is None or not broken.log or broken.failed.text() == broken.fixed.text():
        return None
    log = broken.log[: failures.MAX_LINES]
    asked = prompt.repair(shown(table.program), broken.failed.text(), "\n".join(log))
    return Example(f"repair/{fault}{'/made_up' if made_up else ''}", asked, broken.fixed.text())


def complete(rng: random.Random, table: Table) -> Example | None:
    """A file that misses rows → the rows that are missing, under a test of their own."""
    if len(table.returned) < 4 or table.raised:
        return None
    cut = rng.randint(1, 2)
    have = replace(table, returned=table.returned[:-cut])
    more = replace(table, returned=table.returned[-cut:])
    body = [line.strip() for line in table.program.source.splitlines() if line.strip().startswith(("return", "raise", "yield"))]
    if not body:
        return None
    asked = prompt.complete(shown(table.program), have.text(), rng.choice(body))
    return Example("complete", asked, more.text().replace(f"def test_{table.program.unit}(", f"def test_{table.program.unit}_more("))
