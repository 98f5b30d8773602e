"""Where people are named in what was written: in trailers, by address, by login, in links and in names of branches."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath
from typing import Any

Of = Callable[[str], str]  # the pseudonym of whoever is known by an address, a login or a name


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_LOGIN = r"[A-Za-z\d](?:[A-Za-z\d]|-(?=[A-Za-z\d])){0,38}"
# Not git@host:path, pkg@4.17.21, icon@2x.png
_AT = (
    r"(?<![^\W_])(?!git@)[^\W_][\w.+'%-]{0,63}@(?:[\w-]{1,63}\.){1,8}"
    r"(?!(?:png|jpe?g|gif|svg|webp|ico|css|js|json|ya?ml|txt|rst|html|xml|toml|cfg|py|service|timer|socket|target)\b)"
    r"[A-Za-z]{2,24}(?![^\W_]|-[^\W_])"
)
_ADDRESS = re.compile(_AT)
_ADDRESS_IN_CODE = re.compile(_AT + r"(?![(\[]|\.\w)")  # x@y.mean(), x@y.data.T

# "Signed-off-by: A Name <a@b.c>", "Cc: A <a@b.c>, B <b@b.c>", indented or quoted, too
_TRAILER = re.compile(
    r"^([ \t>*-]*((?:[\w-]{1,40}[- ])?by|[\w-]{0,40}author|thanks-to|b?cc|from|to):[ \t]*)(\S.*)$", re.M | re.I
)
_OF_PEOPLE = re.compile(r"(?:ed|off|en|nd)[- ]by|.*author|thanks-to", re.I)
_ANGLED = re.compile(r"([^<>]{0,200})<([^<>]{0,300})>")
_WORDS_OF_A_NAME = re.compile(r"[\"'“]?[^\W\d_][\w.'’-]*(?:\s+[^\W\d_][\w.'’-]*){0,3}[\"'”]?(?:\s*\([^()]*\))?")
_CAPITAL = r"[^\W\d_a-zß-öø-ÿ][\w.'’-]{0,40}"
_PARTICLE = r"(?:van|von|der|den|de|del|della|da|di|dos|du|la|le|el|al|bin|ibn|ten|ter|zu|y|af|av)"
_CAPITALS = re.compile(rf"[\"'“]?{_CAPITAL}(?:[ \t]+(?:{_CAPITAL}|{_PARTICLE}\b)){{0,3}}")
_NAME_AND_ADDRESS = re.compile(
    rf"(?:(?<!\w)[\"'“]?({_CAPITAL}(?:[ \t]+(?:{_CAPITAL}|{_PARTICLE}\b)){{0,3}}(?:\[bot\])?)[\"'”]?[ \t]*)?"
    r"<[ \t]*(?:mailto:)?([^\s<>@]{1,64}@[^\s<>@]{1,255})[ \t]*>"
)

_PULL = re.compile(r"^([ \t]*Merged? (?:pull request|PR) #\d+ from |[ \t]*Merged in )([\w-]{1,40})/(\S*)", re.M)
_MERGE = re.compile(r"^[ \t]*Merge (?:remote-tracking |remote )?(?:branch|branches|tag|commit)\b.*$", re.M)
_BRANCH = re.compile(r"(?<=')[^'\s]+(?=')|(?<= into )[^'\s]+")
_USER_IN_LINK = re.compile(r"(?<=//)(?!git@)[^\s/@]{1,200}@(?=(?:www\.)?(?:github|gitlab)\.com|bitbucket\.org)")
_LINK = re.compile(
    r"((?:github|githubusercontent|gitlab)\.com(?::\d+(?=/))?[:/]+|bitbucket\.org[:/]+)"
    rf"((?:(?:orgs|users|sponsors|repos|stars|u)/)?)({_LOGIN})(?![\w-])(/[\w.-]+)?"
)
# "login/repo#12", "[login/repo](https://github.com/login/repo)"
_REFERENCE = re.compile(rf"(?<![\w/.-])({_LOGIN})(/[\w.-]{{1,100}})(?=#\d|\]\(https://github\.com/)")
_NO_LOGIN = _set(
    "about advisories apps blog collections contact customer-stories enterprise explore features issues "
    "marketplace new notifications pricing pulls readme search security settings site topics trending "
    "user-attachments"
)

# GitHub's "@login", maybe at the end of a sentence; not an address, not a decorator ("@pytest.fixture")
_MENTION = re.compile(rf"(?<![\w`/.@])@({_LOGIN}(?:\[bot\])?)(?![\w@(/]|\.\w)")
_DECORATOR = re.compile(r"^\s*@[\w.]+(?:\(.*\))?\s*$")
_FENCE = re.compile(r"\s*(`{3,}|~{3,})(.*)")
_LISTED = re.compile(r"\s*(?:[-*+]|\d+[.)])\s")

_LISTS = re.compile(
    r"(?:authors|contributors|credits|thanks|maintainers)[^/]*|codeowners|\.mailmap|\.all-contributorsrc|humans\.txt",
    re.I,
)
_CODE = _set(
    ".py .pyi .pyx .js .jsx .ts .tsx .vue .go .java .kt .rb .php .c .h .cc .cpp .hpp .cs .rs .swift .scala .sh .sql "
    ".css .scss .ex .exs .pl .lua .r .dart"
)

# Words of names that are no person's: "GitHub Actions", "Travis CI", "Your Name"
_NO_NAME = _set(
    "github gitlab ci bot action actions travis circle jenkins claude copilot codex code docs build release test team "
    "user name root admin developers project the of for by and your autofix ai"
)
# Beginnings of branches, and of addresses, that tell of nobody
_NO_BEGINNING = _set(
    "main master develop development dev devel stable trunk release releases head origin upstream docs doc fix fixes "
    "feature features feat test tests ci bugfix hotfix chore patch backport revert refactor build python noreply "
    "no-reply info admin root mail email me hello hi contact support git github team bot code open oss user"
)


def signed(signature: Any) -> tuple[str, str]:
    """The name and the address of a commit's author or committer, as pygit2 has them."""
    name: bytes = signature.raw_name
    return name.decode("utf-8", "replace"), signature.raw_email.decode("utf-8", "replace")


