from __future__ import annotations

import stat
from pathlib import Path

import pytest

from trace_logger.collect.pseudonyms import Pseudonyms
from trace_logger.errors import PlainError

PEOPLE = Pseudonyms(b"k" * 32)
ALICE, BOB = PEOPLE.of("alice"), PEOPLE.of("bob")


def test_one_person_has_one_name() -> None:
    assert PEOPLE.of("Alice") == PEOPLE.of(" alice ") == ALICE
    assert PEOPLE.of("12345+alice@users.noreply.github.com") == PEOPLE.of("alice@users.noreply.github.com") == ALICE
    assert PEOPLE.of("49699333+dependabot[bot]@users.noreply.github.com") == PEOPLE.of("dependabot[bot]")
    assert PEOPLE.of("alice@example.org") != ALICE != BOB
    assert "alice" not in ALICE


def test_bots_can_be_told_from_people() -> None:
    bot = PEOPLE.of("dependabot[bot]")
    assert bot.startswith("bot-")
    assert PEOPLE.of_author("dependabot[bot]", "support@github.com") == bot
    assert PEOPLE.within("@dependabot[bot] and @bob") == f"@{bot} and @{BOB}"
    assert PEOPLE.of("Copilot", bot=True) == PEOPLE.of("Copilot").replace("person-", "bot-")
    assert ALICE.startswith("person-")


def test_another_key_gives_other_names() -> None:
    assert Pseudonyms(b"l" * 32).of("alice") != ALICE


def test_trailers_lose_name_and_address() -> None:
    message = (
        "Mend the cart\n\nSigned-off-by: Alice Liddell <alice@users.noreply.github.com>\nco-authored-by: Bob <bob@b.example>\n"
        "Cc: <bob@b.example>"
    )
    bob = PEOPLE.of("bob@b.example")
    assert PEOPLE.within(message) == f"Mend the cart\n\nSigned-off-by: {ALICE}\nco-authored-by: {bob}\nCc: {bob}"


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("thanks @alice, @bob!", "thanks @ALICE, @BOB!"),
        ("ask @alice. Or (@bob)", "ask @ALICE. Or (@BOB)"),
        ("ask @alice...", "ask @ALICE..."),
        ("@alice's cart\r\n> @bob: no", "@ALICE's cart\r\n> @BOB: no"),
        ("@alice\n\nplease look", "@ALICE\n\nplease look"),
        ("@alice\n@bob", "@ALICE\n@BOB"),
    ],
)
def test_mentions(text: str, becomes: str) -> None:
    assert PEOPLE.within(text) == becomes.replace("ALICE", ALICE).replace("BOB", BOB)


@pytest.mark.parametrize(
    "text",
    [
        "use @pytest.fixture here",
        "@property\ndef total(self): ...",
        "@functools.cache\n@app.route('/x')\nasync def total(): ...",
        "`@property`",
        "```python\n@property\ndef total(self): return a @ b\n```",
        "    @property",
        "see https://example.org/@alice",
    ],
)
def test_code_stays_as_it_is(text: str) -> None:
    assert PEOPLE.within(text) == text


def test_addresses_go_from_code_too_and_mentions_after_it() -> None:
    text = PEOPLE.within("```\nauthor = 'alice@example.org'\n@alice\n```\n@alice")
    assert text == f"```\nauthor = '{PEOPLE.of('alice@example.org')}'\n@alice\n```\n@{ALICE}"


def test_the_workspace_keeps_one_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TESTING_CREW_HOME", str(tmp_path / "home"))
    first = Pseudonyms.of_workspace().of("alice")
    file = tmp_path / "home" / "pseudonyms.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert Pseudonyms.of_workspace().of("alice") == first
    monkeypatch.setenv("TESTING_CREW_HOME", str(tmp_path / "another"))
    assert Pseudonyms.of_workspace().of("alice") != first


def test_a_key_that_cannot_be_had_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TESTING_CREW_HOME", str(tmp_path))
    (tmp_path / "pseudonyms.key").write_bytes(b"short")
    with pytest.raises(PlainError, match="cut short"):
        Pseudonyms.of_workspace()
    (tmp_path / "file").touch()
    monkeypatch.setenv("TESTING_CREW_HOME", str(tmp_path / "file"))
    with pytest.raises(PlainError, match=r"cannot be kept(?s:.*)TESTING_CREW_HOME"):
        Pseudonyms.of_workspace()
