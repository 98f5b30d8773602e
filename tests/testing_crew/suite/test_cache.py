"""What is found again: the same contents; and what is not, once something that a result depends on has changed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from testing_crew.project.python import inspect_interpreter
from testing_crew.suite import cache as module
from testing_crew.suite.cache import Cache
from testing_crew.suite.formats import markdown
from testing_crew.suite.records import SuiteReport

FILES = {
    "pyproject.toml": "[tool.pytest.ini_options]\n",
    "pkg/__init__.py": "",
    "pkg/a.py": "A = 1\n",
    "pkg/b.py": "B = 1\n",
    "pkg/rates.json": "{}",
    "tests/conftest.py": "",
    "tests/helper.py": "ROWS = '../rows/all.csv'\n",
    "tests/data/case.txt": "1",
    "tests/cases.md": "3",
    "tests/.data/v.txt": "3",
    "tests/settings.ini": "# for testing-crew",
    "pkg/build/__init__.py": "",
    "rows/all.csv": "1,2",
    "tests/test_a.py": "import pkg.a\n",
    "tests/test_b.py": "from tests.test_a import x\n",
    "README.md": "Read.",
    "reports/old.xml": "<x/>",
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("TESTING_CREW_HOME", str(tmp_path / "home"))
    root = tmp_path.resolve() / "project"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def opened(root: Path, settings: str = "usual", **more: bool) -> Cache:
    return Cache([root], [root / "tests/test_a.py"], inspect_interpreter(sys.executable), settings, **more)


def keep(root: Path) -> None:
    for name in ("test_a", "test_b"):
        opened(root).write({"of": name}, "pair", root / f"tests/{name}.py", root / "pkg/a.py")


def found(root: Path, name: str, settings: str = "usual") -> object:
    return opened(root, settings).read("pair", root / f"tests/{name}.py", root / "pkg/a.py")


def test_the_same_contents_are_found_again(project):
    keep(project)
    assert found(project, "test_a") == {"of": "test_a"}
    assert found(project, "test_b") == {"of": "test_b"}
    assert opened(project).read("survey", project / "tests/test_a.py", project / "pkg/a.py") is None
    assert opened(project).read("pair", project / "tests/test_a.py", project / "pkg/b.py") is None


@pytest.mark.parametrize(
    "changed",
    [
        "pkg/a.py",
        "pkg/b.py",
        "pkg/rates.json",
        "tests/conftest.py",
        "tests/helper.py",
        "tests/data/case.txt",
        "tests/cases.md",
        "tests/.data/v.txt",
        "tests/settings.ini",
        "pkg/build/__init__.py",
        "rows/all.csv",
        "pyproject.toml",
        "pkg/new.py",
        "pytest.ini",
    ],
)
def test_a_change_that_every_test_may_see_makes_all_stale(project, changed):
    keep(project)
    (project / changed).write_text("# other\n")
    assert found(project, "test_a") is None
    assert found(project, "test_b") is None


def test_a_changed_test_file_is_stale_with_those_that_import_it_alone(project):
    keep(project)
    (project / "tests/test_b.py").write_text("import pkg.b\n")
    assert found(project, "test_a") == {"of": "test_a"}
    assert found(project, "test_b") is None
    keep(project)
    (project / "tests/test_b.py").write_text(FILES["tests/test_b.py"])
    (project / "tests/test_a.py").write_text("import pkg.b\n")
    assert found(project, "test_a") is None
    assert found(project, "test_b") is None


@pytest.mark.parametrize(
    "changed",
    [
        "README.md",
        "reports/old.xml",
        "reports/new.html",
        ".coverage",
        "tests/.pytest_cache/v/nodeids",
        "pkg/.mypy_cache/a.json",
        "build/lib/pkg/a.py",
    ],
)
def test_what_no_test_sees_makes_nothing_stale(project, changed):
    keep(project)
    (project / changed).parent.mkdir(parents=True, exist_ok=True)
    (project / changed).write_text("other")
    assert found(project, "test_a") == {"of": "test_a"}


def test_a_report_of_ours_beside_the_code_makes_nothing_stale(project):
    (project / "flat.py").write_text("")
    keep(project)
    for large in (False, True):
        made = markdown.render(SuiteReport(root=str(project), made_by="testing-crew 1", passed=True))
        (project / "report.md").write_text(made + "more\n" * 100_000 * large)
        assert found(project, "test_a") == {"of": "test_a"}
    (project / "report.md").write_text("We use testing-crew here.")
    assert found(project, "test_a") is None


def test_data_with_the_words_of_a_report_is_data(project):
    (project / "tests" / "cases.md").write_text("How we use testing-crew: <!-- testing-crew -->\n")
    keep(project)
    (project / "tests" / "cases.md").write_text("How we used testing-crew: <!-- testing-crew -->\n")
    assert found(project, "test_a") is None


def test_other_settings_find_nothing(project):
    keep(project)
    assert found(project, "test_a", "other") is None


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_an_entry_that_cannot_be_read_is_as_if_it_were_not_there(project, tmp_path, content):
    keep(project)
    for entry in tmp_path.glob("home/checks/found/*/*.json"):
        entry.write_bytes(content)
    assert found(project, "test_a") is None
    keep(project)
    assert found(project, "test_a") == {"of": "test_a"}


def test_entries_of_old_versions_go(project, tmp_path):
    for number in range(5):
        (tmp_path / f"home/checks/found/version{number}").mkdir(parents=True)
    keep(project)
    assert len(list(tmp_path.glob("home/checks/found/*"))) == 3
    assert found(project, "test_a") == {"of": "test_a"}


def test_there_are_not_ever_more_entries(project, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_ENTRIES", 10)
    for number in range(15):
        opened(project).write(number, f"kind {number}", project / "tests/test_a.py")
    assert len(list(tmp_path.glob("home/checks/found/*/*.json"))) <= 10
    assert opened(project).read("kind 14", project / "tests/test_a.py") == 14


def test_switched_off_it_keeps_nothing(project, tmp_path):
    off = opened(project, enabled=False)
    off.write(1, "pair", project / "tests/test_a.py")
    assert off.read("pair", project / "tests/test_a.py") is None
    assert not (tmp_path / "home").exists()


def test_a_workspace_that_cannot_be_written_is_no_error(project, tmp_path):
    (tmp_path / "home").write_text("a file")
    keep(project)
    assert found(project, "test_a") is None