def message_of(commit: Any) -> str:
    """What a commit says, in whatever encoding."""
    said: bytes = commit.raw_message
    try:
        return said.decode(commit.message_encoding or "utf-8", "replace")
    except (LookupError, ValueError):  # it names no encoding of texts
        return said.decode("utf-8", "replace")


def lists_people(path: str | None) -> bool:
    """Whether the file at ``path`` is a list of people, as AUTHORS is."""
    file = PurePosixPath(path or "")
    return bool(_LISTS.fullmatch(file.name)) and file.suffix.lower() not in _CODE


def addresses(text: str, of: Of, *, code: bool = False) -> str:
    """``text`` without addresses; in code what may be an expression (``a@b.mean()``) stays."""
    return (_ADDRESS_IN_CODE if code else _ADDRESS).sub(lambda found: of(found[0]), text) if "@" in text else text


def trailers(text: str, of: Of) -> str:
    """``text`` without the names in git's trailers and before addresses ("A Name <a@b.c>")."""

    def trailer(found: re.Match[str]) -> str:
        begin, key, value = found.groups()
        sure = bool(_OF_PEOPLE.search(key))
        addressed = "<" in value and "@" in value

        def one(said: str) -> str:
            if "<" in said and (sure or addressed):
                return _ANGLED.sub(lambda at: " " * at[1].startswith(" ") + of(who(at[1].strip(), at[2])), said)
            name = said.strip()
            if not _WORDS_OF_A_NAME.fullmatch(name):
                return said
            alone = sure and (key.lower().endswith("-by") or _CAPITALS.fullmatch(name))
            return said.replace(name, of(name.strip("\"'“”"))) if alone or addressed else said

        return begin + "".join(one(part) if part.strip(",; ") else part for part in re.split(r"([,;]\s*)", value))

    text = _TRAILER.sub(trailer, text)
    return _NAME_AND_ADDRESS.sub(lambda found: of(who(found[1] or "", found[2])), text)


def who(name: str, address: str) -> str:
    """What somebody is best known by: a bot by its name, anybody else by the address, where there is one."""
    return name if name.strip().endswith("[bot]") or not address.strip() else address


def logins(text: str, of: Of, branch: Of, own: Iterable[str]) -> str:
    """``text`` without logins in titles of merges and in links; ``own`` are the names (owner/name) that may stand."""

    def link(found: re.Match[str]) -> str:
        begin, kind, login, rest = found.groups(default="")
        stands = not kind and (login.lower() in _NO_LOGIN or is_own(login + rest))
        return found[0] if stands else f"{begin}{kind}{of(login)}{rest}"

    def is_own(name: str) -> bool:
        return name.rstrip(".").removesuffix(".git").casefold() in own

    text = _PULL.sub(lambda found: f"{found[1]}{of(found[2])}/{branch(found[3])}", text)
    text = _MERGE.sub(lambda line: _BRANCH.sub(lambda found: branch(found[0]), line[0]), text)
    text = _REFERENCE.sub(lambda found: found[0] if is_own(found[1] + found[2]) else of(found[1]) + found[2], text)
    return _LINK.sub(link, _USER_IN_LINK.sub("", text))


