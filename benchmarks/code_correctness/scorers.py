"""What an answer says of a test: by the official definition, and by one that reads what is said and not only letters."""

from __future__ import annotations

import re
from typing import Literal

from testing_crew.prompt.outcome import Label

Read = Literal["success", "failed", "both", "neither", "empty"]

_SAID: dict[str, Label] = {
    **dict.fromkeys(("success", "succeed", "succeeds", "succeeded", "successful", "successfully"), "success"),
    **dict.fromkeys(("pass", "passes", "passed", "passing"), "success"),
    **dict.fromkeys(("fail", "fails", "failed", "failing", "failure", "failures"), "failed"),
    **dict.fromkeys(("unsuccessful", "unsuccessfully"), "failed"),
}
_NOT = {"not", "no", "never", "without", "cannot", "nor", "neither", "hardly", "unlikely", "не", "без", "нет"}
_JOINS = {"and", "but", "so", "or", "и", "но", "а", "или"}
_NEAR = 6  # words between a negation and what it negates, itself counted in, within one clause
_WORD = re.compile(r"[^\W\d][\w'’]*|[.!?;:,()\[\]\n—–]|(?<=\s)-(?=\s)")
# The last of these is where an answer begins, after what was thought before.
_ANSWER = re.compile(r"(?:final answer|answer|ответ|verdict)\W{0,4}[:=]", re.IGNORECASE)


def official(answer: str) -> Read:
    """MERA's own reading (MERA Code, `code_tasks/codecorrectness/utils.py`): which of the two words stands in it, as letters."""
    success, failed = "success" in answer, "failed" in answer
    if success and failed:
        return "both"
    return "failed" if failed else "success" if success else _nothing(answer)


def plain(answer: str) -> Read:
    """What a reader would take it for: whole words in any case, other forms of them, negations turned round.

    An answer whose first line is one word is that word, whatever it explains below; after ``Answer:`` only what follows counts.
    """
    said = _ANSWER.split(answer)[-1]
    first = _labels(said.strip().partition("\n")[0])
    if len(first) == 1 and len(said.strip().partition("\n")[0].split()) == 1:
        return first[0]
    found = set(_labels(said))
    return "both" if len(found) > 1 else found.pop() if found else _nothing(answer)


def concluded(answer: str, cut: bool = False) -> str:
    """What stands after the last ``Answer:`` of one that reasons first, else its last line; nothing where it was ``cut``."""
    before, *after = _ANSWER.split(answer)
    lines = [] if cut else before.strip().split("\n")
    return after[-1].strip() if after else lines[-1].strip() if lines else ""


def _labels(text: str) -> list[Label]:
    """Each label that is said, in order, negations applied."""
    found: list[Label] = []
    before: list[str] = []  # the words of this sentence
    for word in _WORD.findall(text.casefold()):
        if word in _JOINS or not (word[0].isalpha() or word[0] == "_"):  # a clause ends, and what a negation reaches
            before = []
        elif word in _SAID:
            label = _SAID[word]
            negated = sum(each in _NOT or each.endswith(("n't", "n’t")) for each in before[-_NEAR:]) % 2
            found.append(("failed" if label == "success" else "success") if negated else label)
            before = []  # a negation is used up
        elif word == "doubt" and before[-1:] == ["no"]:
            before = []
        else:
            before.append(word)
    return found


def _nothing(answer: str) -> Read:
    return "neither" if answer.strip() else "empty"
