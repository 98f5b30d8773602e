"""What the target's interpreter is: asked once, before anything runs in it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from testing_crew.errors import UserMistake

OLDEST_PYTHON = (3, 10)
OLDEST_PYTEST = 8

_QUESTION = """
import importlib.util, json, site, sys
try:
    from importlib.metadata import version
    pytest = version("pytest") if importlib.util.find_spec("pytest") else None
except Exception:
    pytest = None
places = [sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, *sys.path]
for name, module in list(sys.modules.items()):
    if name.startswith("__editable__"):
        places += [str(place) for place in getattr(module, "MAPPING", {}).values()]
print(json.dumps({
    "executable": sys.executable,
    "python": list(sys.version_info[:3]),
    "pytest": pytest,
    "places": [place for place in places if place not in ("", "/")],
    "user_base": site.getuserbase() if site.ENABLE_USER_SITE else None,
}))
"""


@dataclass(frozen=True)
class Interpreter:
    """A Python that can run pytest for us.

    ``places`` are the files and folders that it imports from and is made of; ``user_base`` is where ``pip install --user``
    puts things, when it looks there at all.
    """

    executable: str
    python: tuple[int, ...]
    pytest: str
    places: tuple[str, ...]
    user_base: str | None


def probe(path: str) -> Interpreter:
    """Ask the interpreter at ``path`` what it is; the answer is kept while the file stays the same.

    Raises `UserMistake` when there is none and when it does not run. It may have no pytest: that is empty then.
    """
    try:
        changed = _changed(Path(path))
    except OSError:
        raise UserMistake(
            f"There is no Python interpreter at {path}.",
            hint="Make one with `python -m venv .venv`, or name another with `--python PATH`.",
        ) from None
    try:
        found = _ask(path, changed)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        said = str(getattr(error, "stderr", "") or error).strip().splitlines()
        raise UserMistake(
            f"{path} does not run as a Python interpreter: {said[-1] if said else type(error).__name__}",
            hint="Name the `python` of the project's environment with `--python PATH`.",
        ) from None
    return found


def inspect_interpreter(path: str) -> Interpreter:
    """What `probe` says of an interpreter that can run pytest for us.

    Raises `UserMistake` as that does, and when its Python or its pytest is missing or too old.
    """
    found = probe(path)
    if found.python < OLDEST_PYTHON:
        raise UserMistake(
            f"{path} is Python {'.'.join(map(str, found.python))}; the runner needs 3.10 or later.",
            hint="Name another with `--python PATH`, or make one with `python3.12 -m venv .venv`.",
        )
    if not found.pytest or int(found.pytest.partition(".")[0]) < OLDEST_PYTEST:
        has = (
            f"has pytest {found.pytest}, and the runner needs {OLDEST_PYTEST} or later"
            if found.pytest
            else "has no pytest"
        )
        _ask.cache_clear()  # the person will install it, and this process may live on
        raise UserMistake(f"{path} {has}.", hint=f'Run `{path} -m pip install "pytest>={OLDEST_PYTEST}"`.')
    return found


def newer_python(source: str, interpreter: str) -> Interpreter | None:
    """A Python newer than our own that can parse ``source``: ``interpreter``, else one on the search path. Nothing is run."""
    named = [f"python3.{minor}" for minor in range(sys.version_info[1] + 1, sys.version_info[1] + 5)]
    for path in [interpreter, *filter(None, map(shutil.which, named))]:
        with contextlib.suppress(UserMistake, OSError, subprocess.SubprocessError):
            found = probe(path)
            if found.python[:2] > sys.version_info[:2]:
                parse = [path, "-I", "-S", "-c", "import ast, sys; ast.parse(sys.stdin.buffer.read())"]
                told = source.encode("utf-8", "surrogatepass")
                subprocess.run(parse, input=told, capture_output=True, timeout=60, check=True)
                return found
    return None


def variables() -> dict[str, str]:
    """The environment of this process, though other threads change it meanwhile (under pytest, each test does)."""
    # Going through `os.environ.items()` looks every name up once more and raises for one that has just gone.
    return {name: value for name in list(os.environ) if (value := os.environ.get(name)) is not None}


def _changed(python: Path) -> int:
    """When ``python`` last changed, or what is installed beside it."""
    packages = python.parent.parent.glob("lib/*/site-packages")
    return max(path.stat().st_mtime_ns for path in (python, *packages))


@lru_cache(maxsize=32)
def _ask(path: str, changed: int) -> Interpreter:
    environment = {k: v for k, v in variables().items() if k not in ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP")}
    said = subprocess.run(
        [path, "-c", _QUESTION],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=os.path.abspath(os.sep),
        env=environment,
    )
    facts = json.loads(said.stdout.strip().splitlines()[-1] if said.stdout.strip() else "")
    return Interpreter(
        executable=facts["executable"] or path,
        python=tuple(facts["python"]),
        pytest=facts["pytest"] or "",
        places=tuple(dict.fromkeys(facts["places"])),
        user_base=facts["user_base"],
    )
