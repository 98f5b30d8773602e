"""A model of the registry is given to an Ollama server, through Ollama's official client, and asked whether it answers alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from export.registry import Exported, parameters
from export.texts import proof_texts
from export.verify import NotTheSameModel
from testing_crew.backends import open_backend
from testing_crew.backends.base import ModelConfig, Sampling
from testing_crew.backends.llama import model_file
from testing_crew.backends.ollama import connected, host_url
from testing_crew.backends.ref import parse
from testing_crew.errors import BackendUnavailable, UserMistake

TEMPLATE = "{{ .Prompt }}"
_ANSWER = 64  # tokens
_AGREE = 16  # characters from the beginning: later two nearly equal tokens may part the answers


def publish_to_ollama(model: Exported, config: ModelConfig, tell: Callable[[str], None] | None = None) -> str:
    """Create ``model`` on the server as NAME:VERSION; returns the tag. Nothing is sent but to the server that is configured.

    The file is uploaded as a blob by its digest, where the server has not got it. What was created is then verified: by what
    the server shows of it, and by one greedy answer beside the registry's own. Raises BackendUnavailable when the server is not
    there or refuses, NotTheSameModel when it answers otherwise.
    """
    import httpx
    import ollama

    tell = tell or (lambda what: None)
    name = f"{model.name}:{model.label}"
    url = host_url(config)
    client = connected(config)
    try:
        _must_be_free(client, name, model)
        tell(f"uploading to {url}")
        files = {"model.gguf": client.create_blob(model.file if not model.over else model_file(parse(model.over)))}
        adapters = {"adapter.gguf": client.create_blob(model.file)} if model.over else None
        tell(f"creating {name}")
        client.create(
            model=name,
            files=files,
            adapters=adapters,
            template=TEMPLATE,
            parameters=parameters(model),
            license=model.licence,
        )
        shown = client.show(name)
    except ollama.ResponseError as error:
        raise BackendUnavailable(
            f"Ollama at {url} refused {name}: {error.error}", hint="ollama serve, of a new version"
        ) from error
    except (ConnectionError, httpx.TransportError) as error:
        raise BackendUnavailable(
            f"Ollama does not answer at {url}: {model.ref.tag} is published here, not there",
            hint=f"start it (ollama serve), then: testing-crew export {model.ref.tag} --ollama",
        ) from error
    finally:
        client.close()
    try:
        _shown_alike(model, shown, name)
        tell("comparing an answer")
        _answers_alike(model, config, name)
    except NotTheSameModel:
        _take_back(config, name)
        raise
    return parse(f"ollama/{name}").tag


def _must_be_free(client: Any, name: str, model: Exported) -> None:
    """Raises UserMistake where the server has another model of that name: it is not overwritten."""
    import ollama

    try:
        there = client.show(name)
    except ollama.ResponseError as error:
        if error.status_code != 404:
            raise
        return
    if model.sha256[model.file.name] not in (there.modelfile or ""):
        raise UserMistake(
            f"Ollama has another {name}", hint=f"ollama rm {name}, or export with another --name or --version"
        )


def _take_back(config: ModelConfig, name: str) -> None:
    client = connected(config)
    try:
        client.delete(name)
    finally:
        client.close()


def _shown_alike(model: Exported, shown: Any, name: str) -> None:
    if (shown.template or "").replace(" ", "") != TEMPLATE.replace(" ", ""):
        raise NotTheSameModel(f"Ollama gave {name} the template {shown.template!r}, not {TEMPLATE!r}")
    said = shown.parameters or ""
    lacking = [
        text for text in (f"num_ctx {model.context}", *(f'"{each}"' for each in model.stop)) if _lacks(said, text)
    ]
    if lacking:
        raise NotTheSameModel(f"Ollama shows {name} without {', '.join(lacking)}")


def _lacks(said: str, wanted: str) -> bool:
    return " ".join(wanted.split()) not in " ".join(said.split())


def _answers_alike(model: Exported, config: ModelConfig, name: str) -> None:
    asked, sampling = proof_texts(1)[0], Sampling(max_tokens=_ANSWER)
    answers = []
    for tag in (model.ref.tag, f"ollama/{name}"):
        backend = open_backend(tag, config)
        try:
            answers.append(backend.complete(asked, sampling).text)
        finally:
            backend.close()
    here, there = answers
    if not there.strip() or here[:_AGREE] != there[:_AGREE]:
        raise NotTheSameModel(f"{name} answers {there[:60]!r} in Ollama, and {here[:60]!r} here")
