"""Which licence a project's files say that they are under, as an SPDX identifier."""

from __future__ import annotations

import re
from collections.abc import Mapping

NAMES = (
    "LICENSE",
    "LICENCE",
    "LICENSE.txt",
    "LICENSE.md",
    "LICENSE.rst",
    "LICENCE.txt",
    "COPYING",
    "COPYING.txt",
    "UNLICENSE",
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
_DECLARED = re.compile(
    r"""^license\s*=\s*(?:\{\s*text\s*=\s*)?["']([A-Za-z0-9.+-]+(?: (?:OR|AND|WITH) [A-Za-z0-9.+-]+)*)["']""", re.M
)


def licence_of(files: Mapping[str, str]) -> str | None:
    """The licence that the files at a project's top tell: what pyproject.toml declares, else by the words of its licence file.

    None where neither tells one of those known here; what nobody licensed may not be given on.
    """
    declared = _DECLARED.search(files.get("pyproject.toml", ""))
    if declared:
        return declared[1]
    for name in NAMES:
        words = " ".join(files.get(name, "").casefold().split())
        for identifier, pattern in _WORDS:
            if words and re.search(pattern, words):
                return identifier
    return None
