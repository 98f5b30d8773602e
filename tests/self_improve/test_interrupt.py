"""Ctrl-C: it ends a command soon, with a word on what is kept, whatever the command was waiting for."""

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from children import ended, started

from trace_logger import TraceStore

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc")
CLI = [sys.executable, "-m", "self_improve.cli.app"]
CODE = "def add(a, b):\n    return a + b\n"
ADD = "from {} import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n"
# The first run is quick; those under another hash seed go on for ever.
ENDLESS = (
    "import os\nimport time\n"
    + ADD.format("shop")
    + "    time.sleep(0 if os.environ['PYTHONHASHSEED'] == '0' else 999)\n"
)


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("TESTING_CREW_HOME", str(tmp_path / "home"))
    (tmp_path / "testing_crew.toml").write_text("[limits]\nwall_seconds = 1000\n")
    for name in ("shop", "stall"):
        (tmp_path / f"{name}.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def interrupted(*arguments, when):
    """What a command says that is interrupted once ``when`` is true of its process."""
    with started([*CLI, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        for _ in range(1200):
            if process.poll() is not None or when(process.pid):
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, said = ended(process)
    assert (process.returncode, out) == (130, ""), said
    assert "Traceback" not in said
    return said


def children(pid):
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):  # the thread has ended meanwhile
            found += (task / "children").read_text().split()
    return found


def test_check_does_not_wait_for_the_runs_at_work(project):
    (project / "test_shop.py").write_text(ENDLESS)
    said = interrupted("check", "test_shop.py", "--target", "shop.py", when=lambda pid: len(children(pid)) > 1)
    assert "nothing was changed" in said


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_write_says_what_is_kept_and_how_to_carry_on(project, more):
    asked = threading.Event()

    class Silent(BaseHTTPRequestHandler):
        """A server whose model answers for the first file only."""

        def do_GET(self):
            self.answer({"object": "list", "data": [{"id": "slow", "object": "model", "max_model_len": 8000}]})

        def do_POST(self):
            prompt = self.rfile.read(int(self.headers["Content-Length"])).decode()
            if "module: stall" in prompt:
                asked.set()
                time.sleep(300)
            text = ADD.format("shop")
            choice = {
                "index": 0,
                "text": text,
                "message": {"role": "assistant", "content": text},
                "finish_reason": "stop",
            }
            self.answer({"id": "x", "object": "x", "created": 0, "model": "slow", "choices": [choice]})

        def answer(self, value):
            body = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Silent)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/v1"
    (project / "home").mkdir()
    (project / "home" / "testing_crew.toml").write_text(f'[server]\nbase_url = "{url}"\n')
    arguments = ["write", "shop.py", "stall.py", "--model", "openai/slow", *more]
    said = interrupted(*arguments, when=lambda _: asked.is_set())
    server.shutdown()
    server.server_close()
    assert str(project / "home" / "traces.db") in said
    assert "1 of 2 files are done" in said
    assert "the same command carries on with the others: stall.py" in said
    assert (project / "tests" / "test_shop.py").is_file()
    with TraceStore.open() as store:
        assert [trace.target for trace in store.interrupted()] == [str(project / "stall.py")]


def test_with_traces_off_nothing_is_said_to_be_kept(project, monkeypatch):
    monkeypatch.setenv("TESTING_CREW_TRACES", "off")
    (project / "script.json").write_text(json.dumps([ENDLESS.replace("0 if", "999 if")]))
    said = interrupted("write", "shop.py", "--model", "scripted:script.json", when=children)
    assert "not kept (traces are off)" in said
    assert "the same command begins again" in said
