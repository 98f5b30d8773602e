"""The server of ``testing-crew mcp``: a coding agent asks over MCP whether tests are worth keeping, and has some written.

Standard output belongs to the protocol: what anything else prints there goes to standard error.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.to_thread
from mcp.server.fastmcp import Context, FastMCP
from mcp.types import ToolAnnotations

from testing_crew.answers.judging import Answers
from testing_crew.answers.records import Checked, Survivors, Written
from testing_crew.suite.cache import made_by
from testing_crew.suite.pair import Tell

_EVERY_SECONDS = 0.5  # that progress is told
_INSTRUCTIONS = """\
Run check_tests after you have written or changed a pytest file: passing is not enough, the tests must notice when the code is \
wrong. Mend what it says and check again until it is accepted. list_survivors shows which changes of a module no test notices. \
Paths are relative to the root of this server. Checks take seconds to minutes."""

Made = TypeVar("Made")
Ctx = Context[Any, Any, Any]


@dataclass
class Told:
    """What a piece of work in a thread tells of itself; it ends at its next word once ``stopped``."""

    stopped: bool = False
    what: str = ""
    counts: dict[str, tuple[int, int]] = field(default_factory=dict)

    def __call__(self, what: str, done: int, of: int) -> None:
        if self.stopped:
            raise KeyboardInterrupt("cancelled by the client")  # which ends the runs that are at work, too
        self.what = what
        self.counts[what] = done, of

    async def report(self, ctx: Ctx) -> None:
        """Tell the client, where it asked for that. What is told of it must always rise."""
        last = 0
        while True:
            await anyio.sleep(_EVERY_SECONDS)
            done, of = (sum(counts) for counts in zip(*self.counts.values(), strict=True)) if self.counts else (0, 0)
            if done > last:
                last = done
                await ctx.report_progress(done, of, self.what)


class Desk:
    """One piece of work at a time, in a thread, so that the server still answers. ``busy``: how many have not ended."""

    def __init__(self, root: Path) -> None:
        self.answers = Answers(root)
        self.busy = 0
        self._one = anyio.Lock()

    async def do(self, ctx: Ctx, work: Callable[[Answers, Tell], Made]) -> Made:
        """Have ``work`` done; its errors are raised as they are. Cancelled, it ends soon after."""
        told = Told()

        def counted() -> Made:
            self.busy += 1
            try:
                return work(self.answers, told)
            finally:
                self.busy -= 1

        trouble: Exception | None = None
        made: list[Made] = []
        async with self._one, anyio.create_task_group() as group:
            group.start_soon(told.report, ctx)
            try:
                made.append(await anyio.to_thread.run_sync(counted, abandon_on_cancel=True))
            except Exception as error:  # in the group it would become a group of errors
                trouble = error
            except anyio.get_cancelled_exc_class():
                told.stopped = True
                self.answers.stop()
                raise
            group.cancel_scope.cancel()
        if trouble is not None:
            raise trouble
        return made[0]


def server_for(desk: Desk) -> FastMCP[None]:
    """The server with its tools, for which ``desk`` has the work done."""
    server: FastMCP[None] = FastMCP("testing-crew", _INSTRUCTIONS, log_level="WARNING", lifespan=_printing_elsewhere)
    server._mcp_server.version = made_by().rpartition(" ")[2]  # else it is the library's
    looking = ToolAnnotations(readOnlyHint=True, openWorldHint=False)
    adding = ToolAnnotations(readOnlyHint=False, destructiveHint=False, openWorldHint=True)

    @server.tool(annotations=looking)
    async def check_tests(ctx: Ctx, test_file: str, target_file: str | None = None) -> Checked:
        """Judge a pytest file: it must pass every time, and notice when the code that it tests is changed.

        It is run in a sandbox, many times and against small changes of target_file, the module that it tests; that is found by
        itself where it is not given. Says whether the file is accepted, why not and how to mend it, which tests failed, and which
        changes of the code went unnoticed.
        """
        return await desk.do(ctx, lambda answers, tell: answers.check(test_file, target_file, tell))

    @server.tool(annotations=looking)
    async def list_survivors(ctx: Ctx, target_file: str, test_files: list[str] | None = None) -> Survivors:
        """List the small changes of a module that no test notices, each with its line, its text before and after.

        test_files are those to run; all that import the module where none are given. Each change is a test that is missing.
        """
        return await desk.do(ctx, lambda answers, tell: answers.survivors(target_file, test_files, tell))

    @server.tool(annotations=adding)
    async def write_tests(ctx: Ctx, target_file: str, function: str | None = None) -> Written:
        """Have the configured model write a pytest file for a module, or for one function or class of it, and repair it.

        Takes minutes. A file is written only where it is accepted, under a name that is not taken. What it says of the functions
        without tests is for you to do.
        """
        return await desk.do(ctx, lambda answers, tell: answers.write(target_file, function, tell))

    return server


def serve(root: Path) -> None:
    """Serve the client at standard input and output until it closes them."""
    given, said = os.dup(0), os.dup(1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # what we start must not read the client's words
    os.dup2(2, 1)
    sys.stdin, sys.stdout = TextIOWrapper(os.fdopen(given, "rb")), TextIOWrapper(os.fdopen(said, "wb"))
    signal.signal(signal.SIGINT, _end)
    desk = Desk(root)
    server_for(desk).run("stdio")
    if desk.busy:
        os._exit(0)  # the client is gone: a model that still answers in its thread is not waited for


def _end(number: int, frame: object) -> None:
    """End at once on Ctrl-C: the thread that reads the client's words would else be waited for. What we started ends with us."""
    os.write(2, b"stopped\n")
    os._exit(130)


@asynccontextmanager
async def _printing_elsewhere(server: FastMCP[None]) -> AsyncIterator[None]:
    """Standard output is standard error from here on: by now the protocol has its own."""
    kept = sys.stdin, sys.stdout
    with open(os.devnull) as nothing:
        sys.stdin, sys.stdout = nothing, sys.stderr
        try:
            yield
        finally:
            sys.stdin, sys.stdout = kept
