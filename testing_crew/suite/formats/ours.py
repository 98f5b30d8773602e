"""By what a report of ours is known again: by how it begins, to the letter, and a text by its last line too."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

_BEGINNING = 2**14  # bytes: a path of the longest has room in it
_END = 500
_BEGINS: Mapping[str, bytes] = {
    "markdown": rb"<!-- testing-crew -->\n### testing-crew: ",
    "html": rb'<!doctype html>\n<html lang="en">\n<!-- made by testing-crew -->\n',
    "sarif": rb'\{\n "\$schema": "[^"\n]*",\n "version": "2\.1\.0",\n "runs": \[\n  \{\n'
    rb'   "tool": \{\n    "driver": \{\n     "name": "testing-crew",\n',
    "junit": rb'<\?xml version="1\.0" encoding="utf-8"\?>\n<testsuites name="testing-crew" tests="\d+" ',
    "github": rb"::notice title=testing-crew::(?:Passed|Not passed)[:,] ",
    "json": rb'\{\n  "version": \d+,\n  "root": "(?:[^"\\\n]|\\.)*",\n  "made_by": "testing-crew[^"\n]*",\n  "rev": ',
}
_REPORTS = re.compile(b"|".join(b"(?:%s)" % begins for begins in _BEGINS.values()))
_TEXT = re.compile(rb"testing-crew check of [^\n]+\n")
_TEXTS_END = re.compile(rb"\ntesting-crew[^\n,]*, \d+\.\d s(?:, [\d,]+ results? from the cache)?\n\Z")


def is_ours(path: Path) -> bool:
    """Whether the file is a report that `testing-crew check` wrote, in any of its formats; a link is none.

    Raises OSError for one that cannot be read.
    """
    if path.is_symlink():
        return False
    with path.open("rb") as file:
        beginning = file.read(_BEGINNING).replace(b"\r\n", b"\n")
        file.seek(max(os.fstat(file.fileno()).st_size - _END, 0))
        end = file.read(_END).replace(b"\r\n", b"\n")
    return bool(_REPORTS.match(beginning) or (_TEXT.match(beginning) and _TEXTS_END.search(end)))
