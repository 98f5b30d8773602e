"""Rows in TestGenEval's columns from real packages: their modules, with the tests that their own authors wrote for these.

    python -m finetune.data.packages --sdists FOLDER|FILE.tar.gz|NAME==VERSION|installed:NAME… --out rows.jsonl

Only packages of permissive licences are read, and only tests that pass on their own, in the runner's sandbox with
the package's code beside them, are kept: pure Python, no network, no files of the test suite. A name is fetched by pip, which
runs the package's own build code to learn its metadata. Packages that are scored are refused.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.parser import Parser
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from finetune.data import imports, surgery
from finetune.data.sources import Dropped
from finetune.data.sources.testgeneval import by_unit, module_name, prepare
from testing_crew.errors import UserMistake
from testing_crew.project import code as code_under_test
from testing_crew.project.syntax import parse
from testing_crew.runner.plan import Limits, Variation, plan_text
from testing_crew.runner.run import Runner
from trace_logger.records import CodeUnderTest

LIMITS = Limits(wall_seconds=60, cpu_seconds=60)
SCORED = {
    "inflection", "toolz", "boltons", "more-itertools", "python-slugify", "humanize", "funcy", "webcolors", "parse", "natsort",
    "pyhumps", "haversine", "roman", "jsonpointer", "semver", "cachetools", "braceexpand", "mergedeep", "python-baseconv",
    "titlecase", "durationpy",
}  # fmt: skip
_PERMISSIVE = re.compile(r"\b(MIT|BSD|Apache|ISC|Unlicense|Zlib|PSF|0BSD)\b", re.IGNORECASE)
_COPYLEFT = re.compile(r"GPL|MPL|EPL|EUPL|CDDL", re.IGNORECASE)
_NOT_CODE = {"setup.py", "conftest.py", "noxfile.py", "tasks.py", "fabfile.py"}
_TEST_FOLDERS = {"test", "tests", "testing"}
_OTHER_FOLDERS = {"docs", "doc", "examples", "example", "benchmarks", "scripts", "tools", "build"}


@dataclass(frozen=True)
class Package:
    """A source distribution: its modules by path below the import root, its test files by path in the distribution."""

    name: str
    version: str
    licence: str
    digest: str
    modules: dict[str, str]
    tests: dict[str, str]


def read_sdist(path: Path) -> Package:
    """The package in a source distribution. Raises UserMistake when it is none, or may not be trained on."""
    try:
        data = path.read_bytes()
        with tarfile.open(path) as archive:
            files = {
                member.name.partition("/")[2]: archive.extractfile(member).read()  # type: ignore[union-attr]
                for member in archive.getmembers()
                if member.isfile() and member.name.endswith((".py", "PKG-INFO"))
            }
    except (OSError, tarfile.TarError, EOFError) as error:
        raise UserMistake(
            f"{path} is no source distribution: {error}", hint="a NAME-VERSION.tar.gz from PyPI"
        ) from None
    if "PKG-INFO" not in files:
        raise UserMistake(f"{path} is no source distribution: it has no PKG-INFO")
    about = Parser().parsestr(files.pop("PKG-INFO").decode("utf-8", "replace"))
    return _package(about, files, hashlib.sha256(data).hexdigest())


def read_installed(name: str, site: Path | None = None) -> Package:
    """The package as it is installed here, or in ``site``. Raises UserMistake as `read_sdist` does."""
    try:
        found = next(iter(metadata.distributions(name=name, path=[str(site)] if site else sys.path)))
    except StopIteration:
        raise UserMistake(f"there is no package {name} here", hint=f"pip install {name}") from None
    python = [file for file in found.files or () if file.suffix == ".py" and file.parts[0] != ".."]
    files = {file.as_posix(): file.read_binary() for file in python if Path(str(file.locate())).is_file()}
    digest = hashlib.sha256(b"".join(name.encode() + files[name] for name in sorted(files))).hexdigest()
    return _package(found.metadata, files, digest)


def _package(about: Any, files: dict[str, bytes], digest: str) -> Package:
    name, version = re.sub(r"[-_.]+", "-", str(about["Name"])).lower(), str(about["Version"])
    if name in SCORED:
        raise UserMistake(f"{name} is scored by the benchmarks, so it is not trained on")
    said = [c.rpartition(":: ")[2] for c in about.get_all("Classifier", []) if c.startswith("License ::")]
    licence = str(about["License-Expression"] or "") or ", ".join(said) or str(about["License"] or "")[:60]
    if not _PERMISSIVE.search(licence) or _COPYLEFT.search(licence):
        raise UserMistake(f"{name}: its licence is not a permissive one that is known here: {licence or 'none said'}")
    texts = {file: _text(content) for file, content in files.items() if file.endswith(".py")}
    tests = {file: text for file, text in texts.items() if _is_test(Path(file))}
    return Package(name, version, licence, digest, _modules(texts, set(tests)), tests)


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace").replace("\r\n", "\n")


def _is_test(path: Path) -> bool:
    return path.name.startswith("test_") or path.stem.endswith("_test") or bool(_TEST_FOLDERS & set(path.parts[:-1]))


def _modules(texts: dict[str, str], tests: set[str]) -> dict[str, str]:
    """The files of what can be imported: packages and modules at the top, or below ``src`` or ``lib``."""
    found = {}
    for file, text in texts.items():
        path = Path(file)
        inside = Path(*path.parts[1:]) if path.parts[0] in ("src", "lib") and len(path.parts) > 1 else path
        is_package = len(inside.parts) > 1 and str(path.parents[len(inside.parts) - 2] / "__init__.py") in texts
        at_top = len(inside.parts) == 1 and inside.name not in _NOT_CODE
        if file not in tests and (is_package or at_top) and inside.parts[0] not in _OTHER_FOLDERS:
            found[inside.as_posix()] = text
    return found


def rows_of(package: Package, runner: Runner, said: Counter[str]) -> Iterator[dict[str, Any]]:
    """A row for each module and test file with tests about it that pass; ``said`` counts what became of the pairs."""
    trees = {file: surgery.parse(text) for file, text in package.modules.items()}
    units = {file: [u.name for u in code_under_test.find_units(tree)] for file, tree in trees.items() if tree}
    homes = Counter(name for names in units.values() for name in names)
    with tempfile.TemporaryDirectory(prefix="testing-crew-") as folder, ThreadPoolExecutor(runner.workers) as threads:
        root = Path(folder).resolve()
        for file, text in package.modules.items():
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            (root / file).write_text(text, encoding="utf-8")
        pairs = []
        for test_file, tests in package.tests.items():
            tree = surgery.parse(tests)
            if tree is None:
                continue
            named = surgery.names_in(tree) | {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
            named |= {a.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names}
            straight = {(n.module, a.name) for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names}
            for file, names in units.items():
                module = module_name(file)
                meant = {n for n in names if n in named and (homes[n] == 1 or {(module, n), (module, "*")} & straight)}
                if meant:
                    pairs.append((file, test_file, meant))

        def work(pair: tuple[str, str, set[str]]) -> dict[str, Any] | None:
            file, test_file, meant = pair
            try:
                return _row(package, file, test_file, _tests_that_pass(package, root, file, test_file, meant, runner))
            except Dropped as why:
                said[str(why)] += 1
                return None

        for row in threads.map(work, pairs):
            if row:
                said["kept"] += 1
                yield row


def _tests_that_pass(package: Package, root: Path, file: str, test_file: str, meant: set[str], runner: Runner) -> str:
    source, module = package.modules[file], module_name(file)
    prepared = prepare(source, package.tests[test_file], module, meant)
    about = by_unit(source, prepared, module)
    if not about:
        raise Dropped("no test of what is shown alone")
    run = runner.execute(plan_text(_anywhere(package, root), prepared), Variation(measure=False)).run
    bad = {case.function for case in run.cases if case.outcome != "passed"}
    ran = {case.function for case in run.cases} - bad
    good: set[str] = set()
    for names in about.values():
        passed = [n for n in names if n.rpartition(".")[2] in ran]
        alone = surgery.cut(prepared, passed.__contains__)
        if alone and not imports.undefined(alone):
            good |= set(passed)
    if not good:
        raise Dropped("no test that passes on its own")
    return surgery.cut(prepared, good.__contains__)


def _anywhere(package: Package, root: Path) -> CodeUnderTest:
    """One target for all pairs, since only pytest's word is wanted: so all runs come from one warm process."""
    file = min(package.modules)
    text = package.modules[file]
    return CodeUnderTest(
        source=text,
        shown=text,
        module=module_name(file),
        path=str(root / file),
        root=str(root),
        interpreter=sys.executable,
    )


