"""Java and Go tests, really run: by javac and JUnit 5, and by go, in the sandbox and without a network.

Their time, address space and the size of their files are bounded, the number of their processes is not. JUnit's jars are looked
for in JUNIT_JARS, else where Debian's package junit5 puts them.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from testing_crew.errors import UserMistake
from testing_crew.prompt.outcome import Inputs, Language, Meta, OutcomeRow
from testing_crew.runner import sandbox as box
from testing_crew.runner.process import Finished, run_child
from testing_crew.runner.scratch import Scratch

_SECONDS = 120  # of compiling and running together
_OUTPUT = 64 * 1024
_JARS = Path("/usr/share/java")
_JUNIT = (
    *("junit-platform-console", "junit-platform-launcher", "junit-platform-engine", "junit-platform-commons"),
    *("junit-platform-reporting", "junit-jupiter-api", "junit-jupiter-engine", "junit-jupiter-params"),
    *("opentest4j", "opentest4j-reporting-events", "opentest4j-reporting-schema", "apiguardian-api", "picocli"),
)
_CLASS = re.compile(
    r"^(?:public\s+)?(?:(?:abstract|final|sealed|non-sealed|strictfp)\s+)*(?:class|interface|enum|record|@interface)\s+(\w+)",
    re.MULTILINE,
)
_PUBLIC = re.compile(_CLASS.pattern.replace("(?:public\\s+)?", "public\\s+"), re.MULTILINE)
_PACKAGE = re.compile(r"^\s*package\s+([\w.]+)", re.MULTILINE)
_BRIEF = "-Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData"  # for programs that run for a second
_LIMITS = f"ulimit -t {_SECONDS} -f 131072 -v 8388608"  # seconds, blocks of 512 bytes, KiB
_COMPILED = "compiled"  # printed between the compiler's end and the tests' beginning


@dataclass(frozen=True)
class Ran:
    """``passed`` is None where nothing can be said of the test, and ``why`` why."""

    passed: bool | None
    why: str
    output: str = ""


def java(row: OutcomeRow, seed: int = 0) -> Ran:
    """Compile and run a Java row; what does not compile fails. ``seed`` orders the tests. Raises UserMistake without tools."""
    javac, start = _tool("javac", "Java", "default-jdk-headless"), _tool("java", "Java", "default-jdk-headless")
    jars = os.pathsep.join(map(str, _jars()))
    files, tests = {}, ""
    for text in (row.inputs.focal_code, row.inputs.test_code):
        named = _PUBLIC.search(text) or _CLASS.search(text)
        if named is None:
            return Ran(None, "no class in a file")
        package = _PACKAGE.search(text)
        folder = package[1].replace(".", "/") + "/" if package else ""
        files[f"{folder}{named[1]}.java"] = text
        tests = f"{package[1]}.{named[1]}" if package else named[1]  # the last is the test
    if len(files) < 2:
        return Ran(None, "both files hold the same class")
    quiet = f"{_BRIEF} -Duser.language=en -Duser.timezone=UTC"
    order = "-Djunit.jupiter.testmethod.order.default='org.junit.jupiter.api.MethodOrderer$Random' "
    order += f"-Djunit.jupiter.execution.order.random.seed={seed}"
    compiler = " ".join([javac, *(f"-J{option}" for option in _BRIEF.split()), "-encoding UTF-8 -nowarn"])
    script = (
        f"{compiler} -d ../tmp/classes -cp '{jars}' $(find . -name '*.java') || exit 1\n"
        f"echo {_COMPILED}\n"
        f"exec {start} {quiet} {order} -cp '{jars}{os.pathsep}../tmp/classes' org.junit.platform.console.ConsoleLauncher "
        f"--select-class '{tests}' --details summary --disable-banner --disable-ansi-colors --fail-if-no-tests"
    )
    return _judged(
        _in_sandbox(files, script, [*_jars(), *_roots(javac, start)]),
        r"\[\s*0 tests found",
        r"\[\s*[1-9]\d* tests skipped",
    )


def go(row: OutcomeRow, seed: int = 0) -> Ran:
    """Compile and run a Go row, as `java` does."""
    tool = _tool("go", "Go", "golang-go")
    module = "module focal\n\ngo 1.18\n"
    files = {"focal.go": row.inputs.focal_code, "focal_test.go": row.inputs.test_code, "go.mod": module}
    script = (
        f"GOCACHE=$TMPDIR/cache GOFLAGS=-mod=mod GOPROXY=off GOTOOLCHAIN=local {tool} test -c -o ../tmp/tests . || exit 1\n"
        f"echo {_COMPILED}\ntest -x ../tmp/tests || {{ echo no test files; exit 0; }}\n"
        f"exec ../tmp/tests -test.v -test.count=1 -test.shuffle={seed + 1}"
    )
    return _judged(_in_sandbox(files, script, _roots(tool)), "no tests to run|no test files", r"(?m)^\s*--- SKIP")


_RUN: Mapping[Language, Callable[[OutcomeRow, int], Ran]] = {"Java": java, "Go": go}


def _judged(ended: Finished, none: str, skipped: str) -> Ran:
    if ended.timed_out:
        return Ran(None, "it ran out of time", ended.output)
    if _COMPILED in ended.output and re.search(none, ended.output):
        return Ran(None, "it holds no test", ended.output)
    if _COMPILED in ended.output and re.search(skipped, ended.output):
        return Ran(None, "a test is skipped", ended.output)
    if ended.exit_code == 0:
        return Ran(True, "passed", ended.output)
    if ended.exit_code < 0 or ended.exit_code > 100:
        return Ran(None, f"it ended with {ended.exit_code}", ended.output)
    return Ran(False, "failed" if _COMPILED in ended.output else "does not compile", ended.output)


def _in_sandbox(files: Mapping[str, str], script: str, needed: Sequence[Path]) -> Finished:
    """``script`` in a folder with ``files``, contained; ../tmp is its own. Raises UserMistake where nothing can contain it."""
    kind = box.available()[0]
    if kind == "limits":
        raise UserMistake("this machine has no sandbox, and tests in Java and Go run in nothing less")
    with Scratch() as scratch:
        for name, text in files.items():
            scratch.write(name, text.encode("utf-8", "surrogatepass"))
        shell = shutil.which("sh") or "/bin/sh"
        view = box.View(str(scratch.path), box.needed_paths([shell, *map(str, needed)]), str(scratch.work))
        variables = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(scratch.home),
            "TMPDIR": str(scratch.tmp),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
        }
        command = box.wrap(kind, [shell, "-c", f"{_LIMITS}\n{script}"], view)
        return run_child(command, variables, str(scratch.work), _SECONDS, _OUTPUT)


@cache
def _tool(name: str, language: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise UserMistake(
            f"{language} rows are run by {name}, which is not here", hint=f"on Debian: apt install {package}"
        )
    return os.path.realpath(found)


@cache
def _jars() -> tuple[Path, ...]:
    folder = Path(os.environ.get("JUNIT_JARS", _JARS))
    jars = tuple(folder / f"{name}.jar" for name in _JUNIT)
    missing = [jar.name for jar in jars if not jar.is_file()]
    if missing:
        raise UserMistake(
            f"Java rows are run by JUnit 5, and {folder} lacks {', '.join(missing)}",
            hint="on Debian: apt install junit5; elsewhere JUNIT_JARS=FOLDER",
        )
    return jars


def _roots(*tools: str) -> list[Path]:
    """Where the tools and what they need lie, be it in a home folder: a program stands in ``bin`` of it."""
    return [Path(tool).parents[1] for tool in tools]


@cache
def missing(language: Language) -> str:
    """Why rows of a language cannot be run here, by trying a test that is right; empty where they can."""
    if language == "Python":
        return ""
    focal, test = _SAMPLES[language]
    row = OutcomeRow(inputs=Inputs(focal_code=focal, test_code=test, lang=language), meta=Meta(id=0), outputs=None)
    try:
        ran = _RUN[language](row, 0)
    except UserMistake as error:
        return f"{error.message}. {error.hint}"
    return "" if ran.passed else f"a right test in {language} does not pass here ({ran.why}): {ran.output[-500:]}"


def run(row: OutcomeRow, seed: int) -> Ran:
    """Run a Java or Go row. Raises UserMistake where not even a test that is right passes here."""
    if why := missing(row.inputs.lang):
        raise UserMistake(f"{row.inputs.lang} rows cannot be run: {why}")
    return _RUN[row.inputs.lang](row, seed)


_SAMPLES: Mapping[Language, tuple[str, str]] = {
    "Java": (
        "public class Twice {\n    static int of(int x) { return 2 * x; }\n}\n",
        "import org.junit.jupiter.api.*;\n\nclass TwiceTest {\n    @Test\n"
        "    void four() { Assertions.assertEquals(4, Twice.of(2)); }\n}\n",
    ),
    "Go": (
        "package twice\n\nfunc Of(x int) int { return 2 * x }\n",
        'package twice\n\nimport "testing"\n\nfunc TestOf(t *testing.T) {\n\tif Of(2) != 4 {\n\t\tt.Fatal()\n\t}\n}\n',
    ),
}
