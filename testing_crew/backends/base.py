"""What every backend is: a prompt goes in, a completion comes out, and it says exactly what served it."""

from __future__ import annotations

from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from testing_crew.errors import PromptTooLong

MIN_ANSWER = 64  # tokens; with less room than this no test file fits, so the prompt counts as too long


class Settings(BaseModel):
    """A frozen group of settings that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Sampling(Settings):
    """How the next token is chosen. Nothing else shapes the choice: no top-k, no penalties, on every backend."""

    temperature: float = Field(
        default=0.0,
        ge=0.0,
        le=2.0,
        description="0 takes the likeliest token; a prompt that is asked again gets at least 0.7.",
    )
    top_p: float = Field(
        default=0.95,
        gt=0.0,
        le=1.0,
        description="The likeliest tokens that together have this probability are drawn from.",
    )
    seed: int = Field(  # llama.cpp reads 2**32 - 1 as "any seed"
        default=0, ge=0, lt=2**32 - 1, description="The same seed draws the same answer, where the server keeps to it."
    )
    max_tokens: int = Field(default=1024, ge=1, description="The longest answer, in tokens.")
    stop: tuple[str, ...] = Field(default=(), description="Texts that end an answer.")


class ModelConfig(Settings):
    """Where and how a model is served."""

    base_url: str | None = Field(
        default=None,
        description="The server of `openai/NAME`, up to `/v1` (else `OPENAI_BASE_URL`), or Ollama's (else `OLLAMA_HOST`).",
    )
    api: Literal["auto", "chat", "completions"] = Field(
        default="auto",
        description="How an OpenAI-compatible server is asked: `chat`, `completions`, or `auto` for what it has.",
    )
    concurrency: int | None = Field(
        default=None,
        ge=1,
        le=64,
        description="How many requests a server is sent side by side, of different functions; if not set, 4, and 1 for Ollama, "
        "in whose queue they would wait against `timeout_seconds`.",
    )
    timeout_seconds: float = Field(default=600.0, gt=0.0, description="How long an answer may take.")
    max_context: int = Field(
        default=8192,
        ge=256,
        description="The most tokens of context that are asked of a server or a file that could have more.",
    )


class Completion(Settings):
    """One answer. A count is None where the server does not give it."""

    text: str
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    finish: Literal["stop", "length"]
    seconds: float


def room_for_answer(tag: str, context: int, prompt_tokens: int, sampling: Sampling) -> int:
    """How many tokens an answer may have. Raises PromptTooLong where they are too few for a test file."""
    room = context - prompt_tokens
    if room < min(sampling.max_tokens, MIN_ANSWER):
        raise PromptTooLong(
            f"the prompt has {prompt_tokens} tokens, and {tag} takes {context} with the answer",
            hint="give it a smaller function or class, or use a model with a longer context",
        )
    return room


class Backend(Protocol):
    """One model, ready to answer. It is opened once and reused; ``close`` frees what it holds."""

    @property
    def tag(self) -> str:
        """The tag that it was opened by."""
        ...

    @property
    def revision(self) -> str:
        """What is really served: twelve digits of the file's sha256 or of Ollama's digest, or a server's model id."""
        ...

    @property
    def context(self) -> int | None:
        """How many tokens prompt and answer may have together, where it is known."""
        ...

    @property
    def prompt_version(self) -> int:
        """The version of the prompt (``testing_crew.prompt``) that the model was trained on; the newest for others' models."""
        ...

    def complete(self, prompt: str, sampling: Sampling) -> Completion:
        """Continue ``prompt``, to which nothing is added but the model's own chat template, if it has one."""
        ...

    def count_tokens(self, text: str) -> int | None:
        """How many tokens ``text`` has, or None where only the server knows."""
        ...

    def close(self) -> None:
        """Free the model or the connection; calling it twice is harmless."""
        ...
