"""The page on which one person judges, served to this machine alone; nothing on it says which model answered."""

from __future__ import annotations

import hashlib
import json
import secrets
import socket
import socketserver
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from benchmarks.judging.agreement import compare
from benchmarks.judging.verdicts import Choice, Item, Text, Verdict, Verdicts, named, same
from benchmarks.metrics import rate
from testing_crew.errors import UserMistake

_HTML = Path(__file__).with_name("page.html")
_HOST = "127.0.0.1"
_LARGEST = 64 * 1024  # bytes of a verdict, its note included
_DRAINED = 1024 * 1024  # bytes of a refused one that are read, so that the refusal arrives
_NOTE = 4000  # characters; the page's own limit is the same
# No address but this page's own is asked for anything, and no script runs but the page's.
_POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class _Given(BaseModel):
    """What the page sends."""

    model_config = ConfigDict(extra="forbid")

    item: str
    verdict: Choice
    note: Text = Field("", max_length=_NOTE)


class Page:
    """One judge's page: a context manager, or `start` and `close`. Closed and started again, it has the same address.

    Raises UserMistake for a blank name, and (`start`) for a port that cannot be had.
    """

    def __init__(self, items: Sequence[Item], verdicts: Verdicts, judge: str, port: int = 0) -> None:
        self.judge, self.verdicts, self.port = named(judge), verdicts, port
        # By a hash of the name and the item: each judge has an order of their own, and it stays when items are added.
        distinct = {item.digest: item for item in items}
        order = sorted(distinct, key=lambda item: hashlib.sha256(f"{same(judge)}\n{item}".encode()).digest())
        self.items = {item: distinct[item] for item in order}
        self.token = secrets.token_urlsafe(32)
        self.html = _HTML.read_text(encoding="utf-8")
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Its address; whoever has it may judge."""
        return f"http://{_HOST}:{self.port}/{self.token}/"

    def start(self) -> None:
        """Answer from now on, in a thread."""
        try:
            self._server = _Server(self)
        except (OSError, OverflowError) as error:
            raise UserMistake(
                f"port {self.port} of this machine cannot be had: {error}", hint="--port 0 takes one that is free"
            ) from None
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Return when it is closed, by another thread."""
        thread = self._thread
        while thread and thread.is_alive():
            thread.join(1)  # not for ever: some systems hear Ctrl-C only between two waits

    def close(self) -> None:
        """Answer no more."""
        if self._server and self._thread:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
        self._server = self._thread = None

    def __enter__(self) -> Page:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def shown(self) -> dict[str, Any]:
        """The items in this judge's order, with what this judge said of them: ``{judge, items}``."""
        said = self.verdicts.of(self.judge)
        rows = []
        for digest, item in self.items.items():
            row = item.model_dump(include={"question", "body", "references", "answer"})
            own = said.get(digest)
            rows.append(
                {**row, "item": digest, "verdict": own.verdict if own else None, "note": own.note if own else ""}
            )
        return {"judge": self.judge, "items": rows}

    def judged(self) -> int:
        """How many items this judge has judged."""
        return len(self.items.keys() & self.verdicts.of(self.judge).keys())

    def result(self) -> dict[str, Any] | None:
        """The judge's accuracy, and the agreement with each other who has finished too; None before this one has.

        ``{judged, unsure, accuracy: {value, low, high, n}, others: [{one, other, n, agreement, kappa}]}``
        """
        by_judge = self.verdicts.by_judge()
        finished = [judge for judge, said in by_judge.items() if self.items.keys() <= said.keys()]
        own = next((judge for judge in finished if same(judge) == same(self.judge)), None)
        if own is None:
            return None
        said = [by_judge[own][item].verdict for item in self.items]
        right, unsure = said.count("right"), said.count("unsure")
        pairs = [compare(by_judge, own, other, self.items) for other in finished if other != own]
        accuracy = rate(right, len(said) - unsure).model_dump()
        others = [pair.model_dump() for pair in pairs]
        return {"judged": len(said), "unsure": unsure, "accuracy": accuracy, "others": others}

    def take(self, body: bytes) -> dict[str, Any]:
        """Keep a verdict that the page sent: ``{left}``. Raises ValueError for what is none, UserMistake if not kept."""
        given = _Given.model_validate(json.loads(body.decode("utf-8")))
        if given.item not in self.items:
            raise ValueError("no such answer: the page is of another file")
        self.verdicts.add(Verdict(item=given.item, judge=self.judge, verdict=given.verdict, note=given.note))
        return {"left": len(self.items) - self.judged()}


