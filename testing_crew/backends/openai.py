"""Models of any OpenAI-compatible server (vLLM, llama-server, LM Studio, a hosted API), through the official client."""

from __future__ import annotations

import os
import re
import threading
import time
from typing import Any, Literal

from testing_crew.backends.base import MIN_ANSWER, Completion, ModelConfig, Sampling
from testing_crew.backends.ollama import CONNECT_SECONDS, through_proxy
from testing_crew.backends.ref import ModelRef
from testing_crew.errors import (
    BackendUnavailable,
    ConfigError,
    GenerationFailed,
    PromptTooLong,
    TestingCrewError,
    UnknownModel,
)
from testing_crew.prompt import PROMPT_VERSION

_NO_ROOM = re.compile(r"context[ _](length|window|size)")
# Not in OpenAI's API, but llama.cpp's and vLLM's servers shape the text by them unless they are told not to.
_NEUTRAL = {"top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0, "repetition_penalty": 1.0}
_CONTEXT_KEYS = ("max_model_len", "max_context_length", "context_length")  # vLLM, LM Studio, OpenRouter


def server_url(config: ModelConfig) -> str | None:
    """Return the server that the user named: ``base_url``, else ``OPENAI_BASE_URL``. There is no default."""
    url = config.base_url or os.environ.get("OPENAI_BASE_URL")
    return url.rstrip("/") if url else None


def _client(url: str, *, connect: float, read: float) -> Any:
    import httpx
    import openai

    timeout = httpx.Timeout(read, connect=connect)
    return openai.OpenAI(
        base_url=url,
        api_key=os.environ.get("OPENAI_API_KEY") or "none",  # local servers want none, the client insists on one
        max_retries=1,
        timeout=timeout,
        http_client=openai.DefaultHttpxClient(trust_env=through_proxy(url), timeout=timeout),
    )


def _said(error: Any) -> str:
    """Return the server's own message, in one line."""
    body = error.body if isinstance(error.body, dict) else {}
    text = body.get("message") or body.get("detail") or error.message
    return " ".join(str(text).split())[:300]


def served(config: ModelConfig, *, seconds: float) -> list[str]:
    """List the model ids of the named server if it answers within ``seconds``; an empty list if not."""
    import openai

    url = server_url(config)
    if url is None or not url.startswith(("http://", "https://")):
        return []
    client = _client(url, connect=seconds, read=seconds).with_options(max_retries=0)
    try:
        return [model.id for model in client.models.list().data or []]
    except (openai.OpenAIError, ValueError, AttributeError):  # the last two: an answer that is no list of models
        return []
    finally:
        client.close()


_Way = tuple[str, str, dict[str, Any]]  # the API, the name of its limit, the neutral settings that it takes


class OpenAIBackend:
    """One model of an OpenAI-compatible server, looked up once when it is opened."""

    prompt_version: int = PROMPT_VERSION

    def __init__(self, ref: ModelRef, config: ModelConfig) -> None:
        url = server_url(config)
        if url is None:
            raise ConfigError(
                f"{ref.tag} needs a server, and nothing is sent anywhere until you name one",
                hint="set base_url under [server] in testing_crew.toml, or OPENAI_BASE_URL: "
                '"http://localhost:8000/v1"; for OpenAI itself "https://api.openai.com/v1"',
            )
        if not url.startswith(("http://", "https://")):
            raise ConfigError(f"{url!r} is not a server's URL", hint='write it like "http://localhost:8000/v1"')
        self.tag = ref.tag
        self.concurrency = config.concurrency or 4
        self.revision = ref.name
        self.context: int | None = None
        self._name = ref.name
        self._url = url
        self._seconds = config.timeout_seconds
        self._api: Literal["auto", "chat", "completions"] = config.api
        self._limit_name = "max_tokens"
        self._neutral = dict(_NEUTRAL)
        self._client = _client(url, connect=CONNECT_SECONDS, read=config.timeout_seconds)
        self._ids: list[str] = []
        self._lock = threading.Lock()  # several threads may learn at once what the server takes
        try:
            self._look_up()
        except BaseException:
            self.close()
            raise

    def _look_up(self) -> None:
        import openai

        try:
            models = self._client.models.list().data or []
        except openai.NotFoundError:
            return  # a server need not list its models; a wrong URL shows at the first prompt
        except openai.APIStatusError as error:
            raise self._refused(error) from error
        except openai.APIConnectionError as error:
            raise BackendUnavailable(
                f"no OpenAI-compatible server answers at {self._url}",
                hint="start it, or correct base_url under [server]",
            ) from error
        except (openai.OpenAIError, ValueError, AttributeError) as error:  # an answer that is no list of models
            raise self._alien() from error
        self._ids = [model.id for model in models]
        mine = next((model for model in models if model.id == self._name), None)
        if mine is not None:
            extra = {**(mine.model_extra or {})}
            self.context = next((extra[key] for key in _CONTEXT_KEYS if isinstance(extra.get(key), int)), None)
        elif self._ids:
            # Some servers take names that they do not list: one token settles it, before any real work is sent.
            self._send("#", Sampling(max_tokens=1))

    def _alien(self) -> BackendUnavailable:
        return BackendUnavailable(
            f"what answers at {self._url} is not an OpenAI-compatible API",
            hint="base_url under [server] usually ends in /v1",
        )

    def _refused(self, error: Any) -> TestingCrewError:
        """Translate a status of 4xx or 5xx into what it means to the user."""
        said, code = _said(error), error.status_code
        about_model = "model" in said.lower() and "template" not in said.lower()
        if code in (401, 403):
            return BackendUnavailable(f"{self._url} refuses the API key ({code}: {said})", hint="set OPENAI_API_KEY")
        if code == 404 and about_model:
            there = ", ".join(self._ids) or "it does not say which"
            return UnknownModel(f"{self._url} has no model {self._name}", hint=f"its models: {there}")
        if code == 404:
            return self._alien()
        if code == 400 and _NO_ROOM.search(said.lower()):
            return PromptTooLong(f"{self.tag}: {said}", hint="give it a smaller function or class")
        return GenerationFailed(f"{self._url} answered {code}: {said}")

    def count_tokens(self, text: str) -> None:
        """None: the API does not tokenize."""
        return None

    def _way(self) -> _Way:
        return self._api, self._limit_name, dict(self._neutral)

    def _request(self, prompt: str, sampling: Sampling, way: _Way) -> Any:
        api, limit_name, neutral = way
        settings: dict[str, Any] = {
            "model": self._name,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
            limit_name: sampling.max_tokens,
            "extra_body": neutral,
        }
        if sampling.stop:
            settings["stop"] = list(sampling.stop)
        if api == "completions":
            return self._client.completions.create(prompt=prompt, **settings)
        return self._client.chat.completions.create(messages=[{"role": "user", "content": prompt}], **settings)

    def _adapts(self, error: Any) -> bool:
        """Whether the server's refusal names another way to ask, which is then kept."""
        said = _said(error).lower()
        renamed = "max_completion_tokens" in said and "supported" in said
        if renamed and self._api != "completions" and self._limit_name == "max_tokens":
            self._limit_name = "max_completion_tokens"
            return True
        if error.status_code in (400, 422) and self._neutral:
            named = [key for key in self._neutral if key in said]
            refused = named or (list(self._neutral) if re.search("unrecognized|unknown|unexpected|extra", said) else [])
            for key in refused:
                del self._neutral[key]
            if refused:
                return True
        no_template = "chat template" in said or "chat_template" in said
        no_chat = error.status_code == 404 and "model" not in said
        if self._api == "auto" and (no_template or no_chat):
            self._api = "completions"
            return True
        return False

    def _send(self, prompt: str, sampling: Sampling) -> Any:
        import openai

        while True:
            way = self._way()
            try:
                return self._request(prompt, sampling, way)
            except openai.APIStatusError as error:
                with self._lock:
                    if way != self._way() or self._adapts(error):
                        continue
                refused = self._refused(error)
                if isinstance(refused, PromptTooLong) and sampling.max_tokens > MIN_ANSWER:
                    # Some servers refuse when prompt and limit together do not fit, though the answer might be short.
                    sampling = sampling.model_copy(update={"max_tokens": max(sampling.max_tokens // 2, MIN_ANSWER)})
                    continue
                raise refused from error
            except openai.APITimeoutError as error:
                raise GenerationFailed(f"{self.tag} did not answer within {self._seconds:g} s") from error
            except openai.APIConnectionError as error:
                raise GenerationFailed(f"the connection to {self._url} broke off") from error
            except (openai.OpenAIError, ValueError) as error:
                raise GenerationFailed(f"{self._url} sent an answer that cannot be read: {error}") from error

    def complete(self, prompt: str, sampling: Sampling) -> Completion:
        """Continue ``prompt``; see ``Backend.complete``."""
        started = time.monotonic()
        answer = self._send(prompt, sampling)
        choices = getattr(answer, "choices", None)
        if not choices:  # some gateways report an error with status 200
            error = getattr(answer, "error", None)
            raise GenerationFailed(f"{self._url} sent an answer without a text" + (f": {error}" if error else ""))
        choice = choices[0]
        text = choice.text if hasattr(choice, "text") else choice.message.content
        finish: Literal["stop", "length"] = "length" if choice.finish_reason == "length" else "stop"
        return Completion(
            text=text or "",
            prompt_tokens=answer.usage.prompt_tokens if answer.usage else None,
            completion_tokens=answer.usage.completion_tokens if answer.usage else None,
            finish=finish,
            seconds=time.monotonic() - started,
        )

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
