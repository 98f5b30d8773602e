"""Find calls that tell something of real functions and classes, by trying them in the sandbox.

    python -m finetune.data.real.harvest --site FOLDER --out real.jsonl [--packages LIST] [--standard] [--modules NAME,…]

``--site`` is a folder whose ``packages`` are read; what LIST (one ``NAME==VERSION`` a line) names is installed there first, by
pip and without what it depends on. Only permissive licences are read; packages that are scored are refused. ``--standard`` reads
Python's own library as well, ``--modules`` no more than the modules named. After ``--minutes`` it ends with what it has.
"""

from __future__ import annotations

import argparse
import ast
import base64
import hashlib
import json
import math
import random
import re
import subprocess
import sys
import sysconfig
import time
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from finetune.data.packages import Package, read_installed
from finetune.data.real import Unit, read
from finetune.data.real.probe import CHUNK
from finetune.data.real.tables import Outcome, of_class, of_function, snippets_of_class
from finetune.data.sources.testgeneval import module_name
from finetune.data.synthetic.program import Program
from testing_crew.errors import UserMistake
from testing_crew.project import code as code_under_test
from testing_crew.project.layout import importable
from testing_crew.project.syntax import parse
from testing_crew.runner.plan import Limits, Variation, plan_text
from testing_crew.runner.run import Runner
from testing_crew.snapshot.inputs import Class, Inputs, definition
from testing_crew.snapshot.inputs import of_class as inputs_of_class
from testing_crew.snapshot.inputs import of_function as inputs_of_function
from trace_logger.records import CodeUnderTest

LIMITS = Limits(wall_seconds=10, cpu_seconds=8)
PROBE = Path(__file__).with_name("probe.py")
LONGEST_SHOWN = 3200  # characters; longer units leave no room for their tests
CALLS = 24  # that are tried of each function
MOST_OF_A_PACKAGE = 150
_MOST_OF_A_MODULE = 25
LONGEST_TESTS = 2500  # characters
_OTHER_HASH_SEED = 7
_LEFT_OUT = re.compile(
    r"(^|[./])(_?vendor\w*|_vendored\w*|extern|externals|tests?|testing|conftest|__main__|setup|idlelib|tkinter|turtledemo|lib2to3"
    r"|ensurepip|distutils|site-packages|dist-packages|this|antigravity|turtle|pydoc_data|examples?|locale|lang)($|[./])"
)


@dataclass(frozen=True)
class Module:
    """A module to be tried: its name where it can be imported, its text, whose it is."""

    name: str
    text: str
    package: str
    licence: str


def standard(named: Collection[str] = ()) -> Iterator[Module]:
    """The modules of Python's own library, or those of them that are ``named``."""
    top = Path(sysconfig.get_paths()["stdlib"])
    for file in sorted(top.rglob("*.py")):
        inside = file.relative_to(top)
        name = module_name(inside.as_posix())
        is_ours = inside.parts[0] in sys.stdlib_module_names or len(inside.parts) == 1
        if is_ours and (not named or name in named):
            yield Module(name, file.read_text(encoding="utf-8", errors="replace"), "python", "PSF-2.0")


def installed(site: Path) -> Iterator[Module]:
    """The modules of the packages in a folder; what may not be trained on is told and left out."""
    for found in sorted(metadata.distributions(path=[str(site)]), key=lambda d: d.metadata["Name"].lower()):
        try:
            package: Package = read_installed(found.metadata["Name"], site)
        except UserMistake as error:
            print(f"left out: {error.message}", flush=True)
            continue
        for file, text in package.modules.items():
            yield Module(module_name(file), text, f"{package.name}=={package.version}", package.licence)


def install(names: Sequence[str], site: Path) -> None:
    """Install what is not there yet. Raises UserMistake when pip cannot."""
    there = {d.metadata["Name"].lower().replace("_", "-") for d in metadata.distributions(path=[str(site)])}
    missing = [n for n in names if n.partition("==")[0].lower().replace("_", "-") not in there]
    if missing:
        print(f"installing {len(missing)} packages to read", flush=True)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), *missing]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            why = (done.stderr.strip() or "no reason given").splitlines()[-1]
            raise UserMistake(
                f"pip could not install the packages to read: {why}", hint="give fewer, or --standard alone"
            )


