"""``testing-crew mcp`` as coding agents meet it: by the official client, and by the bare protocol."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import children
import psutil
import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.types import CallToolResult

from trace_logger import TraceStore

CODE = """\
def share(total, people):
    return total / people


def half(number):
    return number / 2
"""
HEAD = "from shares import share\n\n\ndef test_share():\n    "
HOLLOW, WRONG, RIGHT = (
    f"{HEAD}{line}\n" for line in ("share(9, 4)", "assert share(9, 4) == 3", "assert share(9, 4) == 2.25")
)
SLOW = f"import time\n{HEAD}time.sleep(2)\n    assert share(9, 4) == 2.25\n"
SERVER = ["-m", "self_improve.cli.app", "mcp"]

Call = Callable[..., Awaitable[CallToolResult]]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TESTING_CREW_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TESTING_CREW_TRACES", raising=False)
    made = tmp_path / "project"
    (made / "tests").mkdir(parents=True)
    (made / "shares.py").write_text(CODE)
    (made / "pytest.ini").write_text("[pytest]\n")
    return made


def served(root: Path, agent: Callable[[ClientSession, Call], Awaitable[None]]) -> str:
    """Have ``agent`` work with a server in ``root``; what that said on its standard error."""
    told = root.parent / "told"

    async def session() -> None:
        parameters = StdioServerParameters(command=sys.executable, args=SERVER, env=dict(os.environ), cwd=root)
        with told.open("w") as errors:
            async with stdio_client(parameters, errors) as streams, ClientSession(*streams) as client:
                await client.initialize()

                async def call(tool: str, **arguments: Any) -> CallToolResult:
                    return await client.call_tool(tool, arguments)

                await agent(client, call)

    anyio.run(session)
    return told.read_text()


def test_an_agent_is_told_what_its_test_lacks_until_it_is_accepted_and_the_fix_is_kept(project: Path) -> None:
    test = project / "tests" / "test_shares.py"

    async def agent(client: ClientSession, call: Call) -> None:
        test.write_text(HOLLOW)
        seen = (await call("check_tests", test_file="tests/test_shares.py")).structuredContent
        assert seen is not None
        assert (seen["accepted"], seen["target_file"], seen["noticed"]) == (False, "shares.py", 0)
        assert [reason["code"] for reason in seen["reasons"]] == ["no_assertion_about_target", "no_mutant_killed"]
        assert "assert what the code returns" in seen["says"]
        assert any(each["line"] == 2 and "total * people" in each["says"] for each in seen["unnoticed"])

        told: list[float] = []

        async def tell(done: float, of: float | None, what: str | None) -> None:
            told.append(done)

        test.write_text(WRONG)
        seen = (await call("check_tests", test_file="tests/test_shares.py", target_file="shares.py")).structuredContent
        assert seen is not None
        assert (seen["accepted"], seen["verdict"]) == (False, "failed")
        assert any("2.25" in line for line in seen["failures"])

        test.write_text(RIGHT)
        both = {"test_file": "tests/test_shares.py", "target_file": "shares.py"}
        answer = await client.call_tool("check_tests", both, progress_callback=tell)
        seen = answer.structuredContent
        assert seen is not None
        assert (seen["accepted"], seen["reasons"], seen["noticed"] > 0) == (True, [], True)
        assert json.loads(answer.content[0].text) == seen  # type: ignore[union-attr]
        assert told
        assert told == sorted(set(told))

        seen = (await call("list_survivors", target_file="shares.py")).structuredContent
        assert seen is not None
        assert (seen["test_files"], seen["tried"] > seen["noticed"] > 0) == (["tests/test_shares.py"], True)
        assert {each["line"] for each in seen["unnoticed"] if not each["reached"]} == {6}

    assert "Attempts are kept" in served(project, agent)
    with TraceStore.open() as store:
        (summary,) = store.list_traces()
        trace = store.get_trace(summary.id)
        pairs = [(pair.failed_test, pair.fixed_test) for pair in store.pairs()]
    assert [(attempt.tests, attempt.accepted) for attempt in trace.attempts] == [
        (HOLLOW, False),
        (WRONG, False),
        (RIGHT, True),
    ]
    assert pairs == [(WRONG, RIGHT)]


def test_what_cannot_be_done_is_an_error_in_plain_words(project: Path) -> None:
    (project.parent / "test_elsewhere.py").write_text(RIGHT)
    (project / "tests" / "test_link.py").symlink_to(project.parent / "test_elsewhere.py")
    (project / "tests" / "test_shares.py").write_text(RIGHT)
    (project / "tests" / "test_alone.py").write_text("def test_alone():\n    assert 1 + 1 == 2\n")

    async def agent(client: ClientSession, call: Call) -> None:
        for tool, arguments, words in (
            ("check_tests", {"test_file": "../test_elsewhere.py"}, "is outside of"),
            ("check_tests", {"test_file": str(project.parent / "test_elsewhere.py")}, "--root FOLDER"),
            ("check_tests", {"test_file": "tests/test_link.py"}, "is outside of"),
            ("check_tests", {"test_file": "tests/test_shares.py", "target_file": "/etc/passwd"}, "is outside of"),
            ("list_survivors", {"target_file": "shares.py", "test_files": ["../test_elsewhere.py"]}, "is outside of"),
            ("write_tests", {"target_file": "../shares.py"}, "is outside of"),
            ("check_tests", {"test_file": "tests/test_none.py"}, "there is no file tests/test_none.py"),
            ("check_tests", {"test_file": "tests/test_alone.py"}, "test_alone.py could not be judged"),
            ("write_tests", {"target_file": "shares.py", "function": "third"}, "share, half"),
        ):
            answer = await call(tool, **arguments)
            said = answer.content[0].text  # type: ignore[union-attr]
            assert answer.isError, said
            assert words in said
            assert "Traceback" not in said
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(tools) == {"check_tests", "list_survivors", "write_tests"}
        assert all(tool.outputSchema and tool.description for tool in tools.values())

    served(project, agent)


def test_a_project_that_begins_above_the_root_is_refused_and_nothing_of_it_is_told(project: Path) -> None:
    test = project / "tests" / "test_shares.py"
    test.write_text(RIGHT)
    (project / "tests" / "helpers.py").write_text("def two():\n    return 2\n")

    async def agent(client: ClientSession, call: Call) -> None:
        for tool, arguments in (
            ("check_tests", {"test_file": "test_shares.py"}),
            ("check_tests", {"test_file": "test_shares.py", "target_file": "helpers.py"}),
            ("list_survivors", {"target_file": "helpers.py"}),
            ("write_tests", {"target_file": "helpers.py"}),
        ):
            answer = await call(tool, **arguments)
            said = answer.content[0].text  # type: ignore[union-attr]
            assert answer.isError, said
            assert f"{project}, is outside of {test.parent}" in said
            assert "with a higher folder: testing-crew mcp --root FOLDER" in said
            assert "total" not in said

    served(test.parent, agent)


def test_a_module_that_a_link_leads_out_to_is_refused(project: Path) -> None:
    (project / "shares.py").rename(project.parent / "shares.py")
    (project / "shares.py").symlink_to(project.parent / "shares.py")
    (project / "tests" / "test_shares.py").write_text(RIGHT)

    async def agent(client: ClientSession, call: Call) -> None:
        answer = await call("check_tests", test_file="tests/test_shares.py")
        said = answer.content[0].text  # type: ignore[union-attr]
        assert answer.isError, said
        assert "total" not in said

    served(project, agent)


def test_tests_are_written_to_a_new_file_and_only_where_they_are_accepted(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hollow = "from shares import half\n\n\ndef test_half():\n    half(3)\n"
    script = {"share(": [f"```python\n{RIGHT}```"], "half(": [f"```python\n{hollow}```"] * 3}
    (project.parent / "script.json").write_text(json.dumps(script))
    monkeypatch.setenv("TESTING_CREW_MODEL", f"scripted:{project.parent / 'script.json'}")
    mine = project / "tests" / "test_shares.py"
    mine.write_text("# mine\n")

    async def agent(client: ClientSession, call: Call) -> None:
        made = (await call("write_tests", target_file="shares.py", function="share")).structuredContent
        assert made is not None
        assert (made["accepted"], made["test_file"]) == (True, "tests/test_shares_share.py")
        assert made["tests"] == (project / "tests" / "test_shares_share.py").read_text()
        assert "assert share(9, 4) == 2.25" in made["tests"]

        made = (await call("write_tests", target_file="shares.py", function="half")).structuredContent
        assert made is not None
        assert (made["accepted"], made["test_file"]) == (False, None)
        assert "half(3)" in made["tests"]
        assert "no file was written" in made["says"]
        (half,) = made["units"]
        assert "no_assertion_about_target" in [reason["code"] for reason in half["reasons"]]

    served(project, agent)
    assert mine.read_text() == "# mine\n"
    assert sorted(file.name for file in (project / "tests").glob("*.py")) == ["test_shares.py", "test_shares_share.py"]


class Bare:
    """A client that speaks the protocol itself: every line of the server's standard output must be of it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        client = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "bare", "version": "1"}}
        self.send("initialize", client, 0)
        assert "result" in self.hear(0)
        self.send("notifications/initialized")

    def send(self, method: str, parameters: Any = None, number: int | None = None) -> None:
        message = {"jsonrpc": "2.0", "method": method, "params": parameters or {}}
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message if number is None else {**message, "id": number}) + "\n")
        self.process.stdin.flush()

    def hear(self, number: int) -> Any:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            message = json.loads(line)
            if message.get("id") == number:
                return message
        pytest.fail("the server ended")


