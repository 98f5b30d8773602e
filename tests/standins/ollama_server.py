"""A stand-in for an Ollama server: its documented HTTP API over a GGUF that llama.cpp really runs.

Written to https://github.com/ollama/ollama/blob/main/docs/api.md: version, tags, ps, show, generate, chat, blobs and create,
streamed as NDJSON or in one piece, with Ollama's options, defaults, counts and error bodies. What it does not imitate is Go's
text/template. A model published without a template (``{{ .Prompt }}``) is served just as Ollama does it. For any other,
``/api/chat`` renders with the Jinja template in the GGUF, which the published one should equal; a GGUF that has none is
refused with status 501.

    with OllamaStandIn({"tiny:latest": path}) as url: ...
    python tests/standins/ollama_server.py --model tiny=path --port 11434
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import re
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from ollama_model import BARE, ApiError, Model, Published, full_name, now
from served_model import Piece, Server

__all__ = ["OllamaStandIn", "Published"]

VERSION = "0.12.0"


def nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)


class OllamaStandIn:
    """The server, as a context manager that gives its URL.

    ``requests`` keeps what was asked, as (path, body). ``fault`` makes every answer go wrong after its first piece:
    ``error`` (a line with an error), ``drop`` (the connection is cut), ``end`` (the stream ends early), ``stall``.
    """

    def __init__(self, models: Mapping[str, Path | Published], port: int = 0) -> None:
        self.models: dict[str, Model] = {}
        for name, model in models.items():
            published = model if isinstance(model, Published) else Published(Path(model))
            self.models[full_name(name).casefold()] = Model(full_name(name), published)
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.fault: str | None = None
        self.stalled = threading.Event()
        self._folder = tempfile.TemporaryDirectory()
        self._blobs = Path(self._folder.name)
        handler = type("Handler", (_Handler,), {"standin": self})
        self.server = Server(port, handler)
        self.url = self.server.url

    def blob(self, digest: str) -> Path:
        """Where a blob lies; a digest that is none is refused."""
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
            raise ApiError(400, "invalid digest format")
        return self._blobs / digest.replace(":", "-")

    def create(self, name: str, body: dict[str, Any]) -> str:
        """Make a model out of blobs that are here, with the template and the parameters of a Modelfile."""
        found = {}
        for kind in ("files", "adapters"):
            for file, digest in (body.get(kind) or {}).items():
                if not self.blob(digest).is_file():
                    raise ApiError(400, f'blob "{digest}" not found')
                found[kind] = self.blob(digest)
                if not file.endswith(".gguf"):
                    raise ApiError(400, "unsupported content type")
        template, licence = body.get("template") or BARE, body.get("license") or ""
        published = Published(
            found["files"], template, dict(body.get("parameters") or {}), adapter=found.get("adapters"), licence=licence
        )
        self.models[full_name(name).casefold()] = Model(full_name(name), published)
        return "success"

    def find(self, name: str) -> Model:
        model = self.models.get(full_name(name).casefold())
        if model is None:
            raise ApiError(404, f"model '{name}' not found")
        return model

    def __enter__(self) -> str:
        for model in self.models.values():
            model.details()  # loads it: Ollama answers about its models at once
        self.server.start()
        return self.url

    def __exit__(self, *_: object) -> None:
        self.stalled.set()
        self.server.stop()
        for model in self.models.values():
            model.served.close()
        self._folder.cleanup()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    standin: OllamaStandIn

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _json(self, value: Any, status: int = 200) -> None:
        self._send(status, json.dumps(value).encode(), "application/json; charset=utf-8")

    def do_GET(self) -> None:
        listed = {"/api/tags": lambda model: model.listed(), "/api/ps": lambda model: model.listed()}
        if self.path == "/":
            self._send(200, b"Ollama is running", "text/plain; charset=utf-8")
        elif self.path == "/api/version":
            self._json({"version": VERSION})
        elif self.path in listed:
            self._json({"models": [listed[self.path](model) for model in self.standin.models.values()]})
        else:
            self._send(404, b"404 page not found", "text/plain")

    def do_HEAD(self) -> None:
        if self.path.startswith("/api/blobs/"):
            there = self.standin.blob(self.path.rpartition("/")[2]).is_file()
            self._send(200 if there else 404, b"", "text/plain")
        else:
            self.do_GET()

    def _blob(self) -> None:
        """A file, sent in one piece or in chunks, kept under the digest that it is sent by."""
        digest = self.path.rpartition("/")[2]
        place = self.standin.blob(digest)
        found = hashlib.sha256()
        with place.with_suffix(".part").open("wb") as file:
            for piece in self._pieces():
                found.update(piece)
                file.write(piece)
        if f"sha256:{found.hexdigest()}" != digest:
            raise ApiError(400, "digest does not match")
        place.with_suffix(".part").rename(place)
        self._send(201, b"", "text/plain")

    def _pieces(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            yield self.rfile.read(int(self.headers.get("Content-Length") or 0))
            return
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _create(self, body: dict[str, Any]) -> None:
        name = body.get("model") or body.get("name")
        if not name:
            raise ApiError(400, "model is required")
        if not body.get("files"):
            raise ApiError(501, "this stand-in creates models from files only")
        self._json({"status": self.standin.create(name, body)})

    def do_POST(self) -> None:
        if self.path.startswith("/api/blobs/"):
            try:
                self._blob()
            except ApiError as error:
                self._json({"error": error.message}, error.status)
            return
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        acts = {"/api/show": self._show, "/api/generate": self._generate, "/api/chat": self._chat}
        act = {**acts, "/api/create": self._create}.get(self.path)
        if act is None:
            self._send(404, b"404 page not found", "text/plain")
            return
        try:
            if not raw:
                raise ApiError(400, "missing request body")
            try:
                body = json.loads(raw)
            except ValueError as error:
                raise ApiError(400, str(error)) from error
            self.standin.requests.append((self.path, body))
            act(body)
        except ApiError as error:
            self._json({"error": error.message}, error.status)

    def _show(self, body: dict[str, Any]) -> None:
        name = body.get("model") or body.get("name")
        if not name:
            raise ApiError(400, "model is required")
        self._json(self.standin.find(name).shown())

    def _generate(self, body: dict[str, Any]) -> None:
        model = self.standin.find(body.get("model", ""))
        prompt = body.get("prompt") or ""
        if not prompt:
            reason = "unload" if body.get("keep_alive") == 0 else "load"
            self._json(self._part(body, Piece(""), "response") | {"done": True, "done_reason": reason})
            return
        if body.get("raw"):
            if body.get("template") or body.get("system") or body.get("context"):
                raise ApiError(400, "raw mode does not support template, system, or context")
        elif body.get("template") or body.get("suffix"):
            raise ApiError(501, "this stand-in does not run Go templates")
        else:
            prompt = model.chat_prompt([{"role": "user", "content": prompt}])
        self._stream(body, model.run(prompt, body.get("options") or {}), "response")

    def _chat(self, body: dict[str, Any]) -> None:
        model = self.standin.find(body.get("model", ""))
        if body.get("think") and "thinking" not in model.published.capabilities:
            raise ApiError(400, f'"{body["model"]}" does not support thinking')
        messages = body.get("messages") or []
        if not messages:
            reason = "unload" if body.get("keep_alive") == 0 else "load"
            self._json(self._part(body, Piece(""), "message") | {"done": True, "done_reason": reason})
            return
        self._stream(body, model.run(model.chat_prompt(messages), body.get("options") or {}), "message")

    def _part(self, body: dict[str, Any], piece: Piece, key: str) -> dict[str, Any]:
        text: Any = {"role": "assistant", "content": piece.text} if key == "message" else piece.text
        part = {"model": body["model"], "created_at": now(), key: text, "done": piece.reason is not None}
        if piece.reason is not None:
            part |= {
                "done_reason": piece.reason,
                "total_duration": nanoseconds(time.monotonic() - self.began),
                "load_duration": nanoseconds(self.loaded - self.began),
                "prompt_eval_count": piece.prompt_tokens,
                "prompt_eval_duration": nanoseconds(piece.prompt_seconds),
                "eval_count": piece.answer_tokens,
                "eval_duration": nanoseconds(piece.answer_seconds),
            }
        return part

    def _stream(self, body: dict[str, Any], pieces: Iterator[Piece], key: str) -> None:
        self.began = self.loaded = time.monotonic()
        if body.get("stream") is False:
            all_pieces = list(pieces)
            last = all_pieces[-1]
            last.text = "".join(piece.text for piece in all_pieces)
            self._json(self._part(body, last, key))
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for number, piece in enumerate(pieces):
                if number == 1 and self.standin.fault:
                    if self._go_wrong(self.standin.fault):
                        return
                    break
                self._chunk(self._part(body, piece, key))
            self.wfile.write(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client went away

    def _chunk(self, value: dict[str, Any]) -> None:
        line = json.dumps(value).encode() + b"\n"
        self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
        self.wfile.flush()

    def _go_wrong(self, fault: str) -> bool:
        """Do what ``fault`` says; True if nothing more may be written."""
        if fault == "error":
            self._chunk({"error": "llama runner process has terminated: exit status 2"})
        elif fault == "drop":
            self.close_connection = True
            return True
        elif fault == "stall":
            self.standin.stalled.wait(30)
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve GGUF files as Ollama would.")
    parser.add_argument("--model", action="append", required=True, metavar="NAME=PATH")
    parser.add_argument("--port", type=int, default=11434)
    arguments = parser.parse_args()
    models = {name: Path(path) for name, _, path in (item.partition("=") for item in arguments.model)}
    standin = OllamaStandIn(models, arguments.port)
    with standin as url:
        print(f"a stand-in for Ollama answers at {url} with {', '.join(models)}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