def _row(package: Package, file: str, test_file: str, tests: str) -> dict[str, Any]:
    tree = parse(tests)
    top = module_name(file).split(".")[0]
    local = [n for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom)) and top in surgery.imported_tops(n)]
    return {
        "repo": f"pypi/{package.name}",
        "base_commit": package.digest[:40],
        "version": package.version,
        "instance_id": f"{package.name}-{package.version}",
        "patch": "",
        "test_patch": "",
        "preds_context": {},
        "code_src": package.modules[file],
        "test_src": tests,
        "code_file": file,
        "test_file": test_file,
        "local_imports": [ast.unparse(node) for node in local],
        "id": f"{package.name}-{package.version}:{module_name(file)}:{test_file}",
        "baseline_covs": {},
        "licence": package.licence,
    }


def fetch(wanted: Sequence[str], into: Path) -> Iterator[Callable[[], Package]]:
    """How each of ``wanted`` is read: files, folders of them, what is installed, what pip knows. Raises UserMistake."""
    for each in wanted:
        path = Path(each).expanduser()
        if each.startswith("installed:"):
            yield partial(read_installed, each.partition(":")[2])
        elif path.is_dir():
            yield from (partial(read_sdist, file) for file in sorted(path.glob("*.tar.gz")))
        elif path.is_file():
            yield partial(read_sdist, path)
        elif not re.fullmatch(r"[A-Za-z0-9._-]+(==[A-Za-z0-9.]+)?", each) or each.endswith(".gz"):
            raise UserMistake(f"there is no {each}", hint="give a folder, a .tar.gz, NAME==VERSION, or installed:NAME")
        else:
            place = Path(tempfile.mkdtemp(dir=into))
            options = ["--quiet", "--no-deps", "--no-binary", each.partition("==")[0], "-d", str(place)]
            done = subprocess.run(
                [sys.executable, "-m", "pip", "download", *options, each], capture_output=True, text=True, check=False
            )
            found = sorted(place.glob("*.tar.gz"))
            if done.returncode or not found:
                why = (done.stderr.strip() or "no source distribution").splitlines()[-1]
                raise UserMistake(f"pip could not fetch {each}: {why}", hint="give a file or a folder that is here")
            yield from (partial(read_sdist, file) for file in found)


def main(argv: Sequence[str] | None = None) -> None:
    """The command in this module's docstring."""
    parser = argparse.ArgumentParser(
        prog="python -m finetune.data.packages", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--sdists", nargs="+", required=True, metavar="FOLDER|FILE|NAME==VERSION|installed:NAME")
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args(argv)
    lines = []
    try:
        with tempfile.TemporaryDirectory() as into, Runner(LIMITS) as runner:
            for read in fetch(chosen.sdists, Path(into)):
                said: Counter[str] = Counter()
                try:
                    package = read()
                except UserMistake as error:
                    print(f"left out: {error.message}", flush=True)
                    continue
                found = list(rows_of(package, runner, said))
                lines += [json.dumps(row, sort_keys=True) + "\n" for row in found]
                told = ", ".join(f"{why}: {n}" for why, n in sorted(said.items()))
                print(f"{package.name} {package.version} ({package.licence}): {told or 'no pair'}", flush=True)
        if not lines:
            raise UserMistake("no package gave a row", hint="they must carry tests that run alone")
        chosen.out.write_text("".join(lines), encoding="utf-8")
        print(f"{len(lines)} rows → {chosen.out}")
    except (UserMistake, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
