"""The options that a project gives its own pytest (``addopts``): which of them a run here keeps, and which it cannot."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import iniconfig
import tomlkit
from tomlkit.exceptions import TOMLKitError

from testing_crew.project.syntax import parse

_LEFT_OUT = {
    # in parallel, or in a process of each test's own
    *(
        "-n",
        "--numprocesses",
        "--dist",
        "-d",
        "--tx",
        "--px",
        "--maxprocesses",
        "--max-worker-restart",
        "--maxschedchunk",
    ),
    *("--rsyncdir", "--looponfail", "-f", "--workers", "--tests-per-worker", "--forked", "--boxed"),
    # an end before all is run, or another beginning
    *("-x", "--exitfirst", "--maxfail", "--lf", "--last-failed", "--ff", "--failed-first", "--nf", "--new-first"),
    *("--lfnf", "--last-failed-no-failures", "--sw", "--stepwise", "--sw-skip", "--stepwise-skip", "--stepwise-reset"),
    *("--sw-reset", "--cache-clear", "--cache-show", "--pdb", "--pdbcls", "--trace"),
    # something else than a run
    *("--collect-only", "--co", "--setup-only", "--setup-plan", "--fixtures", "--funcargs", "--markers"),
    # ours
    *("--testing-crew", "--testing-crew-strict"),
    # files, which there is no place for, or the network
    *(
        "--no-cov",
        "--junitxml",
        "--junit-xml",
        "--html",
        "--self-contained-html",
        "--css",
        "--report-log",
        "--json-report",
    ),
    *("--json-report-file", "--alluredir", "--clean-alluredir", "--pastebin", "--log-file", "--basetemp", "--debug"),
}
_WITH_A_VALUE = {
    *(
        "-m",
        "-k",
        "-p",
        "-W",
        "-o",
        "-c",
        "-r",
        "-n",
        "--maxfail",
        "--ignore",
        "--ignore-glob",
        "--deselect",
        "--rootdir",
    ),
    *(
        "--confcutdir",
        "--basetemp",
        "--cov",
        "--cov-config",
        "--junitxml",
        "--junit-xml",
        "--html",
        "--log-file",
        "--ds",
    ),
    *("--css", "--report-log", "--json-report-file", "--alluredir", "--config-file", "--doctest-glob"),
}
_SHORT = re.compile(r"-[vqslh]*[xdf][vqslhxdf]*")
_WORKERS = re.compile(r"-[vqslhx]*n(=?\d+|auto|logical)")


@dataclass(frozen=True)
class Options:
    """The options of a project, in its own order.

    ``kept`` can be given to any run; ``late`` are known only where the project's ``conftest.py`` files are loaded; ``paths``
    are the tests that a run without arguments is about; ``left_out`` cannot be given here.
    """

    kept: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def bring_plugins(self) -> bool:
        """Whether pytest imports modules for them before anything else, which may be the project's own."""
        return any(word.startswith("-p") for word in self.kept)


NO_OPTIONS = Options()


def setting(settings: Path | None, name: str) -> list[str]:
    """The words of one of pytest's settings in its file, cut as pytest cuts them; none where it is not set or not readable."""
    if settings is None:
        return []
    try:
        value = _value(settings, name)
        return shlex.split(value) if isinstance(value, str) else [str(word) for word in value]
    except (OSError, ValueError, TypeError, TOMLKitError, iniconfig.ParseError):
        return []  # pytest says so itself


def python_path(settings: Path | None) -> list[Path]:
    """The folders that pytest itself puts on the path."""
    return [(settings.parent / place).resolve() for place in setting(settings, "pythonpath")] if settings else []


def _value(settings: Path, name: str) -> Any:
    text = settings.read_text(encoding="utf-8")
    if settings.suffix == ".toml":
        table: Any = tomlkit.parse(text).unwrap()
        if settings.name == "pyproject.toml":
            table = table.get("tool", {}).get("pytest", {})
        for section in ("ini_options", "pytest"):
            table = table.get(section, table)
        return table.get(name, "")
    section = "tool:pytest" if settings.name == "setup.cfg" else "pytest"
    return iniconfig.IniConfig(str(settings), text).get(section, name, "")


def project_options(settings: Path | None, top: Path, conftests: Iterable[Path]) -> Options:
    """What ``settings`` add to every run of pytest in ``top``; ``conftests`` are the files that may define options."""
    kept: list[str] = []
    late: list[str] = []
    paths: list[str] = []
    left_out: list[str] = []
    words = setting(settings, "addopts")
    own = {name for conftest in conftests for name in _defined(conftest)} if words else set()
    while words:
        word = words.pop(0)
        name, is_given, _ = word.partition("=")
        if not word.startswith("-"):
            paths.append(word)
            continue
        value = not is_given and words and not words[0].startswith("-")
        takes = value and (name in _WITH_A_VALUE or not (top / words[0].partition("::")[0]).exists())
        group = [word, *([words.pop(0)] if takes else [])]
        if name in own:
            late += group
        elif name in _LEFT_OUT or name.startswith("--cov") or _WORKERS.fullmatch(word):
            left_out.append(" ".join(group))
        elif _SHORT.fullmatch(word):
            left_out += [f"-{letter}" for letter in word if letter in "xdf"]
            kept += [other for other in [re.sub("[xdf]", "", word)] if other != "-"] + group[1:]
        else:
            kept += group
    return Options(tuple(kept), tuple(late), tuple(paths), tuple(left_out))


def _defined(conftest: Path) -> set[str]:
    """The options that a ``conftest.py`` defines."""
    try:
        tree = parse(conftest.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return set()
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    given = [
        argument for call in calls if getattr(call.func, "attr", "").endswith("addoption") for argument in call.args
    ]
    return {str(argument.value) for argument in given if isinstance(argument, ast.Constant)}
