"""``testing-crew check`` of a suite as a user meets it: the table, the formats, exit codes, and each mistake in a sentence."""

import json
import os
import signal
import sys
import time

import command_line
import pytest

from self_improve.cli.checking.option import with_revision

SHOP = "def add(a, b):\n    return a + b\n\n\ndef twice(x):\n    return 2 * x\n"
GOOD = "from shop import add, twice\n\n\ndef test_add():\n    assert add(1, 2) == 3\n\n\ndef test_twice():\n    assert twice(2) == 4\n"
HOLLOW = "from shop import add\n\n\ndef test_add():\n    assert add(1, 2) is not None\n"
BROKEN = "import not_there\n\n\ndef test_a():\n    assert not_there\n"
FEW = ("--mutants", "10", "--repeats", "3")


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("TESTING_CREW_HOME", str(tmp_path / "home"))
    root = tmp_path / "project"
    (root / "tests").mkdir(parents=True)
    (root / "pyproject.toml").touch()
    (root / "shop.py").write_text(SHOP)
    (root / "tests" / "test_shop.py").write_text(GOOD)
    monkeypatch.chdir(root)
    return root


def check(*words):
    return command_line.run("check", *words)


def mistake(done, *said):
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    for text in said:
        assert text in done.stderr
    assert done.stdout == ""


def test_a_suite_is_a_table_and_a_line_of_totals(project):
    (project / "tests" / "test_hollow.py").write_text(HOLLOW)
    (project / "tests" / "test_broken.py").write_text(BROKEN)
    done = check("tests", *FEW)
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    rows = [line for line in lines if line.strip().startswith("tests/test_") and "accepted" in line]
    assert [row.split()[0] for row in rows] == ["tests/test_broken.py", "tests/test_hollow.py", "tests/test_shop.py"]
    assert "No module named 'not_there'" in rows[0]
    assert "no small change of the code made one of its assertions fail" in rows[1]
    assert "100%" in rows[2]
    assert "Not passed: 1 of 3 test files accepted, 2 errors" in done.stdout
    again = check("tests", *FEW)
    assert again.returncode == 1
    assert "2 results from the cache" in again.stdout
    assert "from the cache" not in check("tests/test_shop.py", *FEW, "--no-cache").stdout


