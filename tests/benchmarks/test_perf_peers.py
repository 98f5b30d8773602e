"""Other tools for mutants: what they said of a module of eight lines (recorded), how that is counted, and our own two ways."""

import json
import sysconfig
from configparser import ConfigParser
from pathlib import Path

import pytest

from benchmarks.perf.cosmic_ray import CosmicRay, Session
from benchmarks.perf.forks import both_ways
from benchmarks.perf.peers import Answer, compare, place, ratios, spread
from benchmarks.perf.tools import Check, Gremlins, Mutmut

MODULE = """\
LIMIT = 1 + 2


def grade(points):
    if points < 0:
        raise ValueError(points)
    if points >= 90 and points <= 100:
        return "A" + str(points - 90)
    return "B" if points > 50 else "C"


def untested(points):
    return points + 1
"""
TESTS = """\
import pytest
from grades import LIMIT, grade


@pytest.mark.parametrize(("points", "expected"), [(95, "A5"), (90, "A0"), (51, "B"), (50, "C")])
def test_grade(points, expected):
    assert grade(points) == expected


def test_refused():
    with pytest.raises(ValueError):
        grade(-LIMIT)
"""
# What each tool said on 1 December 2026 of a function that raises a value in a loop, and one without a test; of the longer
# answers, the part that is read.
OURS = {
    "verdict": "passed",
    "accepted": True,
    "reasons": [],
    "mutants": {
        "found": 8,
        "tried": 8,
        "killed": 3,
        "raised": 0,
        "timed_out": 1,
        "survived": 4,
        "unreached": 3,
        "equivalent": 0,
        "score": 0.375,
    },
}
MUTMUT = """\
{
    "exit_code_by_key": {
        "clamp.x_clamp__mutmut_1": 1,
        "clamp.x_clamp__mutmut_2": -24,
        "clamp.x_clamp__mutmut_3": -24,
        "clamp.x_clamp__mutmut_4": 0,
        "clamp.x_untested__mutmut_1": 33,
        "clamp.x_untested__mutmut_2": 33
    },
    "hash_by_function_name": {
        "x_clamp": "ed8934c0bb9b",
        "x_untested": "b55052142962"
    },
    "type_check_error_by_key": {},
    "durations_by_key": {
        "clamp.x_clamp__mutmut_1": 0.403817,
        "clamp.x_clamp__mutmut_2": 15.012359,
        "clamp.x_clamp__mutmut_4": 0.23847,
        "clamp.x_clamp__mutmut_3": 15.01344
    }
}
"""
GREMLINS = """\
{
  "summary": {
    "total": 5,
    "zapped": 3,
    "survived": 2,
    "timeout": 0,
    "error": 0,
    "pardoned": 0,
    "percentage": 60.0
  }
}
"""
COSMIC_RAY = """\
{"worker_outcome": "normal", "output": ".   [100%]\\n1 passed in 0.01s\\n", "test_outcome": "survived"}
{"worker_outcome": "normal", "output": "F\\n1 failed in 0.02s\\n", "test_outcome": "killed"}
{"worker_outcome": "normal", "output": "timeout", "test_outcome": "killed"}
{"worker_outcome": "skipped", "output": "Filtered operator", "test_outcome": null}
"""


@pytest.fixture
def grades(tmp_path):
    """A module and its test file."""
    return written(tmp_path / "marks", {"grades.py": MODULE, "tests/test_grades.py": TESTS})


def written(folder, files):
    """The first two of ``files``, all of which are written."""
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    return tuple(folder / name for name in list(files)[:2])


def test_our_report():
    assert Check.read(json.dumps(OURS), 4.0) == Answer(3, 1, 1, 3, 0, 4.0)


def test_our_report_on_a_file_that_does_not_pass():
    found = Check.read(json.dumps({**OURS, "verdict": "failed", "reasons": ["not_passed"], "mutants": None}), 4.0)
    assert found.rate is None
    assert "failed" in str(found)
    assert "not_passed" in str(found)


def test_that_not_all_of_our_mutants_were_tried_is_said():
    fewer = {**OURS, "mutants": {**OURS["mutants"], "found": 80}}
    assert "only 8 of 80 mutants" in str(Check.read(json.dumps(fewer), 4.0))


def test_mutmuts_file_of_results():
    found = Mutmut.read(MUTMUT, 17.5)
    assert found == Answer(killed=1, survived=1, timed_out=2, no_tests=2, seconds=17.5)
    assert found.tried == 6
    assert found.rate == pytest.approx(6 / 17.5)
    assert found.score == pytest.approx(3 / 6)


