"""What the code answered, noted beside each failing row or assertion of a test file: ``(2, 5),  # got 2``.

The notes are read from the failure log's lines and the file's own text, and from nothing else: so a row of training data,
``{code, failed_test, failure_log}``, gives the very prompt that the agent would send. A note is made only where it is certain
which row or assertion a line is about; the log stands below the file in any case. The forms are fixed::

    # got 2                         # raised ValueError             # did not raise
    # got a value too long to show  # is false (a claim that compares nothing)
    # (2, 5): got 2; (3, 1): raised TypeError (several rows end in this line)
"""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Iterator

from testing_crew.project.syntax import parse
from testing_crew.prompt.places import notes

_NOTE = r"(?:got \S|raised \w|did not raise$|is false$)"
_ONE = rf"(?:{_NOTE}|\S.*?: {_NOTE})"  # alone, or after the row that it is about
_OURS = re.compile(rf"# {_ONE}")
_AFTER_A_COMMENT = re.compile(rf"  # {_ONE}")


def annotate(tests: str, log: str) -> str:
    """``tests`` with a note beside each failing row or assertion; as it is where it does not parse or nothing is certain."""
    try:
        tree = parse(tests)
        found = notes(tree, log.split("\n"))
        noted = _insert(tests, found) if found else tests
        # What is put in must come out again, and must be comments: an odd file is shown without notes.
        unchanged = strip(noted, tests) == tests and ast.dump(parse(noted)) == ast.dump(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError, tokenize.TokenError):
        return tests
    return noted if unchanged else tests


def strip(text: str, shown: str) -> str:
    """``text`` without the notes that stand at the ends of its lines; comments of ``shown``, the file without them, stay."""
    own = {token.string for token in _tokens(shown) if token.type == tokenize.COMMENT}
    lines = _lines(text)
    for token in _tokens(text):
        if token.type != tokenize.COMMENT:
            continue
        row, column = token.start
        line = lines[row - 1]
        at = _note_start(token.string, own) if line[:column].strip() else None
        if at is not None:
            lines[row - 1] = line[: column + at].removesuffix(" ").removesuffix(" ") + line[token.end[1] :]
    return "".join(lines)


def _note_start(comment: str, own: set[str]) -> int | None:
    """Where the note begins in a comment, counted from the ``#`` of the comment; None where it has none."""
    if comment in own:
        return None
    for known in sorted((o for o in own if comment.startswith(o)), key=len, reverse=True):
        if _AFTER_A_COMMENT.match(comment, len(known)):
            return len(known) + 2
    if _OURS.match(comment):
        return 0
    after = _AFTER_A_COMMENT.search(comment)
    return after.start() + 2 if after else None


def _lines(text: str) -> list[str]:
    """The lines of ``text`` as Python counts them, with their ends."""
    return re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z", text)


def _tokens(text: str) -> Iterator[tokenize.TokenInfo]:
    return tokenize.generate_tokens(iter(_lines(text)).__next__)


def _insert(tests: str, found: dict[int, list[str]]) -> str:
    """Put the notes at the ends of their lines, where a comment may stand: not in a string, not before a backslash."""
    ends = {t.start[0] for t in _tokens(tests) if t.type in (tokenize.NEWLINE, tokenize.NL)}
    lines = _lines(tests)
    for number in found.keys() & ends:
        line = lines[number - 1]
        code = line.rstrip("\r\n")
        lines[number - 1] = f"{code}  # {'; '.join(found[number])}{line[len(code) :]}"
    return "".join(lines)
