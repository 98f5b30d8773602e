"""The names we install are ours alone, and what is not code travels with them."""

import sys
from importlib import metadata
from pathlib import Path

import children
import pytest

NAMES = ("testing_crew", "trace_logger", "finetune", "export", "benchmarks", "self_improve")
ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", NAMES)
def test_each_package_name_belongs_to_our_distribution_alone(name):
    assert set(metadata.packages_distributions()[name]) == {"testing-crew"}


def test_the_wheel_holds_every_package_and_its_data(tmp_path):
    import zipfile

    done = children.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)],
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    python = {str(f.relative_to(ROOT)) for name in NAMES for f in (ROOT / name).rglob("*.py")}
    data = {
        "testing_crew/embedded/model.gguf",
        "testing_crew/embedded/model.safetensors",
        "testing_crew/embedded/tokenizer.json",
        "finetune/configs/embedded.toml",
        "finetune/data/synthetic/functions.txt",
        "benchmarks/self_correction.json",
        "benchmarks/sources/bugs.json",
        "benchmarks/real_packages.toml",
        "benchmarks/ianvs/smart_coding/smart_coding_learning_bench/issue/benchmarkingjob.yaml",
        "benchmarks/judging/page.html",
        "benchmarks/smart_coding/comment.jsonl",
        "testing_crew/suite/formats/page.html",
        "testing_crew/py.typed",
    }
    assert python | data | {"eval_self_correction.py"} <= inside


def test_the_python_floor_compiles():
    """3.10 syntax throughout, checked by the oldest grammar we say we run on."""
    import ast

    for name in NAMES:
        for file in (ROOT / name).rglob("*.py"):
            ast.parse(file.read_text(), feature_version=(3, 10))
