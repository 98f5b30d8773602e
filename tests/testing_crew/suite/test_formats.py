"""Each form of a report, read as its readers read it."""

import json
import os
import re
import shutil
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree as etree

import pytest
from markdown_it import MarkdownIt

from self_improve.cli.checking.reports import FORMATS as RENDERED
from self_improve.cli.checking.reports import rendered
from testing_crew.suite.formats import github, html, junit, markdown, sarif
from testing_crew.suite.formats.ours import is_ours
from testing_crew.suite.formats.words import printable
from testing_crew.suite.records import FileReport, Finding, SuiteReport

from . import example

FORMATS = [github, html, junit, markdown, sarif]


@pytest.fixture
def suite(tmp_path):
    return example.suite(tmp_path)


@pytest.fixture
def change(tmp_path):
    return example.change(tmp_path)


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.__name__.rpartition(".")[2])
@pytest.mark.parametrize("report", [example.suite, example.change, example.large])
def test_each_says_early_who_made_it_and_can_be_written_as_utf_8(form, report, tmp_path):
    text = form.render(report(tmp_path))
    assert "testing-crew" in text[:500]
    assert text.encode("utf-8").endswith(b"\n")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.__name__.rpartition(".")[2])
def test_nothing_found_is_a_report_too(form, tmp_path):
    empty = SuiteReport(root=str(tmp_path), made_by="testing-crew 0.1.0", passed=True)
    assert re.search("passed", form.render(empty), re.IGNORECASE)


@pytest.mark.parametrize("form", RENDERED)
@pytest.mark.parametrize("report", [example.suite, example.change, example.large])
def test_a_report_is_known_again_and_other_files_are_not_taken_for_one(form, report, tmp_path):
    text = rendered(report(tmp_path), form)
    file = tmp_path / "report"
    file.write_bytes(text.encode())
    assert is_ours(file)
    (tmp_path / "link").symlink_to(file)
    assert not is_ours(tmp_path / "link")
    file.write_bytes(text.replace("\n", "\r\n").encode())  # as git may check it out
    assert is_ours(file)
    for other in (f"My notes.\n{text}", text.replace("testing-crew", "other-crew"), ""):
        file.write_text(other)
        assert not is_ours(file)


@pytest.mark.parametrize(
    "notes",
    [
        "How we use testing-crew here\n",
        "testing-crew check of /srv/shop\nfailed twice today, see testing-crew, 1.0 s\nask Ann\n",
        "<p>made by testing-crew</p>\n<!-- testing-crew -->\n",
        "<!doctype html>\n<html lang='en'>\n<!-- testing-crew -->\n",
        '{"runs": [{"tool": {"driver": {"name": "other", "also": "testing-crew"}}}]}',
        '<?xml version="1.0" encoding="utf-8"?>\n<testsuites name="pytest"><testsuite name="testing-crew"/></testsuites>',
    ],
)
def test_what_only_names_us_is_no_report_of_ours(notes, tmp_path):
    (tmp_path / "notes").write_text(notes)
    assert not is_ours(tmp_path / "notes")


@pytest.mark.parametrize("form", RENDERED)
def test_a_name_that_is_no_unicode_comes_out_escaped(form, tmp_path):
    name = "tests/test_bad\udcffname.py"
    finding = Finding(code="not_run", level="error", path=name, message=f"{name} is broken")
    files = (FileReport(path=name, accepted=False, trouble="it is broken"),)
    report = SuiteReport(root=str(tmp_path), made_by="testing-crew 1", passed=False, tests=files, findings=(finding,))
    text = rendered(printable(report), form).encode().decode()
    assert "bad\\udcffname" in unescape(unquote(text)).replace("\\\\", "\\")


# GitHub's workflow commands


