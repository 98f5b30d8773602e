"""What is hidden of people in words, names of branches and code, and what stays as it was written."""

from __future__ import annotations

import re
import time

import pytest

from trace_logger.collect.people import lists_people
from trace_logger.collect.pseudonyms import Pseudonyms

PEOPLE = Pseudonyms(b"k" * 32)
JOHN, JANE, MIA = PEOPLE.of("john@x.org"), PEOPLE.of("jane@y.co.uk"), PEOPLE.of("mia-9")


def of_history() -> Pseudonyms:
    people = PEOPLE.of_history("https://github.com/pallets/Flask")
    people.know("John Smith", "john@x.org")
    people.know("Guido van Rossum", "12+mia-9@users.noreply.github.com")
    people.know("GitHub Actions", "actions@z.org")
    people.know("dependabot[bot]", "49699333+dependabot[bot]@users.noreply.github.com")
    return people


def hidden(text: str) -> str:
    """``text`` with J, K, M in place of the pseudonyms of John, Jane and Mia, P of anybody else's, B of a bot's."""
    said = of_history().within(text).replace(JOHN, "J").replace(JANE, "K").replace(MIA, "M")
    return re.sub(r"bot-[0-9a-f]{12}", "B", re.sub(r"person-[0-9a-f]{12}", "P", said))


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("Merge pull request #2 from mia-9/patch-1\n\nMend it", "Merge pull request #2 from M/patch-1\n\nMend it"),
        ("Merge pull request #2 from mia-9/mia-9/fix", "Merge pull request #2 from M/M/fix"),
        ("Merge branch 'x' of github.com:mia-9/flask", "Merge branch 'x' of github.com:M/flask"),
        ("Merge branch 'x' of https://mia-9@github.com/mia-9/x.git", "Merge branch 'x' of https://github.com/M/x.git"),
        ("Merge remote-tracking branch 'mia-9/main' into john-fix", "Merge remote-tracking branch 'M/main' into J-fix"),
        ("[@mia-9](https://github.com/mia-9).", "[@M](https://github.com/M)."),
        ("see https://github.com/mia-9/flask/issues/1", "see https://github.com/M/flask/issues/1"),
        ("https://github.com/sponsors/mia-9 https://gist.github.com/mia-9/ab", "https://github.com/sponsors/M https://gist.github.com/M/ab"),
        ("as in mia-9/x#12, [mia-9/x](https://github.com/mia-9/x)", "as in M/x#12, [M/x](https://github.com/M/x)"),
        ("![](https://avatars.githubusercontent.com/u/1234?v=4)", "![](https://avatars.githubusercontent.com/u/P?v=4)"),
    ],
)  # fmt: skip
def test_logins_in_merges_and_links(text: str, becomes: str) -> None:
    assert hidden(text) == becomes


@pytest.mark.parametrize(
    "text",
    [
        "Merge branch 'main' of github.com:pallets/flask into stable",
        "https://github.com/Pallets/flask.git and https://github.com/pallets/flask/issues/3, pallets/flask#4.",
        "https://github.com/features/actions",
        "Bump lodash@4.17.21, icon@2x.png and git@github.com:pallets/flask.git",
        "Caused by: a typo\nFixed-by: #12\nSort by: name\nFrom: here to there\nauthor: fix it\nTo: List<String>",
        "run GitHub Actions on main",
    ],
)
def test_what_names_nobody_stays(text: str) -> None:
    assert hidden(text) == text


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("    Co-authored-by: John Smith <john@x.org>", "    Co-authored-by: J"),
        ("> Signed-off-by: john smith <john@x.org>", "> Signed-off-by: J"),
        ("Original-author: John Smith <john@x.org>", "Original-author: J"),
        ("* thanks to John Smith <john@x.org>.", "* thanks to J."),
        ("by Jane Q. van Doe <jane@y.co.uk> (\"Jane\" <jane@y.co.uk>)", 'by K (K)'),
        ("Cc: J. Smith <john@x.org>, j doe <jane@y.co.uk>", "Cc: J, K"),
        ("Cc: Some One, Jane <jane@y.co.uk>", "Cc: P, K"),
        ("Reported-by: Some One\nReviewed-by: Jane Doe (IBM), joe", "Reported-by: P\nReviewed-by: P, P"),
        ("Reported by: Some One\r\n", "Reported by: P\r\n"),
        ("Reported-by: John Smith", "Reported-by: J"),
        ("Signed-off-by: dependabot[bot] <support@github.com>", "Signed-off-by: B"),
        ("_john@x.org_, (john@x.org), mailto:john@x.org.", "_J_, (J), mailto:J."),
    ],
)  # fmt: skip
def test_names_in_trailers_and_before_addresses(text: str, becomes: str) -> None:
    assert hidden(text) == becomes


