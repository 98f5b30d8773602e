"""Rows made of a project: what is taken and cut, what is not and why, and that their labels are what pytest says."""

import json
import random
import sys
from collections import Counter

import children
import command_line
import pytest

from benchmarks.code_correctness.build import cut, swaps, unpacked
from benchmarks.code_correctness.cutting import one_test_each, takes_from_elsewhere, why_not
from benchmarks.code_correctness.generate import Draft, Project, balanced, by_people, labelled, rows_from, written
from benchmarks.code_correctness.labels import Labelled, Labeller
from testing_crew.backends import open_backend
from testing_crew.errors import UserMistake
from testing_crew.prompt.outcome import rows_of

PRICES = "def net(price, rate):\n    if rate < 0:\n        raise ValueError(rate)\n    return price - price * rate\n"
TESTS = '''"""About prices."""
import pytest

from shop.prices import net

RATE = 0.5


@pytest.fixture
def price():
    return 8


def test_half(price):
    assert net(price, RATE) == 4


@pytest.mark.parametrize("rate", [-1, -0.5])
def test_negative(rate):
    with pytest.raises(ValueError):
        net(1, rate)


class TestMore:
    FREE = 0

    def test_free(self):
        assert net(3, self.FREE) == 3

    def test_all(self):
        assert net(3, 1) == 0
'''


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TESTING_CREW_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def project(tmp_path):
    def make(**files):
        for name, text in {"src/shop/__init__.py": "", "src/shop/prices.py": PRICES, **files}.items():
            place = tmp_path / "project" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        return Project(tmp_path / "project")

    return make


@pytest.fixture(scope="module")
def labeller():
    made = Labeller()
    yield made
    made.close()


def quiet(what, done, of):
    """Say nothing."""


def test_a_file_is_cut_to_each_of_its_tests_and_keeps_the_rest_word_for_word(tmp_path):
    found = list(one_test_each(TESTS))
    assert [each.count("def test_") for each in found] == [1, 1, 1, 1]
    spaced = "X = '''a\n\n\n\n\nb'''\n\n\ndef test_b():\n    assert X\n\n\ndef test_a():\n    assert X\n"
    assert all("a\n\n\n\n\nb" in cut for cut in one_test_each(spaced))
    for each in found:
        assert "RATE = 0.5" in each
        assert '"""About prices."""' in each
    assert "class TestMore" not in found[0]
    assert "parametrize" not in found[2]
    assert "FREE = 0" in found[2]
    assert "test_all" not in found[2]
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/prices.py").write_text(PRICES)
    for number, each in enumerate(found):
        (tmp_path / f"test_{number}.py").write_text(each)
    done = children.run([sys.executable, "-m", "pytest", "-q", str(tmp_path)], cwd=tmp_path)
    assert "5 passed" in done.stdout


def test_each_test_becomes_a_row_with_the_label_that_its_runs_have(project, labeller):
    made = project(**{"tests/test_prices.py": TESTS})
    originals = list(made.originals())
    assert {(each.module, each.origin) for each in originals} == {("shop.prices", "original")}
    found = by_people(originals, 6, labeller, made.dropped, quiet)
    counts = Counter((draft.origin, label.label) for draft, label in found)
    assert counts["original", "success"] == 4
    assert counts["changed", "failed"] > 3
    rows = rows_from(balanced(found, None, 0))
    labels = Counter(row.outputs for row in rows)
    assert labels["success"] == labels["failed"] > 3
    first = rows[0].meta.model_extra
    assert first["lines_focal"] == 4
    assert first["parses"] is True
    assert set(first["imports"]) <= {"pytest", "focal"}
    assert rows_of([json.loads(row.model_dump_json()) for row in rows], "again") == rows


WANTS_MORE = {
    "a base class that was cut out": "from shop.prices import net\n\n\nclass TestBase:\n    RATE = 0\n\n    def test_a(self):\n"
    "        assert net(1, 0) == 1\n\n\nclass TestMore(TestBase):\n    def test_b(self):\n        assert net(1, self.RATE) == 1\n",
    "a conftest": "from shop.prices import net\n\n\ndef test_a():\n    assert net.rounded == 1\n",
}


