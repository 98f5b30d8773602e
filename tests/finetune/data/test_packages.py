"""Rows from a source distribution: modules paired with the tests about them that pass on their own."""

import io
import json
import tarfile

import pytest

from finetune.data import packages

from .test_testgeneval import CODE

TESTS = """import shop
from shop import Till


def test_total():
    assert shop.total([1, 2]) == 3


def test_till():
    assert Till().add(3).sum == 3


def test_till_reads_a_file_of_the_suite():
    with open("prices.txt") as file:
        assert Till().add(int(file.read()))


def test_with_tax_wrongly():
    assert shop.with_tax(10) == 13
"""


def sdist(folder, name="shop", licence="MIT", tests=TESTS):
    files = {
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nLicense-Expression: {licence}\n",
        "setup.py": "raise SystemExit('never run')\n",
        "src/shop/__init__.py": "from shop.till import Till, total, with_tax\n",
        "src/shop/till.py": CODE,
        "tests/test_shop.py": tests,
    }
    path = folder / f"{name}-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for file, text in files.items():
            member = tarfile.TarInfo(f"{name}-1.0/{file}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


def test_a_package_gives_rows_in_testgenevals_columns_that_a_set_is_built_of(tmp_path, built, capsys):
    sdist(tmp_path)
    packages.main(["--sdists", str(tmp_path), "--out", str(tmp_path / "rows.jsonl")])
    (row,) = map(json.loads, (tmp_path / "rows.jsonl").read_text().splitlines())
    assert (row["repo"], row["code_file"], row["licence"]) == ("pypi/shop", "shop/till.py", "MIT")
    assert row["code_src"] == CODE
    assert row["local_imports"] == ["from shop.till import Till, total"]
    assert "def test_total" in row["test_src"]
    assert "def test_till()" in row["test_src"]
    assert "prices.txt" not in row["test_src"]
    assert "wrongly" not in row["test_src"]
    rows = built(f"testgeneval:{tmp_path / 'rows.jsonl'}?units=only", verify=True).train
    assert sorted(r.id.split("#")[1] for r in rows) == ["Till", "total"]
    assert {r.licence for r in rows} == {"MIT"}


@pytest.mark.parametrize(
    ("change", "why"),
    [({"licence": "GPL-3.0-only"}, "permissive"), ({"name": "toolz"}, "scored"), ({"tests": "x = 1\n"}, "no pair")],
)
def test_what_may_not_be_trained_on_or_has_no_tests_is_left_out(tmp_path, capsys, change, why):
    path = sdist(tmp_path, **change)
    with pytest.raises(SystemExit, match="no package gave a row"):
        packages.main(["--sdists", str(path), "--out", str(tmp_path / "rows.jsonl")])
    assert why in capsys.readouterr().out
    assert not (tmp_path / "rows.jsonl").exists()


def test_a_place_that_is_not_there_is_told(tmp_path):
    with pytest.raises(SystemExit, match="there is no /nowhere"):
        packages.main(["--sdists", "/nowhere/a.tar.gz", "--out", str(tmp_path / "rows.jsonl")])
