"""What the tools answer, in a form that machines check; ``says`` is all of it in words."""

from __future__ import annotations

from pydantic import BaseModel


class Reason(BaseModel):
    """Why a file is not accepted."""

    code: str
    says: str
    mend: str


class Unnoticed(BaseModel):
    """A change of the code that no test noticed: ``says`` has the line before and after it.

    ``reached``: a test runs the line, but asserts nothing that shows the change.
    """

    line: int
    says: str
    reached: bool


class Checked(BaseModel):
    """The verdict on one test file against one module: ``says`` is all of it in words."""

    says: str
    test_file: str
    target_file: str
    accepted: bool
    verdict: str
    reasons: list[Reason]
    failures: list[str]
    notes: list[str]
    suspects: list[str]
    noticed: int
    tried: int
    unnoticed: list[Unnoticed]
    missed_lines: list[int]


class Survivors(BaseModel):
    """The changes of one module that none of its test files noticed, ``noticed`` being those of ``tried`` that one did."""

    says: str
    target_file: str
    test_files: list[str]
    noticed: int
    tried: int
    unnoticed: list[Unnoticed]


class Unit(BaseModel):
    """What came of one function or class."""

    name: str
    accepted: bool
    reasons: list[Reason]
    suspects: list[str]


class Written(BaseModel):
    """What the agent wrote: ``test_file`` is where it is, None where it was not written since it is not accepted there."""

    says: str
    accepted: bool
    test_file: str | None
    tests: str
    units: list[Unit]
    model: str