class Harvest:
    """Tries modules in one runner; ``said`` counts what became of the units."""

    def __init__(self, runner: Runner, site: Path) -> None:
        self.runner = runner
        self.said: Counter[str] = Counter()
        anchor = site.parent / "anchor.py"  # one target for all runs, so that all come from one warm process
        anchor.write_text("X = 1\n", encoding="utf-8")
        self._site = site  # behind what pytest itself is made of, which some of the packages are
        self._code = CodeUnderTest(
            source="X = 1\n",
            shown="",
            module="anchor",
            path=str(anchor),
            root=str(site.parent),
            interpreter=sys.executable,
        )

    def units(self, module: Module) -> list[Unit]:
        """The units of a module that came to something."""
        try:
            names = [u.name for u in code_under_test.find_units(parse(module.text))]
        except (SyntaxError, ValueError, RecursionError):
            return []
        random.Random(module.name).shuffle(names)
        planned = []
        for name in names[:_MOST_OF_A_MODULE]:
            made = self._planned(module, name)
            if made is not None:
                planned.append(made)
        if not planned:
            return []
        outcomes = self._try(module.name, [s for _, _, snippets in planned for s in snippets])
        found, at = [], 0
        for program, inputs, snippets in planned:
            told = [outcome for outcome in outcomes[at : at + len(snippets)] if outcome is not None]
            at += len(snippets)
            self.said["tried"] += 1
            if len(told) < len(snippets):
                continue
            tests = of_class(program, inputs, told) if isinstance(inputs, Class) else of_function(program, inputs, told)
            if tests is None:
                continue
            bare = _shown(module, program.unit, 0)
            unit = Unit(module.package, module.licence, tuple(dict.fromkeys([program.source, bare])), tests, program)
            if len(unit.text()) <= LONGEST_TESTS:
                found.append(unit)
        kept = self._holding(found)
        self.said["kept"] += len(kept)
        return kept

    def _planned(self, module: Module, name: str) -> tuple[Program, Inputs | Class, list[list[object]]] | None:
        try:
            shown = _shown(module, name, code_under_test.SHOWN_CHARS)
            if len(shown) > LONGEST_SHOWN:
                shown = _shown(module, name, 0)
            parsed = parse(shown)
        except (SyntaxError, ValueError, RecursionError, KeyError):
            return None
        node = definition(parsed, name)
        if node is None or len(shown) > LONGEST_SHOWN:
            return None
        program = Program(shown, module.name, name, is_class=isinstance(node, ast.ClassDef))
        if isinstance(node, ast.ClassDef):
            found = inputs_of_class(node, parsed, 4)
            snippets: list[list[object]] = (
                [[[f"obj = {made}"], subject, looks] for _, made, subject, looks in snippets_of_class(found)]
                if found
                else []
            )
            return (program, found, snippets) if found and snippets else None
        if isinstance(node, ast.AsyncFunctionDef) or any(
            "contextmanager" in ast.unparse(d) for d in node.decorator_list
        ):
            return None
        inputs = inputs_of_function(node, parsed, CALLS)
        return (program, inputs, [[[], inputs.call(name, row), []] for row in inputs.rows]) if inputs else None

    def _try(self, name: str, snippets: list[list[object]]) -> list[Outcome | None]:
        asked = repr(json.dumps({"module": name, "snippets": snippets}))
        tests = re.sub(
            r"^ASKED: .*$",
            lambda _: f"sys.path.append({str(self._site)!r})\nASKED = json.loads({asked})",
            PROBE.read_text(encoding="utf-8"),
            count=1,
            flags=re.M,
        )
        run = self.runner.execute(plan_text(self._code, tests), Variation(measure=False)).run
        found: list[Outcome | None] = [None] * len(snippets)
        for case in run.cases:
            number = re.fullmatch(r"\((\d+)\)", case.row or "")
            if case.exception == "Found" and number:
                try:
                    outcomes = json.loads(zlib.decompress(base64.b85decode(case.message)))
                except (ValueError, zlib.error):  # cut off
                    continue
                start = int(number[1]) * CHUNK
                found[start : start + len(outcomes)] = outcomes
        return found

    def _holding(self, units: list[Unit]) -> list[Unit]:
        """The units whose tests pass again under another hash seed, all in one run."""
        if not units:
            return []
        tests = "\n\n".join([f"import sys\n\nsys.path.append({str(self._site)!r})\n", *(unit.text() for unit in units)])
        variation = Variation(measure=False, hash_seed=_OTHER_HASH_SEED)
        run = self.runner.execute(plan_text(self._code, tests), variation).run
        bad = {case.function for case in run.cases if case.outcome != "passed"}
        passed = {case.function for case in run.cases} - bad
        return [unit for unit in units if set(re.findall(r"^def (\w+)", unit.text(), re.M)) <= passed]


