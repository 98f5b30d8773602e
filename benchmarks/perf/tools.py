"""`testing-crew check`, mutmut and pytest-gremlins on one module and one test file; cosmic-ray is in ``cosmic_ray.py``."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

from benchmarks.perf.peers import Answer, environment, last_words, timed
from testing_crew.project.imports import import_root, package_root

WORKERS = 2
_FATES = ("killed", "survived", "timed out", "no tests", "other")
_REPOSITORY = Path(__file__).parents[2]
_MUTMUT = {1: "killed", 3: "killed", 0: "survived", 5: "no tests", 33: "no tests", 34: "other", 35: "other"}
_MUTMUT |= dict.fromkeys((36, 24, -24, 152, 255), "timed out")


class Check:
    """``testing-crew check`` with all of its mutants: the runs that tell whether the file is steady are in the time, too."""

    name = "testing-crew"

    def run(self, project: Path, target: Path, tests: Path) -> Answer:
        words = ["check", str(tests), "--target", str(target), "--mutants", "100000", "--repeats", "2", "--no-cache"]
        command = [sys.executable, "-m", "self_improve.cli.app", *words, "--python", sys.executable, "--json"]
        paths = [import_root(project / target)[0], _REPOSITORY]
        with tempfile.TemporaryDirectory() as home:
            done, seconds = timed(command, project, {**environment(*paths), "TESTING_CREW_HOME": home})
        if done.returncode not in (0, 1):
            return Answer(seconds=seconds, trouble=last_words(done))
        return self.read(done.stdout, seconds)

    @staticmethod
    def read(report: str, seconds: float) -> Answer:
        """What ``--json`` says."""
        said = json.loads(report)
        found = said["mutants"]
        if found is None:
            return Answer(seconds=seconds, trouble=f"{said['verdict']}: {', '.join(said['reasons'])}")
        note = "" if said["accepted"] else f"not accepted: {', '.join(said['reasons'])}"
        if found["tried"] != found["found"]:
            note = f"{note}; only {found['tried']} of {found['found']} mutants were tried".strip("; ")
        survived, killed = found["survived"] - found["unreached"], found["killed"] + found["raised"]
        return Answer(killed, survived, found["timed_out"], found["unreached"], found["equivalent"], seconds, note=note)


class Mutmut:
    """mutmut as its documentation says it is fastest: workers forked from a process that has run the tests.

    Where the tests do not pass a second time in that process, it refuses; then its fork server is used.
    """

    name = "mutmut"

    def __init__(self, scripts: Path) -> None:
        self.scripts = scripts

    def run(self, project: Path, target: Path, tests: Path) -> Answer:
        settings = project / "setup.cfg"
        before = settings.read_text("utf-8") if settings.exists() else ""
        tried = Answer()
        for isolation in ("fork", "forkserver"):
            settings.write_text(f"{before}\n{self.settings(project, target, tests, isolation)}", "utf-8")
            shutil.rmtree(project / "mutants", ignore_errors=True)
            command = [str(self.scripts / "mutmut"), "run", "--max-children", str(WORKERS)]
            done, seconds = timed(command, project, environment())
            if done.returncode == 0:
                note = f"process_isolation = forkserver, since without: {tried.trouble}" if tried.trouble else ""
                meta = (project / "mutants" / f"{target.as_posix()}.meta").read_text("utf-8")
                return self.read(meta, seconds, note)
            tried = Answer(seconds=seconds, trouble=last_words(done))
        return tried

    @staticmethod
    def settings(project: Path, target: Path, tests: Path, isolation: str) -> str:
        """The section of setup.cfg: the package is copied, one module of it changed, one test file run."""
        root = package_root(project / target)[0].relative_to(project)
        package = root / target.relative_to(root).parts[0]
        copied = [tests.parts[0], *(["conftest.py"] if (project / "conftest.py").exists() else [])]
        return "\n".join(
            [
                "[mutmut]",
                f"source_paths = {package.as_posix()}",
                f"only_mutate = {target.as_posix()}",
                f"pytest_add_cli_args_test_selection = {tests.as_posix()}",
                f"process_isolation = {isolation}",
                "also_copy =",
                *(f"    {each}" for each in copied),
                "",
            ]
        )

    @staticmethod
    def read(meta: str, seconds: float, note: str = "") -> Answer:
        """What the module's file of results under ``mutants/`` says: the exit status for each mutant."""
        fates = Counter(_MUTMUT.get(code, "other") for code in json.loads(meta)["exit_code_by_key"].values())
        killed, survived, timed_out, no_tests, other = (fates[fate] for fate in _FATES)
        return Answer(killed, survived, timed_out, no_tests, other, seconds, note=note)


class Gremlins:
    """pytest-gremlins with two workers and without its cache. ``options``: further ones, as ``--gremlin-batch``."""

    name = "pytest-gremlins"

    def __init__(self, scripts: Path, *options: str) -> None:
        self.scripts, self.options = scripts, options

    def run(self, project: Path, target: Path, tests: Path) -> Answer:
        words = [f"--gremlin-targets={target}", f"--gremlin-workers={WORKERS}", "--gremlin-report=json", *self.options]
        command = [
            str(self.scripts / "python"),
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            str(tests),
            "--gremlins",
        ]
        report = project / "coverage" / "gremlins" / "gremlins.json"
        tried = Answer()
        usual = environment(package_root(project / target)[0])
        for more in (
            {},
            {"PYTEST_ADDOPTS": "-W default"},
        ):  # where a project makes warnings errors, those of its own are
            done, seconds = timed([*command, *words], project, {**usual, **more})
            if report.exists():
                note = f"with PYTEST_ADDOPTS='-W default', since without: {tried.trouble}" if tried.trouble else ""
                return replace(self.read(report.read_text("utf-8"), seconds), note=note)
            tried = Answer(seconds=seconds, trouble=last_words(done))
        return tried

    @staticmethod
    def read(report: str, seconds: float) -> Answer:
        """What its JSON report says. It runs all tests against a mutant that none of them reaches: it has no "no tests"."""
        found = json.loads(report)["summary"]
        other = found["error"] + found["pardoned"]
        return Answer(found["zapped"], found["survived"], found["timeout"], other=other, seconds=seconds)
