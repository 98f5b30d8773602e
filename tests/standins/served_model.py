"""A GGUF model that the stand-in servers share: tokens in, pieces of text out, one caller at a time."""

from __future__ import annotations

import codecs
import contextlib
import ctypes
import hashlib
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Server(ThreadingHTTPServer):
    """An HTTP server that runs in a thread and, when it stops, hangs up on everybody as a dying process does."""

    daemon_threads = True

    def __init__(self, port: int, handler: Any) -> None:
        super().__init__(("127.0.0.1", port), handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self._connections: set[Any] = set()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a client that left is no fault of the server's
            super().handle_error(request, client_address)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


@dataclass
class Piece:
    """A part of an answer; the last one has ``reason`` (stop or length) and the counts."""

    text: str
    reason: str | None = None
    prompt_tokens: int = 0
    answer_tokens: int = 0
    prompt_seconds: float = 0.0
    answer_seconds: float = 0.0


class ServedModel:
    """One GGUF file, loaded at its first use."""

    def __init__(self, path: Path, adapter: Path | None = None) -> None:
        self.path = Path(path)
        self.adapter = adapter
        self.digest = hashlib.sha256(self.path.read_bytes()).hexdigest()
        self.lock = threading.RLock()
        self._llama: Any = None

    @property
    def llama(self) -> Any:
        if self._llama is None:
            os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
            import llama_cpp

            self._llama = llama_cpp.Llama(
                str(self.path), n_ctx=0, lora_path=str(self.adapter) if self.adapter else None, verbose=False
            )  # 0: the context it was trained with
        return self._llama

    @property
    def metadata(self) -> dict[str, str]:
        with self.lock:
            return dict(self.llama.metadata)

    @property
    def architecture(self) -> str:
        return self.metadata["general.architecture"]

    @property
    def context(self) -> int:
        return int(self.metadata[f"{self.architecture}.context_length"])

    def parameters(self) -> int:
        import llama_cpp

        return int(llama_cpp.llama_model_n_params(self.llama.model))

    def _vocab(self) -> Any:
        import llama_cpp

        return llama_cpp.llama_model_get_vocab(self.llama.model)

    def bos(self) -> int | None:
        """The token that a text begins with, if the model wants one."""
        import llama_cpp

        return llama_cpp.llama_vocab_bos(self._vocab()) if llama_cpp.llama_vocab_get_add_bos(self._vocab()) else None

    def tokenize(self, text: str) -> list[int]:
        """As llama.cpp's servers do: special tokens are read, and one beginning is put in front if the model wants it."""
        with self.lock:
            tokens = list(self.llama.tokenize(text.encode(), add_bos=False, special=True))
            bos = self.bos()
            return [bos, *tokens] if bos is not None and tokens[:1] != [bos] else tokens

    def render(self, messages: list[dict[str, str]]) -> str:
        """The text of a chat by the Jinja template that the GGUF carries."""
        import llama_cpp
        from llama_cpp.llama_chat_format import Jinja2ChatFormatter

        def text(token: int) -> str:
            return llama_cpp.llama_vocab_get_text(self._vocab(), token).decode() if token >= 0 else ""

        with self.lock:
            bos, eos = llama_cpp.llama_vocab_bos(self._vocab()), llama_cpp.llama_vocab_eos(self._vocab())
            formatter = Jinja2ChatFormatter(self.metadata["tokenizer.chat_template"], text(eos), text(bos))
            return str(formatter(messages=messages).prompt)

    def answer(
        self,
        tokens: list[int],
        *,
        context: int,
        limit: int,
        stop: list[str],
        temperature: float,
        top_p: float,
        top_k: int,
        min_p: float,
        repeat_penalty: float,
        seed: int,
    ) -> Iterator[Piece]:
        """Generate; text that might be the beginning of a stop string is held back until that is decided."""
        import llama_cpp

        with self.lock:
            started = time.monotonic()
            llama, vocab = self.llama, self._vocab()
            llama.set_seed(seed & 0xFFFFFFFE)
            decoder = codecs.getincrementaldecoder("utf-8")("replace")
            held, count, reason, first = "", 0, "length", started
            room = context - len(tokens)
            most = min(limit, room) if limit >= 0 else room
            generated = llama.generate(
                tokens, temp=temperature, top_p=top_p, top_k=top_k, min_p=min_p, repeat_penalty=repeat_penalty
            )
            for token in generated if most > 0 else ():
                if count == 0:
                    first = time.monotonic()
                if llama_cpp.llama_vocab_is_eog(vocab, token):
                    reason = "stop"
                    break
                buffer = ctypes.create_string_buffer(4096)
                written = llama_cpp.llama_token_to_piece(vocab, token, buffer, 4096, 0, False)
                held += decoder.decode(buffer.raw[:written])
                count += 1
                found = [at for text in stop if (at := held.find(text)) >= 0]
                if found:
                    held, reason = held[: min(found)], "stop"
                    break
                if count == most:
                    break
                keep = max((n for text in stop for n in range(1, len(text)) if held.endswith(text[:n])), default=0)
                if ready := held[: len(held) - keep]:
                    yield Piece(ready)
                held = held[len(held) - keep :]
            if held:
                yield Piece(held)
            ended = time.monotonic()
            yield Piece("", reason, len(tokens), count, first - started, ended - first)

    def close(self) -> None:
        with self.lock:
            if self._llama is not None:
                self._llama.close()
                self._llama = None