def worth_trying(module: Module, reachable: set[str]) -> int:
    """How many functions and classes a module offers; none where it needs a package that is not here."""
    try:
        tree = parse(module.text)
    except (SyntaxError, ValueError, RecursionError):
        return 0
    for node in tree.body:
        tops = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        tops += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
        if any(top.partition(".")[0] not in reachable for top in tops):
            return 0
    return len(code_under_test.find_units(tree))


def _shown(module: Module, name: str, most: int) -> str:
    return code_under_test.parts(code_under_test.render(module.text, module.name, name, most))[2]


def harvest(modules: Sequence[Module], site: Path, out: Path, minutes: float | None = None) -> Counter[str]:
    """Write the units of ``modules`` to ``out``, as many as come within ``minutes``; taken up again where it was stopped.

    At most ``MOST_OF_A_PACKAGE`` of each package, none twice. Returns how many there are of each package.
    """
    until = math.inf if minutes is None else time.monotonic() + 60 * minutes
    scratch, tried = out.with_name(f".{out.name}"), out.with_name(f".{out.name}.tried")
    if scratch.exists():  # a line that was being written when the disk was full or the power went is tried again
        whole = scratch.read_text(encoding="utf-8").rpartition("\n")
        scratch.write_text(whole[0] + whole[1], encoding="utf-8")
    units = read(scratch) if scratch.exists() else []
    seen = {_body(unit) for unit in units}
    of_package = Counter(unit.package for unit in units)
    done = set(tried.read_text(encoding="utf-8").split()) if tried.exists() else set()
    left = [m for m in modules if m.name not in done]
    with Runner(LIMITS) as runner, ThreadPoolExecutor(runner.workers) as threads:
        work = Harvest(runner, site)

        def full(package: str) -> bool:
            return package != "python" and of_package[package] >= MOST_OF_A_PACKAGE

        def found_in(module: Module) -> list[Unit] | None:
            if time.monotonic() > until:
                return None
            if full(module.package):
                return []
            try:
                return work.units(module)
            except Exception as error:  # real code is odder than any rule: one module must not end it, nor each resume
                work.said[f"{type(error).__name__}"] += 1
                return []

        with scratch.open("a", encoding="utf-8") as kept, tried.open("a", encoding="utf-8") as names:
            for number, (module, found) in enumerate(zip(left, threads.map(found_in, left), strict=True), 1):
                if found is None:
                    break
                for unit in found:
                    if _body(unit) not in seen and not full(unit.package):
                        seen.add(_body(unit))
                        of_package[unit.package] += 1
                        kept.write(unit.to_json() + "\n")
                kept.flush()
                names.write(f"{module.name}\n")
                names.flush()
                if number % 20 == 0:
                    print(f"\r{number} of {len(left)} modules, {of_package.total()} units", end="", flush=True)
        print(f"\n{dict(work.said)}")
    if of_package:
        scratch.replace(out)
    tried.unlink()
    return of_package


def _body(unit: Unit) -> str:
    return hashlib.sha256(ast.dump(parse(unit.sources[-1])).encode()).hexdigest()


def main(argv: Sequence[str] | None = None) -> None:
    """The command in this module's docstring."""
    parser = argparse.ArgumentParser(
        prog="python -m finetune.data.real.harvest", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--site", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--packages", type=Path)
    parser.add_argument("--standard", action="store_true")
    parser.add_argument("--modules", default="")
    parser.add_argument("--minutes", type=float)
    chosen = parser.parse_args(argv)
    try:
        site = chosen.site.resolve() / "packages"
        site.mkdir(parents=True, exist_ok=True)
        if chosen.packages:
            lines = chosen.packages.read_text(encoding="utf-8").splitlines()
            install([line.strip() for line in lines if line.strip() and not line.startswith("#")], site)
        if chosen.modules:
            modules = list(standard(chosen.modules.split(",")))
        else:
            found = [*(standard() if chosen.standard else ()), *installed(site)]
            modules = [m for m in found if not _LEFT_OUT.search(m.name) and len(m.text) < 300_000]
        random.Random(0).shuffle(modules)
        reachable = {*sys.stdlib_module_names, *importable(site), *map(str, metadata.packages_distributions())}
        offered = {module: worth_trying(module, reachable) for module in modules}
        # Those that offer most come first: what an import costs is then spent on many.
        modules = sorted((m for m in modules if offered[m]), key=lambda m: -min(offered[m], _MOST_OF_A_MODULE))
        packages = harvest(modules, site, chosen.out, chosen.minutes)
        if not packages:
            raise UserMistake("no unit came to anything", hint="give packages of pure Python")
        print(f"{packages.total()} units of {len(packages)} packages → {chosen.out}")
    except (UserMistake, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
