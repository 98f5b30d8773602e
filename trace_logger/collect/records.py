"""The collaboration data set: one record for a step of a project's history, with the versions it made and the words on it.

Times are UTC, ISO 8601; line numbers start at 1; people are pseudonyms (`pseudonyms`).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trace_logger.records import Record, utc_now

StepKind = Literal["commit", "merge", "issue", "pull_request"]
FeedbackKind = Literal["comment", "review", "review_comment", "tests"]
Change = Literal["added", "changed", "deleted", "renamed"]


class Annotation(Record):
    """A comment and the line of the code that it stands at, the comments themselves not counted among the lines."""

    line_number: int
    annotation: str


class Annotated(Record):
    """A function or class with what its authors wrote beside it.

    ``code`` is its text without comments and docstring; ``annotations`` say at which of its lines each comment stood.
    """

    name: str
    code: str
    docstring: str = ""
    annotations: tuple[Annotation, ...] = ()


class Version(Record):
    """A file as one commit left it: ``before`` and ``after`` are git's ids of its text, None where it was not there.

    ``diff`` is a unified diff, its addresses under pseudonyms; empty for a binary file, for one that is too long
    (``too_long``), for a submodule and for a list of people, as AUTHORS is (``about_people``).
    ``annotated`` are the functions and classes of a Python file that the commit wrote or changed and that say something.
    """

    path: str
    old_path: str | None = None
    change: Change
    before: str | None = None
    after: str | None = None
    binary: bool = False
    submodule: bool = False
    too_long: bool = False
    about_people: bool = False
    lines_added: int = 0
    lines_deleted: int = 0
    diff: str = ""
    annotated: tuple[Annotated, ...] = ()


class Feedback(Record):
    """What was said of a step: a comment, a review with its ``state``, a remark on a line, or what running the tests said."""

    id: str
    kind: FeedbackKind
    actor: str
    created_at: str
    updated_at: str | None = None
    body: str = ""
    state: str = ""
    path: str | None = None
    line: int | None = None
    commit: str | None = None
    diff_hunk: str = ""
    in_reply_to: str | None = None
    # (reaction, count): "+1", "heart", …
    reactions: tuple[tuple[str, int], ...] = ()


class Step(Record):
    """Something that people did: a commit or a merge, an issue, a pull request.

    ``id`` is the commit's id, or ``issue/12``, ``pull_request/13``. ``branches`` are those whose tip it was when it was read.
    ``versions`` are what a commit made of files (a merge has none: its changes are those of the commits it joins), ``commits``
    those that a pull request consists of. ``complete`` is false where some of it could not be had (a shallow clone's edge).
    ``licence`` is the repository's as it was when the step was collected, whatever it was under when the step was made.
    """

    id: str
    repository: str
    licence: str | None = None
    kind: StepKind
    actor: str
    committer: str | None = None
    created_at: str
    updated_at: str | None = None
    closed_at: str | None = None
    title: str
    body: str = ""
    state: str = ""
    labels: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    branches: tuple[str, ...] = ()
    commits: tuple[str, ...] = ()
    merged_as: str | None = None
    complete: bool = True
    versions: tuple[Version, ...] = ()
    feedback: tuple[Feedback, ...] = ()


class Manifest(Record):
    """What a data set holds: where it was read from, up to where, and in ``notes`` what a reader of it should know."""

    repository: str
    licence: str | None = None
    sources: tuple[str, ...] = ()
    collected_at: str = Field(default_factory=utc_now)
    branches: dict[str, str] = Field(default_factory=dict)
    steps: dict[str, int] = Field(default_factory=dict)
    versions: dict[str, int] = Field(default_factory=dict)
    feedback: int = 0
    notes: tuple[str, ...] = ()