def test_it_answers_while_it_works_and_ends_the_work_that_is_cancelled(project: Path) -> None:
    (project / "tests" / "test_shares.py").write_text(SLOW)
    (project / "tests" / "test_quick.py").write_text(RIGHT)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with children.started([sys.executable, *SERVER], cwd=project, **pipes) as process:
        bare = Bare(process)
        slow = {"name": "check_tests", "arguments": {"test_file": "tests/test_shares.py", "target_file": "shares.py"}}
        bare.send("tools/call", slow, 1)
        began = time.monotonic()
        while not psutil.Process(process.pid).children(recursive=True):
            assert time.monotonic() < began + 60
            time.sleep(0.1)
        bare.send("ping", number=2)
        assert bare.hear(2)["result"] == {}
        bare.send("notifications/cancelled", {"requestId": 1})
        assert "error" in bare.hear(1)
        began = time.monotonic()
        while psutil.Process(process.pid).children(recursive=True):
            assert time.monotonic() < began + 30, "the runs go on"  # all of them would take 40 s and more
            time.sleep(0.1)
        bare.send("tools/call", {"name": "check_tests", "arguments": {"test_file": "tests/test_quick.py"}}, 3)
        assert bare.hear(3)["result"]["structuredContent"]["accepted"]
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(60) == 0


def test_an_interrupt_ends_it_while_the_client_is_still_there(project: Path) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with children.started([sys.executable, *SERVER], cwd=project, **pipes) as process:
        Bare(process)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


def test_without_the_package_the_command_says_what_to_install(project: Path) -> None:
    start = "import sys; sys.modules['mcp'] = None; from self_improve.cli.app import main; main(['mcp'])"
    made = children.run([sys.executable, "-c", start], cwd=project)
    assert (made.returncode, made.stdout) == (2, "")
    assert "pip install 'testing-crew[mcp]'" in made.stderr
    assert "Traceback" not in made.stderr
    nowhere = children.run([sys.executable, *SERVER, "--root", "nowhere"], cwd=project)
    assert (nowhere.returncode, "there is no folder nowhere" in nowhere.stderr) == (2, True)
