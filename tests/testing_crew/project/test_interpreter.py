"""Which Python runs a target's tests: real environments, found by where they lie and by what is active."""

import os
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from testing_crew.project.interpreter import interpreter_for


def environment(folder: Path, *, has_pytest: bool = True) -> Path:
    """A virtual environment at ``folder``, which borrows this one's pytest; its interpreter."""
    venv.create(folder)
    packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder)}))
    if has_pytest:
        (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin" / "python" if os.name == "posix" else folder / "Scripts" / "python.exe"


@pytest.fixture
def repository(tmp_path, monkeypatch):
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / "repository"
    (root / ".git").mkdir(parents=True)
    return root


def target(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "x.py").write_text("def f(): pass\n")
    return folder / "x.py"


@pytest.mark.parametrize("name", [".venv", "venv"])
def test_the_environment_of_a_repository_serves_the_projects_in_it(repository, name):
    service = target(repository / "services" / "billing")
    (service.parent / "pyproject.toml").touch()
    python = environment(repository / name)
    found = interpreter_for(None, service)
    assert (found.path, found.passed_over) == (str(python), ())
    assert str(repository) in found.why
    assert found.told()["version"] == ".".join(map(str, sys.version_info[:3]))
    nearer = environment(service.parent / ".venv")
    assert interpreter_for(None, service).path == str(nearer)
    assert interpreter_for(str(python), service).path == str(python)
    assert interpreter_for(str(repository / name), service).path == str(python)
    assert interpreter_for(None, service.parent / "not_there_yet.py").path == str(nearer)


def test_an_environment_is_found_where_nothing_else_marks_the_project(repository, tmp_path):
    python = environment(tmp_path / "plain" / ".venv")
    (tmp_path / "plain" / "requirements.txt").touch()
    assert interpreter_for(None, target(tmp_path / "plain" / "src" / "app")).path == str(python)
    inside = target(tmp_path / "plain" / "other")
    (inside.parent / ".git").mkdir()
    assert interpreter_for(None, inside).path == sys.executable  # beyond the repository's top lies another's


@pytest.mark.parametrize("variable", ["VIRTUAL_ENV", "CONDA_PREFIX"])
def test_an_active_environment_serves_projects_without_their_own(repository, tmp_path, monkeypatch, variable):
    active = environment(tmp_path / "active")
    monkeypatch.setenv(variable, str(tmp_path / "active"))
    found = interpreter_for(None, target(repository))
    assert (found.path, variable in found.why) == (str(active), True)
    own = environment(repository / ".venv")
    assert interpreter_for(None, target(repository)).path == str(own)
    monkeypatch.setenv(variable, sys.prefix)
    (repository / ".venv" / "pyvenv.cfg").unlink()
    own.unlink()
    assert interpreter_for(None, target(repository)).why == "testing-crew's own"


def test_what_is_passed_over_is_said(repository, tmp_path, monkeypatch):
    bare = environment(repository / ".venv", has_pytest=False)
    gone = environment(tmp_path / "gone")
    gone.unlink()
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "gone"))
    found = interpreter_for(None, target(repository))
    assert found.path == sys.executable
    assert f"{bare} has no pytest" in found.told()["why"]
    assert f"{bare} -m pip install pytest" in found.told()["why"]
    assert f"{tmp_path / 'gone'} has no Python" in found.told()["why"]


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="only root can give a folder to somebody else")
def test_an_environment_that_another_user_put_above_is_not_run(repository):
    service = target(repository / "service")
    environment(repository / ".venv")
    os.chown(repository / ".venv", 12345, 12345)
    assert interpreter_for(None, service).path == sys.executable
    os.chown(service, 12345, 12345)  # whoever owns the code that is asked about may bring the environment
    assert interpreter_for(None, service).path == str(repository / ".venv" / "bin" / "python")