@pytest.mark.parametrize("what", WANTS_MORE)
def test_a_test_that_fails_only_by_itself_gives_no_row(what, project, labeller):
    conftest = "import pytest\nfrom shop import prices\n\n\n@pytest.fixture(autouse=True)\ndef rounded():\n    prices.net.rounded = 1\n"
    made = project(**{"tests/test_prices.py": WANTS_MORE[what], "tests/conftest.py": conftest})
    found = by_people(list(made.originals()), 2, labeller, made.dropped, quiet)
    assert made.dropped["run: it fails by itself, and may want more of the project"] == 1
    assert not any("self.RATE" in draft.tests or "rounded" in draft.tests for draft, _ in found)


def test_a_module_of_a_package_is_found_by_each_way_to_import_it(project, labeller):
    ways = {
        "from": "from shop import prices\n\n\ndef test_a():\n    assert prices.net(1, 0) == 1\n",
        "import": "import pytest, shop.prices\n\n\ndef test_a():\n    assert shop.prices.net(1, 0) == 1\n",
        "as": "import shop.prices as p;\n\n\ndef test_a():\n    assert p.net(1, 0) == 1\n",
    }
    full = {"src/shop/__init__.py": "from shop.prices import net\n"}
    made = project(**full, **{f"tests/test_{name}.py": text for name, text in ways.items()})
    originals = list(made.originals())
    assert [each.module for each in originals] == ["shop.prices"] * 3
    found = labelled(originals, labeller, made.dropped, quiet)
    assert [label.label for _, label in found] == ["success"] * 3


NOT_TAKEN = {
    "test: it works with files": "from shop.prices import net\n\ndef test_a(tmp_path):\n    assert net(1, 0) == 1\n",
    "test: it depends on the machine or the moment: random": "import random\nfrom shop.prices import net\n\ndef test_a():\n    assert net(1, random.random()) < 1\n",
    "test: it imports what may not be installed": "import numpy\nfrom shop.prices import net\n\ndef test_a():\n    assert net(1, 0) == 1\n",
    "test: it takes fixtures from elsewhere": "from shop.prices import net\n\ndef test_a(basket):\n    assert net(basket, 0) == 1\n",
    "the test imports no file of the project, or several": "import shop.prices, shop.other\n\ndef test_a():\n    assert True\n",
    "focal file: it imports other files of the project": "from shop.chained import gross\n\ndef test_a():\n    assert gross(1) == 1\n",
    "the file holds no test that can be cut out": "from shop.prices import net\n\nassert net(1, 0) == 1\n",
    "test: it depends on the machine or the moment: sys.platform": "from sys import platform\nfrom shop.prices import net\n\ndef test_a():\n    assert net(1, 0) == 1\n",
    "test: it depends on the machine or the moment: id": "from shop.prices import net\n\ndef test_a():\n    assert sorted([1, net], key=id)\n",
    "focal file: it works with files": "from shop.reads import read\n\ndef test_a():\n    assert read\n",
}


@pytest.mark.parametrize("why", NOT_TAKEN)
def test_what_two_files_alone_cannot_answer_is_not_taken_and_is_counted(why, project):
    more = {"chained": "from shop.prices import net\n\ndef gross(x):\n    return net(x, 0)\n", "other": "X = 1\n"}
    more["reads"] = "def read(path):\n    return open(path).read()\n"
    files = {f"src/shop/{name}.py": text for name, text in more.items()}
    made = project(**files, **{"tests/test_it.py": NOT_TAKEN[why]})
    assert list(made.originals()) == []
    assert made.dropped == {why: 1}


def test_a_label_that_a_second_run_does_not_confirm_gives_no_row(labeller):
    luck = "import sys\nfrom lucky import a\n\n\ndef test_a():\n    assert sys.flags.hash_randomization == a\n"
    dropped = Counter()
    drafts = [Draft(f"a = {n}\n", luck, "original", "test_a.py", "lucky") for n in (0, 1)]
    assert labelled(drafts, labeller, dropped, quiet) == []
    assert dropped == {"run: another run ends otherwise": 2}


def test_a_models_tests_become_rows_of_either_label(project, labeller, tmp_path):
    made = project(**{"tests/test_prices.py": TESTS})
    answer = (
        "from shop.prices import net\n\n\ndef test_a():\n    assert net(8, 0.5) == 4\n\n\n"
        "def test_b():\n    assert net(8, 0.5) == 5\n\n\ndef test_c():\n    assert open('x')\n"
    )
    (tmp_path / "script.json").write_text(json.dumps([answer]))
    backend = open_backend(f"scripted:{tmp_path / 'script.json'}")
    drafts = list(written(list(made.originals()), backend, 1, 0, quiet))
    found = labelled(drafts, labeller, made.dropped, quiet)
    assert {(draft.origin, label.label) for draft, label in found} == {
        ("generated", "success"),
        ("generated", "failed"),
    }
    assert len(found) == 2


