"""Which licence a project's files say that they are under, as an SPDX identifier."""

from __future__ import annotations

import re
from collections.abc import Mapping

# A plain one, one of several ("LICENSE-MIT"), or GNU's "COPYING.LESSER", which stands beside COPYING
_FILE = re.compile(
    r"(?:un)?(?:licen[sc]e|copying)(?:[-._](lesser|lib|mit|isc|zlib|apache|bsd)[\w-]*(?:\.0)?)?(?:\.(?:txt|md|rst))?",
    re.I,
)
# Words that each licence's own text has and no other of these has; the first that is found counts.
_WORDS: tuple[tuple[str, str], ...] = (
    ("Apache-2.0", r"apache license,? version 2\.0"),
    ("AGPL-3.0-only", r"gnu affero general public license version 3"),
    ("LGPL-3.0-only", r"gnu lesser general public license version 3"),
    ("LGPL-2.1-only", r"gnu lesser general public license version 2\.1"),
    ("GPL-3.0-only", r"gnu general public license version 3"),
    ("GPL-2.0-only", r"gnu general public license version 2"),
    ("MPL-2.0", r"mozilla public license,? (?:version|v\.?) ?2\.0"),
    ("Unlicense", r"this is free and unencumbered software released into the public domain"),
    (
        "ISC",
        r"permission to use, copy, modify, and/?(?:or)? distribute this software for any purpose with or without fee",
    ),
    ("MIT", r"permission is hereby granted, free of charge, to any person obtaining a copy"),
    (
        "BSD-3-Clause",
        r"redistributions of source code must retain.{0,900}(?:neither the names? of|may not be used to endorse)",
    ),
    ("BSD-2-Clause", r"redistributions of source code must retain"),
    ("PSF-2.0", r"python software foundation license version 2"),
)
_DECLARED = re.compile(r"""^license\s*=\s*(?:\{\s*text\s*=\s*)?["']([A-Za-z0-9.+() -]+)["']""", re.M)
_GNU = [f"{name}{end}" for name in ("GPL-1.0", "GPL-2.0", "GPL-3.0", "LGPL-2.0", "LGPL-2.1", "LGPL-3.0", "AGPL-3.0")
        for end in ("", "+", "-only", "-or-later")]  # fmt: skip
_COMMON = """0BSD AFL-3.0 Apache-1.1 Apache-2.0 Artistic-1.0 Artistic-2.0 BlueOak-1.0.0 BSD-1-Clause BSD-2-Clause
        BSD-2-Clause-Patent BSD-3-Clause BSD-3-Clause-Clear BSD-4-Clause BSL-1.0 CC-BY-3.0 CC-BY-4.0 CC-BY-NC-4.0
        CC-BY-SA-3.0 CC-BY-SA-4.0 CC0-1.0 CDDL-1.0 CDDL-1.1 CECILL-2.1 CECILL-B CECILL-C CNRI-Python ECL-2.0 EPL-1.0
        EPL-2.0 EUPL-1.1 EUPL-1.2 HPND ISC LPPL-1.3c MIT MIT-0 MIT-CMU MPL-1.1 MPL-2.0 MS-PL MulanPSL-2.0 NCSA OFL-1.1
        OSL-3.0 PostgreSQL PSF-2.0 Python-2.0 Python-2.0.1 Ruby Unicode-3.0 Unlicense UPL-1.0 Vim W3C WTFPL X11 Zlib
        ZPL-2.0 ZPL-2.1"""
_EXCEPTIONAL = """Autoconf-exception-3.0 Bison-exception-2.2 Classpath-exception-2.0 Font-exception-2.0 GCC-exception-3.1
    GPL-3.0-linking-exception LGPL-3.0-linking-exception Linux-syscall-note LLVM-exception OpenSSL-exception
    Swift-exception"""
_SPDX = {each.casefold(): each for each in (*_GNU, *_COMMON.split())}
_EXCEPTIONS = {each.casefold(): each for each in _EXCEPTIONAL.split()}


def is_licence(name: str) -> bool:
    """Whether a file of this name, at a project's top, may tell of its licence."""
    return name == "pyproject.toml" or bool(_FILE.fullmatch(name))


def licence_of(files: Mapping[str, str]) -> str | None:
    """The licence that the files at a project's top tell: what pyproject.toml declares, else by the words of its licence files.

    None where they tell none of those known here; what nobody licensed may not be given on.
    """
    declared = _DECLARED.search(files.get("pyproject.toml", ""))
    if declared and (expression := _expression(declared[1])):
        return expression
    plain: list[str] = []
    several: dict[str, str] = {}
    for name in sorted(files, key=lambda name: ("copying" in name.lower(), name.lower())):
        words = " ".join(files[name].casefold().split())
        if not words or name == "pyproject.toml" or not (found := _FILE.fullmatch(name)):
            continue
        if found[1] and found[1].lower() in ("lesser", "lib"):
            if (lesser := _by_words(words)) and lesser.startswith("LGPL"):
                return lesser  # COPYING beside it is the GPL, which it adds to
        elif found[1]:
            several[name] = _by_words(words) or ""
        else:
            plain.append(words)
    for words in plain:
        if identifier := _by_words(words):
            return identifier
    # "under the terms of either LICENSE-APACHE or LICENSE-MIT"; another text is not known, and may forbid
    if not all(several.values()) or not all(name.casefold() in words for name in several for words in plain):
        return None
    return " OR ".join(sorted(set(several.values()), key=lambda each: (each != "MIT", each))) or None


def _by_words(words: str) -> str | None:
    return next((identifier for identifier, pattern in _WORDS if re.search(pattern, words)), None)


def _expression(text: str) -> str | None:
    """``text`` as an SPDX expression; None where it is none, or has an identifier that is not common."""
    said: list[str] = []
    wanted, depth = "identifier", 0
    for word in re.findall(r"[()]|[^\s()]+", text):
        if word == "(" and wanted == "identifier":
            depth += 1
        elif word == ")" and wanted == "operator" and depth:
            depth -= 1
        elif wanted == "operator" and word.upper() in ("OR", "AND", "WITH"):
            word, wanted = word.upper(), "exception" if word.upper() == "WITH" else "identifier"
        elif wanted != "operator" and (
            known := (_SPDX if wanted == "identifier" else _EXCEPTIONS).get(word.casefold())
        ):
            word, wanted = known, "operator"
        else:
            return None
        said.append(word)
    if wanted != "operator" or depth:
        return None
    return " ".join(said).replace("( ", "(").replace(" )", ")")