def serve(
    items: Sequence[Item], verdicts: Verdicts, judge: str, *, port: int = 0, ready: Callable[[str], None]
) -> None:
    """Serve the page until Ctrl-C (KeyboardInterrupt comes through); ``ready`` gets its address. Raises as `Page` does."""
    with Page(items, verdicts, judge, port) as page:
        ready(page.url)
        page.wait()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, page: Page) -> None:
        self.page = page
        self._connections: set[Any] = set()
        super().__init__((_HOST, page.port), _Handler)

    def server_bind(self) -> None:
        # Not HTTPServer's own, which asks the network for this machine's name.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = _HOST, int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        super().server_close()
        for connection in list(self._connections):  # browsers open some ahead, which would be answered yet
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # a browser that went away in the middle is no news
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 30  # seconds without a byte

    def do_GET(self) -> None:
        page, place = self.server.page, self._place()
        if place == "":
            nonce = secrets.token_urlsafe(16)
            html = page.html.replace("{nonce}", nonce).encode()
            self._send(200, html, "text/html", {"Content-Security-Policy": _POLICY.format(nonce=nonce)})
        elif place in ("items", "result"):
            try:
                found = page.shown() if place == "items" else page.result()
            except UserMistake as error:
                self._refuse(500, str(error))
                return
            if found is None:
                self._refuse(409, "not all are judged yet")
            else:
                self._send(200, json.dumps(found).encode())
        elif place is not None:
            self._refuse(404, "no such page")

    def do_POST(self) -> None:
        place = self._place()
        if place is None:
            return
        length = self._length()
        if place != "verdict":
            self._refuse(404, "no such page")
        elif self.headers.get_content_type() != "application/json":
            self._refuse(415, "a verdict is sent as application/json")
        elif length is None:
            self._refuse(411, "a verdict is sent with its length")
        elif length > _LARGEST:
            self._refuse(413, f"a verdict has at most {_LARGEST} bytes")
        else:
            try:
                self._send(200, json.dumps(self.server.page.take(self.rfile.read(length))).encode())
            except UserMistake as error:
                self._refuse(500, str(error), drain=False)
            except ValidationError as error:
                self._refuse(400, "; ".join(f"{each['loc']}: {each['msg']}" for each in error.errors()), drain=False)
            except (ValueError, RecursionError) as error:
                self._refuse(400, str(error), drain=False)

    def _place(self) -> str | None:
        """What of the page is asked for; None, and refused, for who does not know its address.

        The host is looked at because another site's page may have its own name point here (DNS rebinding).
        """
        port = self.server.page.port
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or hosts[0].strip().lower() not in (f"{_HOST}:{port}", f"localhost:{port}"):
            self._refuse(403, "this page is for this machine alone")
            return None
        token, slash, place = self.path.partition("?")[0].removeprefix("/").partition("/")
        if not secrets.compare_digest(token.encode(), self.server.page.token.encode()) or not slash:
            self._refuse(404, "the address is of an earlier start, or not whole: open the one that the command says")
            return None
        return place

    def _length(self) -> int | None:
        said = self.headers.get("Content-Length", "")
        return int(said) if said.isascii() and said.isdecimal() and len(said) < 20 else None

    def _refuse(self, status: int, why: str, drain: bool = True) -> None:
        length = self._length()
        if drain and length and length <= _DRAINED:
            self.rfile.read(length)
        self._send(status, json.dumps({"error": why}).encode())

    def _send(self, status: int, body: bytes, kind: str = "application/json", more: Mapping[str, str] = {}) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": f"{kind}; charset=utf-8", "Content-Length": len(body), **more}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)

    def end_headers(self) -> None:
        for name, value in _HEADERS.items():  # here, so that the refusals of the base class have them too
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: a log would hold the address."""
