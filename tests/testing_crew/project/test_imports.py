"""From where and by which name a project's own pytest run imports a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from testing_crew.project.imports import import_root, project_root

TOML = "[tool.pytest.ini_options]\npythonpath = [{}]\n"


def lay(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root.resolve()


@pytest.mark.parametrize(
    ("files", "path", "found"),
    [
        ({"pyproject.toml": ""}, "rates.py", ". rates"),
        ({"pyproject.toml": ""}, "app/rates.py", ". app.rates"),
        ({"pyproject.toml": "", "pkg/__init__.py": ""}, "pkg/sub/rates.py", ". pkg.sub.rates"),
        ({"pyproject.toml": "", "pkg/__init__.py": "", "pkg/sub/__init__.py": ""}, "pkg/sub/__init__.py", ". pkg.sub"),
        ({"pyproject.toml": "", "src/pkg/__init__.py": ""}, "src/pkg/rates.py", "src pkg.rates"),
        ({"pyproject.toml": "", "src/pkg/__init__.py": "", "src/__init__.py": ""}, "src/pkg/a.py", ". src.pkg.a"),
        ({"pyproject.toml": ""}, "src/pkg/rates.py", "src pkg.rates"),
        ({"pyproject.toml": TOML.format("'app'")}, "app/rates.py", "app rates"),
        ({"pyproject.toml": TOML.format("'.', 'lib'")}, "lib/inner/rates.py", "lib inner.rates"),
        ({"pyproject.toml": TOML.format("'.'")}, "app/email.py", ". app.email"),
        ({"pytest.ini": "[pytest]\npythonpath = app other\n"}, "app/rates.py", "app rates"),
        ({"setup.cfg": "[tool:pytest]\npythonpath =\n  app\n"}, "app/rates.py", "app rates"),
        ({"pyproject.toml": ""}, "my-app/rates.py", "my-app rates"),
        ({}, "app/rates.py", "app rates"),
    ],
)
def test_by_the_layout(tmp_path: Path, files: dict[str, str], path: str, found: str) -> None:
    root = lay(tmp_path, {**files, path: files.get(path, "")})
    folder, name = import_root(root / path)
    assert f"{folder.relative_to(root)} {name}" == found


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"tests/test_a.py": "from app.rates import plus"}, ". app.rates"),
        ({"tests/test_a.py": "from app import rates"}, ". app.rates"),
        ({"tests/test_a.py": "import rates"}, "app rates"),
        ({"tests/unit/test_a.py": "def test_a():\n    from rates import plus"}, "app rates"),
        ({"tests/test_a.py": "import other"}, "app rates"),
        ({"tests/test_a.py": "import app.other", "app/main.py": "import rates"}, ". app.rates"),
        ({"app/main.py": "from rates import plus"}, "app rates"),
        ({"app/rates.py": "import other"}, "app rates"),
        ({"app/rates.py": "import app.other"}, ". app.rates"),
        ({"tests/test_a.py": "import rates", "rates.py": ""}, ". app.rates"),
        ({"pyproject.toml": TOML.format("'app'"), "tests/test_a.py": "import app.rates"}, ". app.rates"),
        ({".venv/pyvenv.cfg": "", "env/pyvenv.cfg": "", "env/tests/test_a.py": "import rates"}, ". app.rates"),
    ],
)
def test_by_what_the_project_says_already(tmp_path: Path, files: dict[str, str], found: str) -> None:
    root = lay(tmp_path, {"pyproject.toml": "", "app/rates.py": "", "app/other.py": "", **files})
    folder, name = import_root(root / "app" / "rates.py")
    assert f"{folder.relative_to(root)} {name}" == found


def test_the_file_that_is_checked_has_the_first_word(tmp_path: Path) -> None:
    files = {
        "pyproject.toml": "",
        "app/rates.py": "",
        "tests/test_a.py": "import app.rates",
        "app/test_b.py": "import rates",
    }
    root = lay(tmp_path, files)
    assert import_root(root / "app/rates.py", test=root / "app/test_b.py") == (root / "app", "rates")
    assert import_root(root / "app/rates.py") == (root, "app.rates")


def test_a_repository_in_the_home_folder_makes_no_project_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    root = lay(tmp_path, {".git/config": "", "scratch/rates.py": ""})
    assert project_root(root / "scratch" / "rates.py") == root / "scratch"
