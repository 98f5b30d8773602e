"""Which licence a project is under: what it declares, else what its licence file's words say."""

from __future__ import annotations

from pathlib import Path

import pytest

from trace_logger.collect.licences import is_licence, licence_of

BSD = (
    "Redistribution and use in source and binary forms are permitted:\n1. Redistributions of source code must\n"
    "   retain the above copyright notice.\n2. Redistributions in binary form must reproduce it.\n"
)


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        ("Permission is hereby granted, free of charge, to any person obtaining a copy\nof this", "MIT"),
        ("                  Apache License\n            Version 2.0, January 2004\n", "Apache-2.0"),
        ("  GNU GENERAL PUBLIC LICENSE\n   Version 3, 29 June 2007", "GPL-3.0-only"),
        ("  GNU GENERAL PUBLIC LICENSE\n   Version 2, June 1991", "GPL-2.0-only"),
        (
            "  GNU LESSER GENERAL PUBLIC LICENSE\n  Version 3, 29 June 2007\n GNU General Public License",
            "LGPL-3.0-only",
        ),
        ("  GNU LESSER GENERAL PUBLIC LICENSE\n  Version 2.1, February 1999", "LGPL-2.1-only"),
        ("  GNU AFFERO GENERAL PUBLIC LICENSE\n  Version 3, 19 November 2007", "AGPL-3.0-only"),
        ("Mozilla Public License Version 2.0\n====", "MPL-2.0"),
        (BSD, "BSD-2-Clause"),
        (BSD + "3. Neither the name of the copyright holder nor", "BSD-3-Clause"),
        ("This is free and unencumbered software released into the public domain.", "Unlicense"),
        (
            "Permission to use, copy, modify, and/or distribute this software for any\npurpose with or without fee is",
            "ISC",
        ),
        ("PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2\n----", "PSF-2.0"),
        ("All rights reserved.", None),
        ("", None),
    ],
)
def test_by_the_words_of_its_file(text: str, licence: str | None) -> None:
    for name in ("LICENSE", "LICENCE.txt", "COPYING"):
        assert licence_of({name: text, "README.md": "MIT"}) == licence


@pytest.mark.parametrize(
    ("line", "licence"),
    [
        ('license = "Apache-2.0"', "Apache-2.0"),
        ("license = 'MIT OR Apache-2.0'", "MIT OR Apache-2.0"),
        ('license = {text = "BSD-3-Clause"}', "BSD-3-Clause"),
        ('license = { text = "MIT License" }', "GPL-3.0-only"),
        ('license = {file = "LICENSE"}', "GPL-3.0-only"),
        ('license = "mit or (apache-2.0 and GPL-2.0-only with classpath-exception-2.0)"',
         "MIT OR (Apache-2.0 AND GPL-2.0-only WITH Classpath-exception-2.0)"),
        ('license = "GPL-2.0+"', "GPL-2.0+"),
        ('license = "BSD"', "GPL-3.0-only"),
        ('license = "Proprietary"', "GPL-3.0-only"),
        ('license = "LicenseRef-Ours"', "GPL-3.0-only"),
        ('license = "MIT OR"', "GPL-3.0-only"),
        ('license = "(MIT"', "GPL-3.0-only"),
        ('license = "MIT WITH Apache-2.0"', "GPL-3.0-only"),
        ('license-files = ["LICENSE"]', "GPL-3.0-only"),
        ('# license = "MIT"', "GPL-3.0-only"),
    ],
)  # fmt: skip
def test_what_is_declared_comes_first(line: str, licence: str) -> None:
    files = {"LICENSE": "GNU GENERAL PUBLIC LICENSE\nVersion 3", "pyproject.toml": f'[project]\nname = "x"\n{line}\n'}
    assert licence_of(files) == licence


MIT = "Permission is hereby granted, free of charge, to any person obtaining a copy"
APACHE = "Apache License\nVersion 2.0, January 2004"
GPL, LGPL = "GNU GENERAL PUBLIC LICENSE\nVersion 3", "GNU LESSER GENERAL PUBLIC LICENSE\nVersion 3"


@pytest.mark.parametrize(
    ("files", "licence"),
    [
        ({"COPYING": GPL, "COPYING.LESSER": LGPL}, "LGPL-3.0-only"),
        ({"LICENSE": GPL, "LICENSE.LESSER.md": LGPL}, "LGPL-3.0-only"),
        ({"COPYING": GPL, "COPYING.LESSER": "see COPYING"}, "GPL-3.0-only"),
        ({"LICENSE-MIT": MIT, "LICENSE-APACHE": APACHE}, "MIT OR Apache-2.0"),
        ({"LICENSE-APACHE-2.0.txt": APACHE, "LICENSE-MIT.txt": MIT}, "MIT OR Apache-2.0"),
        ({"LICENSE.APACHE": APACHE, "LICENSE.BSD": BSD, "LICENSE": "Either of LICENSE.APACHE or LICENSE.BSD"},
         "Apache-2.0 OR BSD-2-Clause"),
        ({"LICENSE-MIT": MIT, "LICENSE": "All rights reserved"}, None),
        ({"LICENSE-MIT": MIT, "LICENSE-APACHE": "not what it says"}, None),
        ({"License.txt": MIT, "README.md": APACHE}, "MIT"),
        ({"pyproject.toml": '[project]\nlicense = "Proprietary"\n'}, None),
    ],
)  # fmt: skip
def test_several_files(files: dict[str, str], licence: str | None) -> None:
    assert {is_licence(name) for name in files} <= {True, "README.md" not in files}
    assert licence_of(files) == licence


def test_none_and_our_own() -> None:
    assert licence_of({}) is None
    assert licence_of({"setup.py": "license='MIT'"}) is None
    here = Path(__file__).resolve().parents[3]
    assert licence_of({"LICENSE": (here / "LICENSE").read_text()}) == "Apache-2.0"