def test_pytest_gremlins_report():
    found = Gremlins.read(GREMLINS, 5.5)
    assert found == Answer(killed=3, survived=2, seconds=5.5)
    assert found.score == json.loads(GREMLINS)["summary"]["percentage"] / 100


def test_a_session_of_cosmic_rays():
    rows = [({}, json.loads(line)) for line in COSMIC_RAY.splitlines()]
    assert CosmicRay.read(Session(rows, 3, 1.0, 9.0)) == Answer(1, 1, 1, seconds=9.0, search=1.0)


def test_the_rate_of_a_sample_is_what_all_of_the_mutants_would_have_had():
    whole = Answer(killed=100, seconds=2.0 + 100 * 0.5, search=2.0)
    part = Answer(killed=10, seconds=2.0 + 10 * 0.5, search=2.0, of=100)
    assert part.rate == pytest.approx(whole.rate)


def test_a_tool_that_kills_nothing_is_said_to():
    assert "does not take effect" in str(Answer(survived=30, seconds=3.0))
    assert "does not take effect" not in str(Answer(survived=4, seconds=3.0, of=23))  # a sample may well miss them all
    assert "does not take effect" not in str(Answer(survived=30, timed_out=1, seconds=3.0))


def test_a_run_without_an_answer_makes_no_ratio():
    ours = [Answer(killed=40, seconds=4.0), Answer(killed=40, seconds=5.0), Answer(killed=40, seconds=4.0)]
    theirs = [
        Answer(killed=10, seconds=2.0),
        Answer(seconds=2.0, trouble="exit status 1"),
        Answer(survived=5, seconds=2.0),
    ]
    assert ratios(ours, theirs) == pytest.approx([2.0, 4.0])
    assert spread(ratios(ours, theirs)) == "3.00 (n = 2, 2.00 to 4.00)"
    assert "no pair" in spread([])


LAYOUTS = {
    "flat": (["clamp.py", "test_clamp.py"], "clamp.py", "test_clamp.py"),
    "package": (["pack/clamp.py", "tests/test_clamp.py", "pack/__init__.py"], "pack", "tests"),
    "src": (["src/pack/clamp.py", "tests/test_clamp.py", "src/pack/__init__.py"], "src/pack", "tests"),
    "tests inside": (
        ["pack/clamp.py", "pack/tests/test_clamp.py", "pack/__init__.py", "pack/tests/__init__.py"],
        "pack",
        "pack",
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_mutmut_is_told_the_layout(layout, tmp_path):
    names, source, copied = LAYOUTS[layout]
    target, tests = written(tmp_path / "tiny", dict.fromkeys(names, ""))
    project, module, file = place(target, tests)
    assert project == tmp_path / "tiny"
    assert (project / module, project / file) == (target, tests)
    read = ConfigParser()
    read.read_string(Mutmut.settings(project, module, file, "fork"))
    said = read["mutmut"]
    assert said["source_paths"] == source
    assert said["only_mutate"] == names[0]
    assert said["pytest_add_cli_args_test_selection"] == names[1]
    assert said["also_copy"].split() == [copied]


def test_our_command_and_cosmic_rays_in_copies_of_a_project(grades):
    target, tests = grades
    told = []
    scripts = Path(sysconfig.get_path("scripts"))
    answers = compare([Check(), CosmicRay(scripts, most=2)], target, tests, 1, told.append)
    (ours,), (theirs,) = answers["testing-crew"], answers["cosmic-ray"]
    assert not ours.trouble
    assert ours.no_tests == 3  # of the function without a test
    assert ours.killed > ours.survived > 0
    assert not theirs.trouble
    assert theirs.tried == 2 < theirs.of
    assert [line.split(":")[0] for line in told] == ["marks/grades.py, testing-crew", "marks/grades.py, cosmic-ray"]
    left = sorted(str(each.relative_to(target.parent)) for each in target.parent.rglob("*") if each.is_file())
    assert left == ["grades.py", "tests/test_grades.py"]


def test_both_ways_agree_and_those_that_forks_cannot_tell_are_left(grades):
    told = []
    figures, details = both_ways([grades], 1000, told.append)
    assert figures == {"fork_agreement": 1.0}
    assert details["differences"] == "none"
    assert "there are no more" in details["n"]
    assert details["left to runs of their own"] == len(details["left"]) > 0
    assert all("1 + 2" in each for each in details["left"])  # what an import runs
    assert "3 unreached" in told[0]