def drafts_of(counts):
    return [
        (Draft(f"{lang} {n}", f"{by} {label} {n}", by, f"file {n % 5}", lang=lang), Labelled(label, how="x"))
        for lang in ("Python", "Go")
        for (by, label), count in counts.items()
        for n in range(count)
    ]


def test_neither_the_language_nor_who_wrote_a_test_gives_the_answer_away():
    found = drafts_of(
        {("original", "success"): 60, ("changed", "success"): 9, ("changed", "failed"): 40}
        | {("generated", "success"): 7, ("generated", "failed"): 30}
    )
    random.Random(3).shuffle(found)
    for limit, people, model in ((40, 5, 5), (80, 13, 7), (None, 40, 7)):
        kept = balanced(found, limit, 0)
        counts = Counter((draft.lang, draft.origin == "generated", label.label) for draft, label in kept)
        assert {(by, n) for (_, by, _), n in counts.items()} == {(False, people), (True, model)}
        assert len(counts) == 8
        assert balanced(found, limit, 0) == kept
    origins = Counter(draft.origin for draft, label in balanced(found, 40, 0) if label.label == "success")
    assert abs(origins["original"] - origins["changed"]) <= 2
    files = Counter(draft.source for draft, _ in balanced(found, 80, 0))
    assert max(files.values()) - min(files.values()) <= 6


def test_the_command_writes_a_file_once_and_says_what_gave_no_row(project, tmp_path):
    project(**{"tests/test_prices.py": TESTS, "tests/test_luck.py": NOT_TAKEN["test: it works with files"]})
    words = ("bench", "rows", tmp_path / "project", "--out", tmp_path / "rows.jsonl", "--limit", "6")
    done = command_line.run(*words, "--json")
    said = json.loads(done.stdout)
    assert said["rows"] == 6
    assert said["not_taken"] == {"test: it works with files": 1}
    assert sum(said["counts"].values()) == 6
    again = command_line.run(*words)
    assert again.returncode != 0
    assert "--force" in again.stderr
    (tmp_path / "empty").mkdir()
    none = command_line.run("bench", "rows", tmp_path / "empty", "--out", tmp_path / "other.jsonl")
    assert none.returncode != 0
    assert "holds no test file" in none.stderr


def test_a_project_without_a_failing_test_says_so(project, tmp_path):
    project(**{"tests/test_prices.py": TESTS})
    words = ("bench", "rows", tmp_path / "project", "--out", tmp_path / "rows.jsonl", "--changes", "0")
    done = command_line.run(*words)
    assert done.returncode != 0
    assert "4 pass and 0 fail" in " ".join(done.stderr.split())


def test_a_folder_that_is_none_is_told(tmp_path):
    with pytest.raises(UserMistake, match="is no folder"):
        list(Project(tmp_path / "nowhere").originals())


def test_what_cannot_be_known_from_the_text_is_told_apart():
    nothing = {}.get
    assert why_not("x = (", nothing) == "it does not parse"
    assert why_not("from . import a\n", nothing) == "it imports other files of the project"
    assert why_not("import datetime\nNOW = datetime.datetime.now()\n", nothing).endswith("now")
    assert why_not("import math\n", nothing) == ""
    assert why_not("def rest(clock, id):\n    return clock.now() - id\n", nothing) == ""
    assert why_not("from pathlib import Path\n", nothing).endswith("pathlib")
    assert not takes_from_elsewhere("def test_a(capsys, monkeypatch):\n    assert 1\n")
    assert takes_from_elsewhere("def test_a(client):\n    assert 1\n")


def test_our_own_files_in_java_and_go_are_cut_and_changed_outside_of_strings():
    for language in ("Java", "Go"):
        files = unpacked(language)
        tests = {name: text for name, text in files.items() if "Test.java" in name or "_test.go" in name}
        assert len(files) == 2 * len(tests) > 40
        marks = "@Test\n" if language == "Java" else "func Test"
        for text in tests.values():
            assert [each.count(marks) for each in cut(text, language)] == [1] * text.count(marks)
    assert swaps('if (a < 3) { say("a < 3"); } // a < 3\n') == [
        'if (a <= 3) { say("a < 3"); } // a < 3\n',
        'if (a < 4) { say("a < 3"); } // a < 3\n',
    ]