def test_a_suite_that_holds_is_exit_code_0_and_its_json_one_document(project):
    done = check(".", *FEW, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["passed"]
    assert [each["path"] for each in found["tests"]] == ["tests/test_shop.py"]
    assert found["tests"][0]["targets"][0]["target"] == "shop.py"
    assert found["root"] == str(project)


@pytest.mark.parametrize(
    ("form", "beginning"),
    [
        ("github", "::"),
        ("sarif", "{"),
        ("junit", "<?xml"),
        ("markdown", "<!-- testing-crew -->"),
        ("html", "<!doctype html>"),
    ],
)
def test_every_format_is_printed_and_written(project, form, beginning):
    (project / "tests" / "test_shop.py").write_text(BROKEN)  # nothing is to be run for this
    (project / "tests" / "test_more.py").write_text(HOLLOW)
    printed = check("tests", *FEW, "--format", form)
    assert printed.returncode == 1, printed.stderr
    assert printed.stdout.startswith(beginning)
    assert "test_shop.py" in printed.stdout
    written = check("tests", *FEW, "--format", form, "--output", "out.txt")
    assert written.returncode == 1, written.stderr
    assert "written: out.txt" in written.stdout
    text = (project / "out.txt").read_text()
    assert text.startswith(beginning)
    assert "testing-crew" in text[:500]
    over = check("tests", *FEW, "--format", form, "--output", "out.txt")
    assert over.returncode == 1, over.stderr  # a report of ours is written over


def test_a_file_of_the_users_is_not_written_over(project):
    (project / "notes.html").write_text("<p>mine</p>")
    mistake(check("tests", *FEW, "--output", "notes.html"), "notes.html exists and is no report", "--force")
    assert (project / "notes.html").read_text() == "<p>mine</p>"
    done = check("tests", *FEW, "--output", "notes.html", "--force")
    assert done.returncode == 0, done.stderr
    assert "(html)" in done.stdout
    assert (project / "notes.html").read_text().startswith("<!doctype html>")


def test_notes_that_name_us_and_links_are_not_written_over(project, tmp_path):
    notes = "How we use testing-crew here\n"
    (project / "notes.md").write_text(notes)
    mistake(check("tests", *FEW, "--output", "notes.md"), "notes.md exists and is no report of testing-crew", "--force")
    assert (project / "notes.md").read_text() == notes
    (tmp_path / "outside").mkdir()
    (project / "report.md").symlink_to(tmp_path / "outside" / "report.md")
    (project / "reports").symlink_to(tmp_path / "outside")
    for output in ("report.md", str(project / "report.md"), "reports/new.md"):
        mistake(check("tests", *FEW, "--output", output, "--force"), "is a link, and no report is written through one")
    assert list((tmp_path / "outside").iterdir()) == []
    os.mkfifo(project / "pipe")
    mistake(check("tests", *FEW, "--output", "pipe", "--force"), "pipe is no regular file")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_file_name_that_is_no_unicode_is_told_escaped(project):
    bad = os.fsdecode(os.fsencode(project / "tests") + b"/test_bad\xffname.py")
    with open(bad, "w") as file:
        file.write(HOLLOW)
    done = check("tests", *FEW, "--json")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    found = json.loads(done.stdout)
    assert [each["path"] for each in found["tests"]] == ["tests/test_bad\\udcffname.py", "tests/test_shop.py"]
    done = check("tests", *FEW, "--output", "report.md")
    assert done.returncode == 1, done.stderr
    assert "tests/test_bad\\udcffname.py" in done.stdout
    assert "written: report.md" in done.stdout


def test_a_workspace_that_is_no_folder_is_said_to_be_none(project, tmp_path, monkeypatch):
    (project / "testing_crew.toml").write_text('model = "embedded"\n')
    monkeypatch.setenv("TESTING_CREW_HOME", str(project / "shop.py" / "home"))
    mistake(check("tests", *FEW), "is no folder", "set TESTING_CREW_HOME")


def test_the_settings_ask_for_how_much_must_be_noticed(project):
    (project / "testing_crew.toml").write_text("[check]\nmutants = 5\nrepeats = 2\nleast_lines = 0.9\n")
    (project / "tests" / "test_shop.py").write_text(
        GOOD.partition("\n\n\ndef test_twice")[0].replace(", twice", "") + "\n"
    )
    done = check("tests", "--json")
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    main = found["tests"][0]["targets"][0]
    assert main["mutants"]["tried"] == 5
    assert main["stability"]["runs"] == 2
    (below,) = [each for each in found["findings"] if each["code"] == "below"]
    assert below["message"] == "50% of its lines run, and [check] least_lines asks for 90%"


def test_what_is_mistaken_is_told_with_what_mends_it(project):
    (project / "empty").mkdir()
    mistake(check(), "there is nothing to check", "testing-crew check tests/")
    mistake(check("none"), "no such file or folder: none")
    mistake(check("empty"), "there is no test file in empty")
    mistake(check("tests", "--target", "nowhere"), "no such file or folder: nowhere")
    mistake(check("tests", "--target", "pyproject.toml"), "pyproject.toml is no Python file")
    mistake(check("tests", "--format", "yaml"), "there is no format 'yaml'", "sarif")
    mistake(check("tests", "--json", "--format", "html"), "--json is --format json")
    mistake(check("tests", "--output", "empty"), "empty is a folder")
    mistake(check("tests", "--python", "none/python"), "There is no Python interpreter")
    (project / "testing_crew.toml").write_text("[check]\nleast_lines = 90\n")
    mistake(check("tests"), "check.least_lines = 90")


def test_a_suite_that_cannot_be_collected_is_exit_code_2_and_says_why(project):
    (project / "tests" / "conftest.py").write_text("import not_there\n")
    done = check("tests", *FEW)
    assert done.returncode == 2
    assert "No module named 'not_there'" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_an_interrupt_keeps_what_was_finished(project):
    slow = "import time\nfrom shop import add\n\n\ndef test_add():\n    time.sleep(0.5)\n    assert add(1, 2) == 3\n"
    (project / "tests" / "test_slow.py").write_text(slow)
    cache = project.parent / "home" / "checks" / "found"
    with command_line.started("check", "tests", "--mutants", "100", "--repeats", "100") as command:
        until = time.monotonic() + 120
        while len(list(cache.glob("*/*.json"))) < 3:  # two surveys, and the pair of the quick file
            assert command.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)
        command.send_signal(signal.SIGINT)
        done = command.ended()
    assert done.returncode == 130, done.stderr
    assert "stopped; 1 pair of a test file and a module are kept, and the same command goes on" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["--diff"], ["--diff=HEAD"]),
        (["--diff", "--json"], ["--diff=HEAD", "--json"]),
        (["--diff", "tests"], ["--diff=HEAD", "tests"]),  # a folder that is there, and no revision
        (["--diff", "main", "tests"], ["--diff=main", "tests"]),
        (["tests", "--diff", "origin/main..."], ["tests", "--diff=origin/main..."]),
        (["--diff=tests", "x"], ["--diff=tests", "x"]),
        (["--json", "--", "--diff"], ["--json", "--", "--diff"]),
        (["tests"], ["tests"]),
    ],
)
def test_the_revision_may_be_left_out(project, words, meant):
    assert with_revision(words) == meant