def commands(text):
    """Each command as GitHub's runner reads it: ``(name, properties, message)``."""

    def plain(escaped):
        for code, character in (("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
            escaped = escaped.replace(code, character)
        return escaped

    found = []
    for line in text.splitlines():
        name, properties, message = re.fullmatch(r"::(\w+) (.*?)::(.*)", line).groups()
        pairs = dict(each.split("=", 1) for each in properties.split(","))
        found.append((name, {key: plain(value) for key, value in pairs.items()}, plain(message)))
    return found


def test_annotations_stand_on_their_lines_with_the_errors_first(suite):
    first, *between, last = commands(github.render(suite))
    assert first == (
        "notice",
        {"title": "testing-crew"},
        "Not passed: 1 of 5 test files accepted, 4 errors, 6 warnings",
    )
    assert last == ("notice", {"title": "testing-crew"}, "4 errors, 6 warnings, 1 note in all")
    assert [name for name, _, _ in between] == ["error"] * 4 + ["warning"] * 6 + ["notice"]
    several_lines = next(properties for _, properties, _ in between if properties.get("line") == "13")
    assert several_lines == {
        "file": "shop/prices.py",
        "line": "13",
        "endLine": "16",
        "title": "Change that no test notices",
    }
    assert "shout: the docstring says 100%, and\nthe code: otherwise" in [message for _, _, message in between]


def test_a_hostile_message_or_path_is_no_command_of_its_own(tmp_path):
    finding = Finding(code="not_run", level="error", path="a,b:c%.py", message="x\n::stop-commands::y\r::add-mask::z")
    report = SuiteReport(root=str(tmp_path), made_by="testing-crew 0", passed=False, findings=(finding,))
    read = commands(github.render(report))
    assert [name for name, _, _ in read] == ["notice", "error", "notice"]
    assert read[1][1]["file"] == "a,b:c%.py"
    assert read[1][2].startswith("x\n::stop-commands::y")


def test_where_github_shows_only_ten_that_is_said(tmp_path):
    read = commands(github.render(example.large(tmp_path)))
    assert read[-1][2].startswith("404 errors, 6 warnings, 1 note in all. GitHub shows the first 10")
    assert sum(name == "notice" for name, _, _ in read) <= 10


def test_paths_are_from_the_top_of_the_repository(tmp_path):
    (tmp_path / ".git").mkdir()
    report = example.change(tmp_path / "services" / "shop")
    assert {p["file"] for _, p, _ in commands(github.render(report)) if "file" in p} == {
        "services/shop/shop/prices.py",
        "services/shop/tests/test_prices.py",
    }
    run = json.loads(sarif.render(report))["runs"][0]
    assert run["originalUriBaseIds"]["SRCROOT"]["uri"] == tmp_path.as_uri() + "/"
    assert uris(run) == {"services/shop/shop/prices.py", "services/shop/tests/test_prices.py"}


def test_a_file_outside_of_the_project_is_named_where_no_line_can_be_annotated(tmp_path):
    elsewhere = (tmp_path / "elsewhere.py").as_posix()
    finding = Finding(code="no_tests", level="warning", path=elsewhere, line=3, message="no test file is about it")
    report = SuiteReport(root=str(tmp_path / "project"), made_by="testing-crew 0", passed=True, findings=(finding,))
    (_, properties, message) = commands(github.render(report))[1]
    assert "file" not in properties
    assert elsewhere in message
    place = json.loads(sarif.render(report))["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": (tmp_path / "elsewhere.py").as_uri()}


# SARIF


def uris(run):
    return {
        unquote(place["physicalLocation"]["artifactLocation"]["uri"])
        for result in run["results"]
        for place in result["locations"]
    }


def test_each_result_has_its_rule_its_level_and_its_place(suite):
    document = json.loads(sarif.render(suite))
    (run,) = document["runs"]
    driver = run["tool"]["driver"]
    assert (document["version"], driver["name"], driver["version"]) == ("2.1.0", "testing-crew", "0.1.0")
    assert len(run["results"]) == len(suite.findings)
    assert all(driver["rules"][each["ruleIndex"]]["id"] == each["ruleId"] for each in run["results"])
    assert uris(run) == {each.path for each in suite.findings}
    assert "shop/my%20words.py" in sarif.render(suite)
    by_line = {
        each["locations"][0]["physicalLocation"]["region"]["startLine"]: each
        for each in run["results"]
        if each["ruleId"] == "unnoticed"
    }
    region = by_line[13]["locations"][0]["physicalLocation"]["region"]
    assert (region["endLine"], region["startColumn"]) == (16, example.PRICES.splitlines()[12].index("sum(") + 1)


def fingerprints(report):
    return [
        each["partialFingerprints"]["testingCrew/v1"] for each in json.loads(sarif.render(report))["runs"][0]["results"]
    ]


def test_a_fingerprint_stays_when_lines_above_are_added_and_changes_with_its_line(suite, tmp_path):
    before = fingerprints(suite)
    assert len(set(before)) == len(before)
    file = tmp_path / "shop/prices.py"
    file.write_text("# new\n\n" + example.PRICES, encoding="utf-8")

    def moved(each):
        if each.path != "shop/prices.py" or each.line is None:
            return each
        return each.model_copy(update={"line": each.line + 2, "last_line": each.last_line + 2})

    modules = tuple(each.model_copy(update={"survivors": tuple(map(moved, each.survivors))}) for each in suite.modules)
    below = suite.model_copy(update={"findings": tuple(map(moved, suite.findings)), "modules": modules})
    assert fingerprints(below) == before
    file.write_text("# new\n\n" + example.PRICES.replace("price == 0:", "price == 0.0:"), encoding="utf-8")
    assert len(set(before) - set(fingerprints(below))) == 1


# JUnit's XML


def test_junit_has_a_case_for_each_file_and_module(suite):
    root = etree.fromstring(junit.render(suite))
    (found,) = root.findall("testsuite")
    cases = {(case.get("classname"), case.get("name")): case for case in found.findall("testcase")}
    told = {key: [each.tag for each in case if each.tag != "properties"] for key, case in cases.items()}
    assert told == {
        ("tests/test_broken.py", "run"): ["error"],
        ("tests/test_hollow.py", "shop/prices.py"): ["failure"],
        ("tests/test_words.py", "shop/my words.py"): ["failure"],
        ("tests/test_flaky.py", "shop/my words.py"): ["failure"],
        ("tests/test_prices.py", "shop/prices.py"): [],
        ("tests/test_prices.py", "shop/my words.py"): ["skipped"],  # the file is accepted, for the other
    }
    counts = {key: root.get(key) for key in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "6", "failures": "3", "errors": "1", "skipped": "1"}
    hollow = cases["tests/test_hollow.py", "shop/prices.py"]
    assert hollow.get("time") == "4.250"
    assert hollow.find("failure").get("type") == "passes_without_target"
    assert "line 13" in hollow.find("failure").text
    figures = {each.get("name"): each.get("value") for each in hollow.iter("property")}
    assert figures["mutants_noticed"] == "0"
    assert figures["mutants_tried"] == "12"


def test_an_error_that_no_test_file_has_fails_in_junit_too(change):
    root = etree.fromstring(junit.render(change))
    failed = [case.get("name") for case in root.iter("testcase") if case.find("failure") is not None]
    assert failed == ["Tests weakened: tests/test_prices.py", "Test that notices nothing: test_discount"]


@pytest.mark.parametrize("form", [github, junit, markdown])
def test_a_check_that_was_stopped_is_not_taken_for_a_whole_one(form, tmp_path):
    stopped = SuiteReport(
        root=str(tmp_path),
        made_by="testing-crew 0.1.0",
        passed=True,
        complete=False,
        tests=(FileReport(path="tests/test_a.py", accepted=True),),
    )
    assert "stopped before" in form.render(stopped)
    if form is junit:
        assert etree.fromstring(junit.render(stopped)).get("errors") == "1"


# Markdown


def page_of(text):
    """The HTML that a reader of GitHub's Markdown makes of it."""
    return MarkdownIt("commonmark", {"html": True}).enable("table").render(text)


class Shown(HTMLParser):
    """The tags of a page, and its text without and within code."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.rows, self.plain, self.code = [], [], [], "", ""
        self._in_code = self._in_cell = 0
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        self._in_cell += tag in ("td", "th")
        self._in_code += tag in ("code", "pre")
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        self._in_code -= tag in ("code", "pre")
        self._in_cell -= tag in ("td", "th")

    def handle_data(self, text):
        if self._in_code:
            self.code += text
        else:
            self.plain += text
        if self._in_cell:
            self.rows[-1][-1] += text


def test_the_comment_has_its_mark_the_verdict_and_a_table(suite):
    text = markdown.render(suite)
    assert text.startswith("<!-- testing-crew -->\n### testing-crew: not passed\n")
    rows = Shown(page_of(text)).rows
    assert rows[0] == ["test file", "accepted", "why not", "lines", "branches", "noticed", "flaky"]
    assert rows[2][0:2] == ["tests/test_hollow.py", "no"]
    assert rows[2][3:] == ["40%", "25%", "0 of 12", "no"]
    assert rows[4][6] == "passed 17 of 20"
    assert rows[5][:4] == ["tests/test_prices.py", "yes", "", "99%"]  # 99.6: not all of it
    assert all(len(row) == 7 for row in rows[:6])
    assert "compared" not in text
    assert "changes since main only" in markdown.render(example.change(Path(suite.root)))


def test_what_we_did_not_write_is_text_in_the_comment_and_calls_nobody(suite):
    hostile = example.HOSTILE + " [link](https://a.example) **bold** https://b.example GH-12 ~~gone~~ $x$ \\"
    path = "tests/test_`a`|*b*_c_<b>@octocat/__init__.py"
    file = FileReport(path=path, accepted=False, trouble=hostile + "\n\n# heading\n- item")
    finding = Finding(code="not_run", level="error", path=path, message=hostile, name="<i>")
    report = suite.model_copy(update={"tests": (file,), "findings": (finding,), "modules": ()})
    shown = Shown(page_of(markdown.render(report)))
    assert set(shown.tags) <= set(
        [
            "h3",
            "p",
            "table",
            "thead",
            "tbody",
            "tr",
            "th",
            "td",
            "code",
            "strong",
            "br",
            "details",
            "summary",
            "b",
            "ul",
            "li",
            "sub",
            "i",
        ]
    )
    assert "i" not in shown.tags
    assert shown.tags.count("h3") == 1
    assert len(shown.rows) == 2
    assert len(shown.rows[1]) == 7
    assert path in shown.code
    assert "<img src=x onerror=" in shown.plain
    assert "[link](" in shown.plain
    assert "**bold**" in shown.plain
    # GitHub looks for these in the finished text, though not in code
    assert not re.search(r"@\w|#\d|GH-\d|://|www\.", shown.plain)


def test_a_comment_that_would_be_too_long_says_what_it_leaves_out(tmp_path):
    report = example.large(tmp_path)
    text = markdown.render(report)
    assert 50_000 < len(text) < 65_536
    page = Shown(page_of(text))
    rows = [row for row in page.rows if row[0].startswith("tests/")]
    assert int(re.search(r"… and (\d+) more", page.rows[-1][0])[1]) == 400 - len(rows)
    listed = len(re.findall(r"^- <code>tests/test_\d+\.py</code> \d", text, re.MULTILINE))
    assert f"… and {401 - listed} more" in text  # of those that could not be run, the suite's own one counted in
    assert "<b>No tests</b>: 1 warning" in text


# The page


def test_the_page_asks_for_nothing_and_runs_no_script_but_its_own(suite):
    page = html.render(suite)
    read = Shown(page)
    assert not {"img", "link", "iframe", "base", "object", "form"} & set(read.tags)
    asked = [value for name, value in read.attributes if name in ("src", "href", "srcset", "action", "style")]
    assert asked
    assert all(value.startswith("#") for value in asked)
    assert not [name for name, _ in read.attributes if name.startswith("on")]
    assert "url(" not in page
    assert "@import" not in page
    assert page.count("<script") == page.count("</script>") == 1
    assert "default-src 'none'" in page
    assert not re.search(r"\{(title|body|\w+_hash)\}", page)


def test_a_source_that_is_gone_changed_or_unreadable_is_said_so_in_its_place(suite, tmp_path):
    assert "cannot be shown" not in html.render(suite)
    (tmp_path / "shop/prices.py").write_text("x = 1\n")
    (tmp_path / "shop/my words.py").write_bytes(b"# coding: nonsense\n\xff")
    shutil.move(tmp_path / "shop/nothing.py", tmp_path / "moved.py")
    page = html.render(suite)
    assert "the file has changed since it was checked" in page
    assert page.count("The source cannot be shown") == 2
    assert f"no such file: {os.path.join(tmp_path, 'shop', 'nothing.py')}" in page