def logins_of_merges(text: str) -> list[str]:
    """The logins that titles of merges tell."""
    return [found[2] for found in _PULL.finditer(text)]


def mentions(text: str, of: Of) -> str:
    """``text`` without "@login", but for code: in fences, indented, and decorators above what they decorate."""
    lines = text.split("\n")
    code = _code(lines)
    for n, line in enumerate(lines):
        if not code[n]:
            lines[n] = _MENTION.sub(lambda found: f"@{of(found[1])}", line)
    return "\n".join(lines)


def _code(lines: list[str]) -> list[bool]:
    code = [False] * len(lines)
    # A decorator stands above what it decorates; "@login" may have a line of its own, too.
    for n in reversed(range(len(lines) - 1)):
        below = code[n + 1] or re.match(r"\s*(?:async\s+def|def|class)\b", lines[n + 1])
        code[n] = bool(below and _DECORATOR.match(lines[n]))
    fence, opened = "", 0
    listed = False  # a line that is indented below a list is of the list
    for n, line in enumerate(lines):
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence) and not mark[2].strip():
                code[opened : n + 1] = [True] * (n + 1 - opened)  # what is never closed is no code
                fence = ""
        elif mark and ("`" if mark[1][0] == "`" else "~~~") not in mark[2]:  # else it closes on its own line
            fence, opened = mark[1], n
        indented = line.startswith(("    ", "\t"))
        listed = bool(_LISTED.match(line)) or (listed and (not line or line[0].isspace()))
        code[n] = code[n] or (indented and not listed)
    return code


class Known:
    """The people of a history, by the names and the beginnings of branches that tell of them."""

    def __init__(self) -> None:
        self._names: dict[str, dict[str, tuple[re.Pattern[str], str]]] = {}  # by their first words, then whole
        self._logins: dict[str, str] = {}

    def add(self, name: str, login: str, pseudonym: str) -> None:
        """Know somebody by a full name, and by a login or what stands before the @ of an address."""
        words = name.casefold().strip("\"'<> ").split()
        plain = [re.sub(r"\W+", "", word) for word in words]
        if 2 <= len(words) <= 6 and not any(word.isdigit() or word in _NO_NAME for word in plain):
            first = re.search(r"\w+", words[0])
            if first and (whole := " ".join([words[0][first.start() :], *words[1:]])) not in self._names.get(
                first[0], {}
            ):
                pattern = r"(?:[ \t]|\n(?!\n))+".join(map(re.escape, whole.split()))
                self._names.setdefault(first[0], {})[whole] = (re.compile(rf"{pattern}(?!\w)", re.I), pseudonym)
            for each in (".", "-", "_", ""):
                self._logins.setdefault(each.join(plain), pseudonym)
        for word in (login.casefold(), *(words if len(words) == 1 else ())):
            if len(word) > 1 and not word.isdigit() and word not in _NO_BEGINNING:
                self._logins.setdefault(word, pseudonym)

    def named(self, name: str) -> str | None:
        """The pseudonym of whoever has this full name."""
        whole = " ".join(name.casefold().split())
        first = re.match(r"\w+", whole)
        found = self._names.get(first[0], {}).get(whole) if first else None
        return found[1] if found else None

    def names(self, text: str) -> str:
        """``text`` without the full names."""
        parts, at = [], 0
        for word in re.finditer(r"\w+", text) if self._names else ():
            if word.start() < at:
                continue
            ones = self._names.get(word[0].casefold(), {}).values()
            found = [(here.end(), of) for pattern, of in ones if (here := pattern.match(text, word.start()))]
            if found:
                parts += [text[at : word.start()], max(found)[1]]
                at = max(found)[0]
        return "".join([*parts, text[at:]])

    def branch(self, name: str) -> str:
        """A branch's name, its parts without the logins that they are or begin with."""
        return "/".join(map(self._part, name.split("/")))

    def _part(self, part: str) -> str:
        for end in (len(part), *(found.start() for found in reversed([*re.finditer(r"[-_.]", part)]))):
            if part[:end].casefold() in self._logins:
                return self._logins[part[:end].casefold()] + part[end:]
        return part
