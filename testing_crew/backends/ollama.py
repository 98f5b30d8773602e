"""Models of an Ollama server, through the official client."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any, Literal
from urllib.parse import urlsplit

from testing_crew.backends import trained
from testing_crew.backends.base import Completion, ModelConfig, Sampling
from testing_crew.backends.ref import ModelRef
from testing_crew.errors import BackendUnavailable, ConfigError, GenerationFailed, PromptTooLong, UnknownModel

DEFAULT_HOST = "http://127.0.0.1:11434"
CONNECT_SECONDS = 5.0
_LOOPBACK = {"localhost", "127.0.0.1", "::1", "0.0.0.0"}


def host_url(config: ModelConfig) -> str:
    """Return the server's address: ``base_url``, else ``OLLAMA_HOST``, else Ollama's own default."""
    host = config.base_url or os.environ.get("OLLAMA_HOST") or DEFAULT_HOST
    # Ollama's own reading: a bare host is http on its port.
    url = host if "://" in host else f"http://{host}"
    try:
        port, name = urlsplit(url).port, urlsplit(url).hostname
    except ValueError:
        port, name = None, None
    if not name or not url.startswith(("http://", "https://")):
        raise ConfigError(
            f"{host!r} is not the address of a server", hint=f"write it like {DEFAULT_HOST}, in base_url or OLLAMA_HOST"
        )
    url = url.rstrip("/")
    return url if port or "://" in host else f"{url}:11434"


def through_proxy(url: str) -> bool:
    """Whether a proxy of the environment may be used: never for a server on this machine."""
    return urlsplit(url).hostname not in _LOOPBACK


def _client(config: ModelConfig, *, connect: float, read: float) -> Any:
    import httpx
    import ollama

    url = host_url(config)
    return ollama.Client(host=url, timeout=httpx.Timeout(read, connect=connect), trust_env=through_proxy(url))


def must_answer(config: ModelConfig) -> None:
    """Raise BackendUnavailable where no Ollama answers at the configured address."""
    client = _client(config, connect=CONNECT_SECONDS, read=CONNECT_SECONDS)
    try:
        _ask(client, host_url(config), None)
    finally:
        client.close()


def connected(config: ModelConfig) -> Any:
    """The official client for the configured server."""
    return _client(config, connect=CONNECT_SECONDS, read=config.timeout_seconds)


def _ask(client: Any, url: str, name: str | None) -> tuple[dict[str, str], Any]:
    """Fetch the server's tags with their digests, and what it shows of ``name``; or say who is missing."""
    import httpx
    import ollama

    try:
        tags = {model.model: model.digest or "" for model in client.list().models if model.model}
        if name is None:
            return tags, None
        try:
            return tags, client.show(name)
        except ollama.ResponseError as error:
            if error.status_code not in (400, 404):
                raise BackendUnavailable(f"Ollama at {url} cannot show {name}: {error.error}") from error
            there = ", ".join(sorted(tags)) or "no model at all"
            raise UnknownModel(f"Ollama at {url} has no {name}; it has {there}", hint=f"ollama pull {name}") from error
    except (ConnectionError, httpx.TransportError) as error:
        raise BackendUnavailable(f"Ollama does not answer at {url}", hint="start it: ollama serve") from error
    except (ollama.ResponseError, TypeError, ValueError) as error:  # the last two: JSON of another shape, or none
        status = f" (HTTP {error.status_code})" if isinstance(error, ollama.ResponseError) else ""
        raise BackendUnavailable(
            f"what answers at {url} is not Ollama{status}",
            hint="check base_url under [server], or OLLAMA_HOST; the server of an openai/ model is not Ollama",
        ) from error


def served(config: ModelConfig, *, seconds: float) -> list[str]:
    """List the tags of the server if it answers within ``seconds``; an empty list if not."""
    client = _client(config, connect=seconds, read=seconds)
    try:
        return sorted(_ask(client, host_url(config), None)[0])
    except BackendUnavailable:
        return []
    finally:
        client.close()


def _is_bare(shown: Any) -> bool:
    """Whether the model takes the text as it is: it has no template, and none of Ollama's built-in renderers."""
    template = (shown.template or "").strip()
    renderer = any(line.startswith("RENDERER ") for line in (shown.modelfile or "").splitlines())
    return template.replace(" ", "") in ("", "{{.Prompt}}") and not renderer


