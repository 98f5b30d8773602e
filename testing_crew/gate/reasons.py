"""Why a test file is not accepted, in plain words: the one table of the gate's codes, for people. Machines read the codes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypedDict

from trace_logger.records import Stability


@dataclass(frozen=True)
class Reason:
    """``says`` what was found and ``mend`` what mends it; ``{}`` stands for what follows the code's colon."""

    says: str
    mend: str


class Explained(TypedDict):
    """A reason as ``--json`` gives it."""

    code: str
    says: str
    mend: str


_OWN_TESTS = "the tests of one function or class stand on their own, those of all together do not"

REASONS: Mapping[str, Reason] = {
    # what pytest said
    "not_passed": Reason("pytest did not pass it: {}", "mend the code or the tests: the failures say where"),
    # what stands in its text (text.py)
    "too_large": Reason("it has more than a million characters", "divide it into several files"),
    "unreadable": Reason(
        "its text cannot be read as Python here: it does not parse, is nested too deep, or declares an encoding",
        "save it as UTF-8, and let `python -m py_compile` say what is wrong",
    ),
    "always_equal": Reason(
        "it has an object that equals everything, so that a comparison with it proves nothing",
        "compare with the value that is expected",
    ),
    # what its runs showed (gate.py)
    "target_not_imported": Reason(
        "the code's file was not imported: it may have its own copy of the code, or another module has that name",
        "import it by the name that it has in its project",
    ),
    "target_not_executed": Reason("no line of the code's functions ran", "call them in the tests"),
    "no_assertion_about_target": Reason(
        "no assertion about the code was evaluated", "assert what the code returns, raises or changes"
    ),
    "passes_without_target": Reason(
        "it passes as well when every function of the code only raises an error",
        "call the code outside of a `try` that forgives everything, and assert what it returns",
    ),
    "notices_mutation": Reason(
        "it fails when the very same code is loaded another way, so it looks at how it is run",
        "leave the source, its file and the way it was loaded out of the tests",
    ),
    "reads_bytecode": Reason("it looks at the code's bytecode", "call the code and assert what it returns"),
    "pins_possible_bug": Reason(
        "it expects what the code does of a call of which its own docstring says something else",
        "decide which of them is right, and mend that one",
    ),
    "flaky": Reason(
        "it passed in {} runs only: in another order of its tests, or under another hash seed, one of them fails",
        "let each test make what it needs, and depend on no other test, no order of a set, no clock and no dice",
    ),
    "fails_cold": Reason(
        "it passes here, but not as a plain `python -m pytest` in a process of its own",
        "run that command to see what is missing there",
    ),
    "no_mutant_killed": Reason(
        "no small change of the code made one of its assertions fail",
        "assert the exact result for inputs where a change would show; what no test noticed is listed",
    ),
    # what a repair lost (repair.py)
    "drops_tests": Reason("a test of the file that was repaired is gone", "mend the test instead of leaving it out"),
    "drops_assertions": Reason(
        "it asserts less than the file that was repaired", "mend the expected values instead of leaving them out"
    ),
    "weakens_assertions": Reason(
        "it asserts less exactly than the file that was repaired", "compare with the exact value, as before"
    ),
    # what became of the work (crew.py, loop.py, self_improve/cli/write.py)
    "no_code": Reason("the model's answer held no Python code", "try again, or another model: testing-crew models"),
    "prompt_too_long": Reason(
        "the code does not fit into what the model can read: {}",
        "a model with a larger context, or a smaller function",
    ),
    "unit_not_accepted": Reason(
        "no tests for {} were accepted", "see what was wrong with them; a larger model may do it"
    ),
    "does_not_run_on_its_own": Reason(
        "with the code written into it, the file did not pass: {}", "write the code to a file and name that"
    ),
    "accepted_units_together": Reason(f"{_OWN_TESTS}: {{}}", "write one file for each: `traces show` has them"),
    "written_file": Reason(
        "written to its place, the file did not pass in the project's own `python -m pytest`: {}",
        "mend what the project's conftest.py, settings or path do to it; it is not left there",
    ),
    "breaks_suite": Reason(
        "with the file in its place, the project's own `python -m pytest` no longer collects its tests",
        "see what pytest said of it, or write it elsewhere with `--out DIR`; it is not left there",
    ),
    "broken_source": Reason("it cannot be read as Python: {}", "mend that first"),
    "import_fails": Reason(
        "it cannot be imported: {}",
        "install what it needs into the Python that runs the tests, or mend what it does when it is imported",
    ),
    "not_run": Reason(
        "its tests could not be run: {}",
        "mend that first; a file whose name is in the way is renamed, or moved into a package",
    ),
}

VERDICTS: Mapping[str, str] = {
    "passed": "it passed",
    "failed": "a test failed",
    "error": "a test, or the whole file, could not be set up",
    "timeout": "it took too long and was stopped",
    "no_tests": "there was no test to run",
    "skipped": "a test was skipped or expected to fail, and every test must run and pass",
    "crashed": "the process ended before pytest did",
    "out_of_memory": "it used too much memory and was stopped",
}


def explain(code: str, seen: str = "") -> Explained:
    """A reason's code in plain words; one that is not known (of an older trace, say) stands for itself.

    ``seen`` is what was seen of it, a failure for instance.
    """
    head, _, detail = code.partition(":")
    reason = REASONS.get(head, Reason(code.replace("_", " "), ""))
    detail = detail.strip().replace("/", " of ") if head == "flaky" else detail.strip()
    says = reason.says.replace("{}", VERDICTS.get(detail, detail))
    return {"code": code, "says": f"{says}: {seen}" if seen else says, "mend": reason.mend}


def explain_all(reasons: Iterable[str], stability: Stability | None = None) -> list[Explained]:
    """``reasons`` in plain words."""
    failed = next(iter(stability.failures), "") if stability else ""
    return [explain(r, failed if r.partition(":")[0] in ("flaky", "fails_cold") else "") for r in reasons]