def test_full_names_of_the_history() -> None:
    assert hidden("John Smith's and john\nsmith's; GUIDO VAN ROSSUM") == "J's and J's; M"
    for other in ("John Smithson, Long John Silver, Smith", "John\n\nSmith"):
        assert hidden(other) == other
    assert "John Smith" in PEOPLE.within("John Smith")  # of another history nothing is known


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("```pip install x```\n@mia-9", "```pip install x```\n@M"),
        ("~~~ pip install x ~~~\n@mia-9", "~~~ pip install x ~~~\n@M"),
        ("~~~python\n@mia-9\n~~~\n@mia-9", "~~~python\n@mia-9\n~~~\n@M"),
        ("````\n```\n@mia-9\n````\n@mia-9", "````\n```\n@mia-9\n````\n@M"),
        ("```\n@mia-9 and no end", "```\n@M and no end"),
        ("- one\n    - @mia-9\n\n      and @mia-9\n    @mia-9", "- one\n    - @M\n\n      and @M\n    @M"),
        ("    1. @mia-9", "    1. @M"),
        ("- one\n\ntext\n\n    @mia-9", "- one\n\ntext\n\n    @mia-9"),
    ],
)
def test_mentions_beside_code(text: str, becomes: str) -> None:
    assert hidden(text) == becomes


@pytest.mark.parametrize(
    ("name", "becomes"),
    [
        ("mia-9/fix", "M/fix"),
        ("origin/mia-9-patch-1", "origin/M-patch-1"),
        ("john-smith/x", "J/x"),
        ("john", "J"),
        ("fix/john@x.org", "fix/J"),
        ("main", "main"),
        ("dependabot/pip/johnny", "dependabot/pip/johnny"),
    ],
)
def test_branches(name: str, becomes: str) -> None:
    assert of_history().branch(name).replace(JOHN, "J").replace(MIA, "M") == becomes


def test_whose_branches_were_merged() -> None:
    people = PEOPLE.of_history()
    people.know_merged("Merge pull request #7 from ab1/x")
    assert people.branch("ab1/y") == f"{PEOPLE.of('ab1')}/y"


@pytest.mark.parametrize(
    "code",
    [
        "x = a@b\ny = a@b.T + x@w.data.T @ z\nz = a@b.mean()",
        "@pytest.fixture\n@app.route('/')",
        "uses: actions/checkout@v4.1.0\nlodash@4.17.21\ngit@github.com:joe/x.git\nicon@2x.png",
        "# thanks to John Smith and @mia-9, Reported-by: John Smith",
    ],
)
def test_code_stays(code: str) -> None:
    assert of_history().code(code) == code


def test_addresses_go_from_code() -> None:
    diff = "-__email__ = 'john@x.org'\n+john@x.org, John Smith <jane@y.co.uk>"
    assert of_history().code(diff) == f"-__email__ = '{JOHN}'\n+{JOHN}, John Smith <{JANE}>"


def test_lists_of_people() -> None:
    lists = (
        "AUTHORS",
        "docs/authors.rst",
        "CONTRIBUTORS.md",
        "CREDITS.txt",
        "THANKS",
        "MAINTAINERS",
        "AUTHORS-old.txt",
    )
    lists += (".github/CODEOWNERS", ".mailmap", ".all-contributorsrc", "static/Humans.txt")
    assert all(map(lists_people, lists))
    assert not any(map(lists_people, ("authors.py", "authors/a.txt", "CONTRIBUTING.md", "mailmap", "x-AUTHORS", None)))


@pytest.mark.parametrize("part", ["\n", "A.A'", "x@", "a@b.", "<", "a ", "Cc: a,", "a-", " \t", "'a", "Merge branch "])
def test_long_texts_are_no_trouble(part: str) -> None:
    for begin in ("", "Signed-off-by: @<"):
        text = begin + part * (200_000 // len(part))
        started = time.monotonic()
        of_history().within(text)
        of_history().code(text)
        assert time.monotonic() - started < 20  # minutes, where each letter is looked at from each
