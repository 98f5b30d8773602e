"""Real functions and classes, tried in the sandbox; here those of a few modules of the standard library."""

import json
import random
import sys
import textwrap
from collections import Counter

import pytest

from finetune.data import real
from finetune.data.packages import read_installed
from finetune.data.real import harvest
from testing_crew import prompt
from testing_crew.errors import UserMistake
from testing_crew.runner.run import Runner
from trace_logger.records import CodeUnderTest


@pytest.fixture(scope="module")
def units(tmp_path_factory):
    folder = tmp_path_factory.mktemp("real")
    harvest.main(
        ["--site", str(folder), "--out", str(folder / "real.jsonl"), "--modules", "textwrap,colorsys,statistics,queue"]
    )
    return real.read(folder / "real.jsonl")


def by_name(units):
    return {unit.program.unit: unit for unit in units}


def test_functions_and_their_true_results_are_found(units):
    found = by_name(units)
    assert {"indent", "dedent", "mean"} <= set(found)
    assert "import pytest\nfrom textwrap import indent\n" in found["indent"].text()
    for row in found["dedent"].tests.returned:
        assert textwrap.dedent(*row.args) == row.value


def test_what_the_code_itself_raises_is_kept_and_accidents_are_not(units):
    mean = by_name(units)["mean"].tests
    assert {row.raises for row in mean.raised} == {"StatisticsError"}
    assert mean.beside == ("StatisticsError",)


def test_each_test_file_passes_and_tells_more_than_one_thing(units):
    with Runner() as runner:
        for unit in units:
            source = f"from {unit.program.module} import *\n"
            code = CodeUnderTest(source=source, shown=source, module="anchor", root="", interpreter=sys.executable)
            assert runner.run(code, unit.text()).passed, unit.text()
    for unit in units:
        if not isinstance(unit.tests, list):
            outcomes = {repr(r.value) for r in unit.tests.returned} | {r.raises for r in unit.tests.raised}
            assert len(outcomes) > 1


def test_a_unit_survives_its_line(units):
    for unit in units:
        again = real.Unit.from_json(unit.to_json())
        assert again.text() == unit.text()
        json.loads(unit.to_json())


def test_examples_are_first_files_and_repairs_under_the_one_template(units):
    rng = random.Random(0)
    made = [example for unit in units for example in real.examples_of(rng, unit, 3)]
    kinds = Counter(example.kind.partition("/")[0] for example in made)
    assert kinds["generate"] == len(units)
    assert kinds["repair"] > len(units) / 2
    assert all(e.prompt.startswith(f"{prompt.TASK}\n\n{prompt.CODE}\n# module: ") for e in made)
    assert all("# unit: " in e.prompt for e in made)


def test_a_harvest_that_was_stopped_is_taken_up_again(tmp_path, capsys):
    modules = list(harvest.standard(("textwrap", "colorsys")))
    out = tmp_path / "real.jsonl"
    (tmp_path / "packages").mkdir()
    harvest.harvest(modules[:1], tmp_path / "packages", out)
    first = out.read_text()
    out.rename(tmp_path / ".real.jsonl")
    (tmp_path / ".real.jsonl.tried").write_text(modules[0].name + "\n")
    harvest.harvest(modules, tmp_path / "packages", out)
    assert out.read_text().startswith(first)
    assert {u.program.module for u in real.read(out)} == {"textwrap", "colorsys"}


def test_a_package_that_is_scored_is_refused(tmp_path):
    folder = tmp_path / "toolz-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: toolz\nVersion: 1.0\nLicense-Expression: BSD-3-Clause\n"
    )
    (folder / "RECORD").write_text("")
    with pytest.raises(UserMistake, match="scored"):
        read_installed("toolz", tmp_path)


def test_a_file_that_is_none_is_told(tmp_path):
    (tmp_path / "x.jsonl").write_text("{}\n")
    with pytest.raises(UserMistake, match="harvested"):
        real.read(tmp_path / "x.jsonl")