def _context(shown: Any, most: int) -> int | None:
    """Choose the context: what the model was published with, else what it was trained with, up to ``most``."""
    for line in (shown.parameters or "").splitlines():
        name, _, value = line.partition(" ")
        if name == "num_ctx" and value.strip().isdigit():
            return int(value)
    info = shown.modelinfo or {}
    trained = info.get(f"{info.get('general.architecture')}.context_length")
    return min(trained, most) if isinstance(trained, int) else None


class OllamaBackend:
    """One model of an Ollama server, looked up once when it is opened."""

    def __init__(self, ref: ModelRef, config: ModelConfig) -> None:
        self.tag = ref.tag
        self.concurrency = config.concurrency or 1
        self._name = f"{ref.name}:{ref.label}"
        self._url = host_url(config)
        self._seconds = config.timeout_seconds
        self._client = connected(config)
        try:
            tags, shown = _ask(self._client, self._url, self._name)
        except BaseException:
            self.close()
            raise
        digests = {tag.casefold(): digest for tag, digest in tags.items()}
        digest = digests.get(self._name.casefold(), "").removeprefix("sha256:")
        self.revision = digest[:12] or "unknown"
        self.context = _context(shown, config.max_context)
        self._raw = _is_bare(shown)
        noted = (shown.modelinfo or {}).get(trained.KEY)
        self.prompt_version: int = trained.prompt_version({} if noted is None else {"prompt_version": noted}, self.tag)
        self._thinks = "thinking" in (shown.capabilities or [])

    def count_tokens(self, text: str) -> None:
        """None: Ollama's API does not tokenize."""
        return None

    def _options(self, sampling: Sampling) -> dict[str, Any]:
        # Ollama's defaults (top_k 40, repeat_penalty 1.1) would shape the text; a repeated line is normal in tests.
        options: dict[str, Any] = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": 0,
            "min_p": 0.0,
            "repeat_penalty": 1.0,
            "seed": sampling.seed,
            "num_predict": sampling.max_tokens,
        }
        if self.context:
            options["num_ctx"] = self.context
        if sampling.stop:
            options["stop"] = list(sampling.stop)
        return options

    def _parts(self, prompt: str, sampling: Sampling) -> Iterator[tuple[str, Any]]:
        """Yield the pieces of the answer as they arrive, each with its message."""
        options = self._options(sampling)
        if self._raw:
            for part in self._client.generate(self._name, prompt, raw=True, stream=True, options=options):
                yield part.response or "", part
            return
        # A model that thinks aloud first would spend all of max_tokens on it.
        think = False if self._thinks else None
        messages = [{"role": "user", "content": prompt}]
        for part in self._client.chat(self._name, messages, stream=True, options=options, think=think):
            yield part.message.content or "", part

    def complete(self, prompt: str, sampling: Sampling) -> Completion:
        """Continue ``prompt``; see ``Backend.complete``."""
        import httpx
        import ollama

        started = time.monotonic()
        pieces: list[str] = []
        last: Any = None
        try:
            for piece, part in self._parts(prompt, sampling):
                pieces.append(piece)
                last = part if part.done else None
                if time.monotonic() - started > self._seconds:
                    raise GenerationFailed(f"{self.tag} did not finish within {self._seconds:g} s")
        except ollama.ResponseError as error:  # also one that arrives in the middle of an answer begun with status 200
            raise GenerationFailed(f"Ollama failed while {self.tag} was answering: {error.error}") from error
        except httpx.TimeoutException as error:
            raise GenerationFailed(f"{self.tag} did not answer within {self._seconds:g} s") from error
        except (ConnectionError, httpx.TransportError, ValueError) as error:
            raise GenerationFailed(
                f"the connection to Ollama at {self._url} broke off", hint="start it: ollama serve"
            ) from error
        if last is None:
            raise GenerationFailed(f"the answer of {self.tag} broke off: Ollama at {self._url} closed the stream")
        self._check_room(last)
        finish: Literal["stop", "length"] = "length" if last.done_reason == "length" else "stop"
        return Completion(
            text="".join(pieces),
            prompt_tokens=last.prompt_eval_count,
            completion_tokens=last.eval_count,
            finish=finish,
            seconds=time.monotonic() - started,
        )

    def _check_room(self, last: Any) -> None:
        """Ollama drops the beginning of what does not fit and says nothing; its own counts give it away."""
        asked, answered = last.prompt_eval_count or 0, last.eval_count or 0
        if self.context and (asked >= self.context - 1 or asked + answered > self.context):
            raise PromptTooLong(
                f"Ollama cut the prompt: {self.tag} takes {self.context} tokens, prompt and answer together",
                hint="give it a smaller function or class, or raise max_context under [server]",
            )

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
