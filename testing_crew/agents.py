"""The one door to CrewAI: our model as its LLM, and the agents that write and repair. Others take CrewAI's names from here."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

# Nothing leaves the machine: CrewAI reads these when it is imported, so they are set before.
for _name, _value in {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_DISABLE_TRACKING": "true",
    "CREWAI_DISABLE_VERSION_CHECK": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "OTEL_SDK_DISABLED": "true",
}.items():
    os.environ.setdefault(_name, _value)

from crewai import Agent, Crew, Process, Task  # noqa: E402
from crewai.llms.base_llm import BaseLLM  # noqa: E402
from crewai.tools import BaseTool  # noqa: E402
from pydantic import PrivateAttr  # noqa: E402

from testing_crew.backends.base import Backend, Completion, Sampling  # noqa: E402
from trace_logger.records import AttemptKind  # noqa: E402

__all__ = ["AgentWriter", "BaseTool", "PromptLLM"]

T = TypeVar("T")


class PromptLLM(BaseLLM):
    """A backend as a CrewAI model. The task's description is the prompt; the persona around it never reaches the model."""

    llm_type: str = "testing_crew"
    _backend: Backend = PrivateAttr()
    _sampling: Sampling = PrivateAttr(default_factory=Sampling)
    _completion: Completion | None = PrivateAttr(default=None)
    _error: Exception | None = PrivateAttr(default=None)

    @classmethod
    def over(cls, backend: Backend) -> PromptLLM:
        """A model that asks ``backend``."""
        made = cls(model=backend.tag, provider="testing_crew")
        made._backend = backend
        return made

    def call(
        self,
        messages: Any,
        tools: Any = None,
        callbacks: Any = None,
        available_functions: Any = None,
        from_task: Any = None,
        from_agent: Any = None,
        response_model: Any = None,
    ) -> str:
        """Answer the task's own text."""
        prompt = from_task.description if from_task is not None else _last_text(messages)
        try:
            self._completion = self._backend.complete(prompt, self._sampling)
        except Exception as error:
            self._error = error  # raised by ``answer``: CrewAI would print it, and ask again
            return "\n"
        # CrewAI takes an empty answer for a fault of the provider and asks again; to us it is an answer without code.
        return self._completion.text or "\n"

    def answer(self, kickoff: Callable[[], Any], sampling: Sampling) -> Completion:
        """Run a crew whose model this is and return what the backend said, or raise what it raised."""
        self._sampling, self._completion, self._error = sampling, None, None
        _off_the_loop(kickoff)
        if self._error is not None:
            raise self._error
        assert self._completion is not None
        return self._completion

    def supports_function_calling(self) -> bool:
        """No: tools are for people's own crews."""
        return False

    def supports_stop_words(self) -> bool:
        """No: a stop word of CrewAI's would cut a test file."""
        return False

    def get_context_window_size(self) -> int:
        """The backend checks the length itself and says so; CrewAI must not shorten the prompt before that."""
        return 10**9

    def get_input_tokens_count(self, messages: Any, tools: Any = None, response_model: Any = None) -> int:
        """Tokens of the prompt where the backend can count them, else 0."""
        return self._backend.count_tokens(_last_text(messages)) or 0


def _last_text(messages: Any) -> str:
    return messages if isinstance(messages, str) else str(messages[-1].get("content", ""))


def _off_the_loop(work: Callable[[], T]) -> T:
    """Run ``work`` here, or in a thread of its own where an event loop runs: CrewAI refuses to block one."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work()
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


class AgentWriter:
    """Two CrewAI agents over one model: one writes first files and further tests, the other repairs."""

    def __init__(self, backend: Backend) -> None:
        self.tag = backend.tag
        self.revision = backend.revision
        self.prompt_version = backend.prompt_version
        self._llm = PromptLLM.over(backend)
        self._writer = self._agent("Test writer", "Write a pytest file for the code under test")
        self._repairer = self._agent("Test repairer", "Mend the tests that failed, from what pytest said")

    def _agent(self, role: str, goal: str) -> Agent:
        return Agent(
            role=role,
            goal=goal,
            backstory="You know the code only from what you are shown.",
            llm=self._llm,
            allow_delegation=False,
            max_retry_limit=0,
            verbose=False,
        )

    def write(self, kind: AttemptKind, prompt: str, sampling: Sampling) -> Completion:
        """Answer ``prompt`` by a crew of one agent and one task. Raises GenerationFailed when the backend does."""
        agent = self._repairer if kind == "repair" else self._writer
        task = Task(description=prompt, expected_output="A pytest file, raw", agent=agent)
        crew = Crew(agents=[agent], tasks=[task], process=Process.sequential, verbose=False, tracing=False)
        return self._llm.answer(crew.kickoff, sampling)
