"""Which test files there are, and what each is about: by its imports, its name, and what its cases run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from testing_crew.errors import UserMistake
from testing_crew.runner.run import Limits, Runner
from testing_crew.suite import find


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    with Runner(Limits(wall_seconds=60), sandbox="limits") as made:
        yield made


def lay(root: Path, files: dict[str, str]) -> Path:
    for name, text in {"pyproject.toml": "", **files}.items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return root.resolve()


def names(files: list[Path], root: Path) -> list[str]:
    return [file.relative_to(root).as_posix() for file in files]


def test_a_folder_gives_the_files_that_pytest_would_collect(tmp_path):
    root = lay(
        tmp_path,
        {
            "tests/test_a.py": "",
            "tests/deep/b_test.py": "",
            "tests/helper.py": "",
            "tests/conftest.py": "",
            "tests/.hidden/test_c.py": "",
            "build/test_d.py": "",
            "venv/pyvenv.cfg": "",
            "venv/test_e.py": "",
            "shop.py": "",
        },
    )
    assert sorted(names(find.test_files([root], sys.executable), root)) == ["tests/deep/b_test.py", "tests/test_a.py"]
    twice = find.test_files([root / "tests", root / "tests" / "test_a.py"], sys.executable)
    assert len(twice) == 2
    assert find.test_files([root / "tests" / "helper.py"], sys.executable) == [root / "tests" / "helper.py"]


def test_the_project_says_which_files_are_tests(tmp_path):
    settings = '[tool.pytest.ini_options]\npython_files = ["check_*.py"]\nnorecursedirs = ["old*"]\n'
    root = lay(
        tmp_path, {"pyproject.toml": settings, "check_a.py": "", "test_b.py": "", "older/check_c.py": "", "s.py": ""}
    )
    assert names(find.test_files([root], sys.executable), root) == ["check_a.py"]


def test_what_cannot_be_found_is_told(tmp_path):
    root = lay(tmp_path, {"shop.py": ""})
    with pytest.raises(UserMistake, match=r"no test file in .*test_\*\.py or \*_test\.py"):
        find.test_files([root], sys.executable)
    with pytest.raises(UserMistake, match="no such file or folder"):
        find.test_files([root / "none"], sys.executable)
    with pytest.raises(UserMistake, match="no Python file"):
        find.modules_in(root / "pyproject.toml")
    with pytest.raises(UserMistake, match="no module in"):
        find.modules_in(lay(tmp_path / "other", {"tests/test_a.py": "", "setup.py": ""}))


def test_imports_name_a_module_from_wherever_it_may_be_imported(tmp_path):
    root = lay(
        tmp_path,
        {
            "src/shop/__init__.py": "",
            "src/shop/rates.py": "def f(): pass\n",
            "src/shop/carts.py": "def f(): pass\n",
            "src/shop/deep/__init__.py": "",
            "src/shop/deep/tests/__init__.py": "",
            "src/shop/deep/tests/test_beside.py": "from ..inner import x\nfrom .. import outer\n",
            "src/shop/deep/inner.py": "x = 1\n",
            "src/shop/deep/outer.py": "",
            "tests/test_a.py": "from shop import rates\n",
            "tests/test_carts.py": "from shop.rates import f\n",
        },
    )
    modules = find.modules_in(root)
    assert names(find.by_imports(root / "tests/test_a.py", modules), root) == [
        "src/shop/rates.py",
        "src/shop/__init__.py",
    ]
    assert names(find.by_imports(root / "tests/test_carts.py", modules), root)[:2] == [
        "src/shop/carts.py",  # by its name
        "src/shop/rates.py",
    ]
    beside = find.by_imports(root / "src/shop/deep/tests/test_beside.py", modules)
    assert sorted(names(beside, root)) == [
        "src/shop/deep/__init__.py",
        "src/shop/deep/inner.py",
        "src/shop/deep/outer.py",
    ]


def test_a_run_finds_the_module_behind_a_package_that_hands_on(tmp_path, runner):
    root = lay(
        tmp_path,
        {
            "pkg/__init__.py": "from ._impl import double\n",
            "pkg/_impl.py": "from ._low import twice\n\ndef double(x):\n    y = twice(x)\n    return y\n",
            "pkg/_low.py": "def twice(x):\n    return 2 * x\n",
            "pkg/other.py": "def other():\n    return 1\n",
            "tests/test_api.py": "import pkg\n\ndef test_a():\n    assert pkg.double(2) == 4\n",
        },
    )
    test, modules = root / "tests/test_api.py", find.modules_in(root)
    seen = find.survey(test, modules, root, runner)
    assert seen.touched[str(root / "pkg/_impl.py")] == 2
    assert names(find.about(test, modules, seen.touched), root) == ["pkg/_impl.py", "pkg/_low.py"]


def test_what_is_named_comes_before_what_is_only_reached(tmp_path):
    root = lay(tmp_path, {"a.py": "def f(): pass\n", "b.py": "def f(): pass\n", "test_a.py": "import a\n"})
    modules = find.modules_in(root, [root / "test_a.py"])
    touched = {str(root / "a.py"): 1, str(root / "b.py"): 50}
    assert names(find.about(root / "test_a.py", modules, touched), root) == ["a.py"]
    # constants run in no case; what the file imports is then what it is about
    assert names(find.about(root / "test_a.py", modules, {}), root) == ["a.py"]


def test_what_keeps_a_file_from_being_collected_is_told(tmp_path, runner):
    good = "import shop\n\ndef test_a():\n    assert shop.f() == 1\n"
    root = lay(
        tmp_path,
        {
            "shop.py": "def f():\n    return 1\n",
            "tests/test_a.py": "import not_there\n" + good,
            "tests/test_b.py": good + "def test_b(:\n",
            "broken/conftest.py": "import not_there_either\n",
            "broken/test_c.py": good,
        },
    )
    modules = [root / "shop.py"]
    assert "No module named 'not_there'" in find.survey(root / "tests/test_a.py", modules, root, runner).trouble
    assert "not valid Python" in find.survey(root / "tests/test_b.py", modules, root, runner).trouble
    broken = find.survey(root / "broken/test_c.py", modules, root, runner)
    assert "not_there_either" in broken.trouble
    assert "-m pytest broken/test_c.py" in broken.hint
