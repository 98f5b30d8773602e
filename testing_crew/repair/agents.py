"""The one door to CrewAI: our model as its LLM, and the agents that write and repair. Others take CrewAI's names from here.

CrewAI keeps nothing of what it is asked here: what is worth keeping is in the trace store.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, contextmanager
from contextvars import copy_context
from pathlib import Path
from typing import Any

# Nothing leaves the machine: CrewAI reads these when it is imported, so they are set before.
for _name, _value in {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_DISABLE_TRACKING": "true",
    "CREWAI_DISABLE_VERSION_CHECK": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "OTEL_SDK_DISABLED": "true",
}.items():
    os.environ.setdefault(_name, _value)


@contextmanager
def _no_files_made() -> Iterator[None]:
    """Import CrewAI without a trace of it: it makes folders, settings and a key in the home folder as it is imported.

    They go to a folder that is removed. What CrewAI remembers of the place is put right afterwards, for people's own crews.
    Where CrewAI is imported already, it is theirs, and nothing is done.
    """
    if "crewai" in sys.modules:
        yield
        return
    import appdirs  # type: ignore[import-untyped]
    from crewai_core import paths, settings
    from crewai_core.token_manager import TokenManager

    before = {name: os.environ.get(name) for name in ("CREWAI_STORAGE_DIR", "CREWAI_TESTING")}
    config, credentials = settings.DEFAULT_CONFIG_PATH, TokenManager._get_secure_storage_path
    with tempfile.TemporaryDirectory(prefix="testing-crew-", ignore_cleanup_errors=True) as folder:
        os.environ.update(CREWAI_STORAGE_DIR=folder, CREWAI_TESTING="true")  # when "testing", it asks for no consent
        settings.DEFAULT_CONFIG_PATH = Path(folder, config.name)
        TokenManager._get_secure_storage_path = staticmethod(lambda: Path(folder))  # type: ignore[method-assign]
        try:
            yield
        finally:
            settings.DEFAULT_CONFIG_PATH = config
            TokenManager._get_secure_storage_path = staticmethod(credentials)  # type: ignore[method-assign]
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})
    own = appdirs.user_data_dir(paths.get_project_directory_name(), "CrewAI")
    for module in [m for name, m in sys.modules.items() if name.startswith("crewai.")]:
        for name, value in list(vars(module).items()):
            if isinstance(value, str) and value.startswith(folder):
                setattr(module, name, own + value.removeprefix(folder))


with _no_files_made():
    from crewai import Agent, Task
    from crewai.events.listeners.tracing import utils as tracing
    from crewai.llms.base_llm import BaseLLM
    from crewai.tools import BaseTool

from pydantic import PrivateAttr  # noqa: E402

from testing_crew.backends.base import Backend, Completion, Sampling  # noqa: E402
from testing_crew.backends.many import complete_many  # noqa: E402
from testing_crew.errors import TestingCrewError  # noqa: E402
from testing_crew.repair.loop import Ask  # noqa: E402

__all__ = ["AgentWriter", "BaseTool", "PromptLLM"]


class PromptLLM(BaseLLM):
    """A backend as a CrewAI model. The task's description is the prompt; the persona around it never reaches the model."""

    llm_type: str = "testing_crew"
    _backend: Backend = PrivateAttr()
    _completion: Completion | None = PrivateAttr(default=None)
    _was_told: bool = PrivateAttr(default=False)

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
        if self._completion is None and self._was_told:
            return "\n"  # interrupted: the model is not asked behind anybody's back
        if self._completion is None:
            prompt = from_task.description if from_task is not None else _last_text(messages)
            return self._backend.complete(prompt, Sampling()).text or "\n"
        # CrewAI takes an empty answer for a fault of the provider and asks again; to us it is an answer without code.
        return self._completion.text or "\n"

    def tell(self, kickoff: Callable[[], Any], completion: Completion) -> None:
        """Run a task whose model this is, and which is answered with ``completion``."""
        self._completion, self._was_told = completion, True
        context = copy_context()
        # Else CrewAI looks in the home folder for whether a person was asked yet, and collects for its first-time traces.
        context.run(tracing._first_time_trace_hook.set, lambda: False)
        try:
            _in_a_thread(lambda: context.run(kickoff))
        finally:
            self._completion = None

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


def _in_a_thread(work: Callable[[], Any]) -> None:
    """Run ``work`` in a thread of its own: CrewAI refuses to block an event loop, and holds an interrupt back until the end."""
    done: Future[None] = Future()

    def run() -> None:
        try:
            work()
            done.set_result(None)
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    done.result()


class AgentWriter:
    """Two CrewAI agents over one model: one writes first files and further tests, the other repairs."""

    def __init__(self, backend: Backend) -> None:
        self.tag = backend.tag
        self.revision = backend.revision
        self.prompt_version = backend.prompt_version
        self._backend = backend
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

    def write_many(self, asks: Sequence[Ask]) -> Iterator[Completion | TestingCrewError]:
        """See `Writer`. The model is asked for all at once; each answer goes through an agent and a task of its own."""
        prompts = [(ask.prompt, ask.sampling) for ask in asks]
        with closing(complete_many(self._backend, prompts)) as answers:
            for ask, answer in zip(asks, answers, strict=True):
                if not isinstance(answer, TestingCrewError):
                    self._told(ask, answer)
                yield answer

    def _told(self, ask: Ask, answer: Completion) -> None:
        agent = self._repairer if ask.kind == "repair" else self._writer
        # Without a Crew around it: a Crew writes what its tasks put out to a database in the user's data folder.
        task = Task(description=ask.prompt, expected_output="A pytest file, raw", agent=agent)
        self._llm.tell(lambda: agent.execute_task(task), answer)
