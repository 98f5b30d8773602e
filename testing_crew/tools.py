"""Tools for people's own CrewAI crews: write tests, check tests."""

from __future__ import annotations

import json

from pydantic import BaseModel, Field

from testing_crew.check import check_source
from testing_crew.crew import TestingCrew
from testing_crew.repair.agents import BaseTool


class _Code(BaseModel):
    target_code: str = Field(description="The Python source to be tested, word for word")
    target_file: str = Field(default="snippet.py", description="The file that the source stands in, if any")


class _CodeAndTests(_Code):
    test_code: str = Field(description="The whole pytest file, word for word")


class WriteTestsTool(BaseTool):
    """For people's own crews: writes and repairs a pytest file and returns it with its verdict, as JSON."""

    name: str = "write_tests"
    description: str = (
        "Write a pytest file for Python code, run it, and repair it until it passes and checks something."
    )
    args_schema: type[BaseModel] = _Code
    model: str | None = None
    max_iterations: int = 3

    def _run(self, target_code: str, target_file: str = "snippet.py") -> str:
        crew = TestingCrew(self.model, self.max_iterations)
        last = list(crew.run(target_code, target_file))[-1]
        return json.dumps({key: last[key] for key in ("success", "iterations", "message", "final_tests", "trace_id")})


class CheckTestsTool(BaseTool):
    """For people's own crews: runs a pytest file in the sandbox and says whether it holds and checks something, as JSON."""

    name: str = "check_tests"
    description: str = (
        "Run a pytest file against its code in a sandbox: verdict, whether it is accepted, and the failures."
    )
    args_schema: type[BaseModel] = _CodeAndTests

    def _run(self, test_code: str, target_code: str, target_file: str = "snippet.py") -> str:
        return json.dumps(check_source(test_code, target_code, target_file))
