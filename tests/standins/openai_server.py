"""A stand-in for an OpenAI-compatible server: models, chat and text completions over a GGUF that llama.cpp really runs.

The shapes are those of https://platform.openai.com/docs/api-reference; where servers differ it answers as vLLM does (its
error texts, ``max_model_len`` in the list of models, a refusal of chat for a model without a template).

    with OpenAIStandIn({"tiny": path}) as url: ...      # url ends in /v1
    python tests/standins/openai_server.py --model tiny=path --port 8000
"""

from __future__ import annotations

import argparse
import contextlib
import json
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from served_model import ServedModel, Server


class ApiError(Exception):
    def __init__(self, status: int, message: str, kind: str = "BadRequestError") -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"message": message, "type": kind, "param": None, "code": status}}


class OpenAIStandIn:
    """The server, as a context manager that gives its base URL.

    ``requests`` keeps what was asked, as (path, body). ``key`` is the API key that it wants, ``missing`` the paths that it
    does not have, ``unlisted`` names that it serves without listing them, and ``answers`` replaces the next answers by
    (status, body).
    """

    def __init__(
        self,
        models: Mapping[str, Path],
        *,
        key: str | None = None,
        missing: tuple[str, ...] = (),
        unlisted: Mapping[str, Path] | None = None,
        port: int = 0,
    ) -> None:
        self.models = {name: ServedModel(Path(path)) for name, path in models.items()}
        self.unlisted = {name: ServedModel(Path(path)) for name, path in (unlisted or {}).items()}
        self.key = key
        self.missing = missing
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.answers: list[tuple[int, Any]] = []
        self.delay = 0.0
        handler = type("Handler", (_Handler,), {"standin": self})
        self.server = Server(port, handler)
        self.url = f"{self.server.url}/v1"

    def __enter__(self) -> str:
        self.server.start()
        return self.url

    def __exit__(self, *_: object) -> None:
        self.server.stop()
        for model in (*self.models.values(), *self.unlisted.values()):
            model.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    standin: OpenAIStandIn

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _json(self, status: int, value: Any) -> None:
        body = value.encode() if isinstance(value, str) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if isinstance(value, str) else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _guard(self) -> None:
        wanted = self.standin.key
        if wanted is not None and self.headers.get("Authorization") != f"Bearer {wanted}":
            raise ApiError(401, "Incorrect API key provided.", "invalid_request_error")

    def do_GET(self) -> None:
        try:
            self._guard()
        except ApiError as error:
            self._json(error.status, error.body)
            return
        if self.path != "/v1/models" or self.path in self.standin.missing:
            self._json(404, {"detail": "Not Found"})
            return
        cards = [
            {
                "id": name,
                "object": "model",
                "created": int(time.time()),
                "owned_by": "vllm",
                "root": str(model.path),
                "parent": None,
                "max_model_len": model.context,
            }
            for name, model in self.standin.models.items()
        ]
        self._json(200, {"object": "list", "data": cards})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        self.standin.requests.append((self.path, body))
        time.sleep(self.standin.delay)
        if self.standin.answers:
            self._json(*self.standin.answers.pop(0))
            return
        try:
            self._guard()
            if self.path in self.standin.missing:
                self._json(404, {"detail": "Not Found"})
            elif self.path == "/v1/chat/completions":
                self._json(200, self._chat(body))
            elif self.path == "/v1/completions":
                self._json(200, self._complete(body))
            else:
                self._json(404, {"detail": "Not Found"})
        except ApiError as error:
            self._json(error.status, error.body)

    def _model(self, body: dict[str, Any]) -> ServedModel:
        model = (self.standin.models | self.standin.unlisted).get(body["model"])
        if model is None:
            raise ApiError(404, f"The model `{body['model']}` does not exist.", "NotFoundError")
        return model

    def _run(self, model: ServedModel, tokens: list[int], body: dict[str, Any]) -> tuple[str, str, dict[str, int]]:
        limit = body.get("max_tokens") or body.get("max_completion_tokens") or 16
        if len(tokens) + limit > model.context:
            raise ApiError(
                400,
                f"This model's maximum context length is {model.context} tokens. However, you requested "
                f"{len(tokens) + limit} tokens. Please reduce the length of the messages or completion.",
            )
        stop = body.get("stop") or []
        pieces = list(
            model.answer(
                tokens,
                context=model.context,
                limit=limit,
                stop=[stop] if isinstance(stop, str) else stop,
                temperature=body.get("temperature", 1.0),
                top_p=body.get("top_p", 1.0),
                top_k=0,
                min_p=0.0,
                repeat_penalty=1.0,
                seed=body.get("seed", 0),
            )
        )
        last = pieces[-1]
        usage = {
            "prompt_tokens": last.prompt_tokens,
            "completion_tokens": last.answer_tokens,
            "total_tokens": last.prompt_tokens + last.answer_tokens,
        }
        return "".join(piece.text for piece in pieces), str(last.reason), usage

    def _chat(self, body: dict[str, Any]) -> dict[str, Any]:
        model = self._model(body)
        if "tokenizer.chat_template" not in model.metadata:
            raise ApiError(
                400,
                "As of transformers v4.44, default chat template is no longer allowed, so you must provide a chat "
                "template if the tokenizer does not define one.",
            )
        text, reason, usage = self._run(model, model.tokenize(model.render(body["messages"])), body)
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
        return self._answer("chat.completion", "chatcmpl-1", body, [choice], usage)

    def _complete(self, body: dict[str, Any]) -> dict[str, Any]:
        model = self._model(body)
        prompts = body["prompt"] if isinstance(body["prompt"], list) else [body["prompt"]]
        choices: list[Any] = []
        for prompt in prompts:
            text, reason, usage = self._run(model, model.tokenize(prompt), body)
            choices.append({"index": len(choices), "text": text, "logprobs": None, "finish_reason": reason})
        return self._answer("text_completion", "cmpl-1", body, choices, usage)

    def _answer(self, kind: str, name: str, body: dict[str, Any], choices: list[Any], usage: Any) -> dict[str, Any]:
        return {
            "id": name,
            "object": kind,
            "created": int(time.time()),
            "model": body["model"],
            "choices": choices,
            "usage": usage,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve GGUF files as an OpenAI-compatible server would.")
    parser.add_argument("--model", action="append", required=True, metavar="NAME=PATH")
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args()
    models = {name: Path(path) for name, _, path in (item.partition("=") for item in arguments.model)}
    standin = OpenAIStandIn(models, port=arguments.port)
    with standin as url:
        print(f"a stand-in for an OpenAI-compatible server answers at {url} with {', '.join(models)}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
