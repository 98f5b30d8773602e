"""The shipped model, the same run four ways: in process, by path, through Ollama's client and through OpenAI's."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import children
import pytest
from ollama_server import OllamaStandIn

from testing_crew import TestingCrew, prompt
from testing_crew.backends import open_backend
from testing_crew.backends.base import ModelConfig, Sampling
from testing_crew.backends.llama import embedded_file
from testing_crew.config import Config

CODE = 'def clamp(value: int, low: int, high: int) -> int:\n    """Limit a value to a range."""\n    return max(low, min(high, value))\n'
PROMPTS = [
    prompt.generate("# module: ranges\n" + CODE),
    prompt.repair(
        "# module: ranges\n" + CODE,
        "import pytest\nfrom ranges import clamp\n\n\ndef test_clamp():\n    assert clamp(1, 2, 3) == 1\n",
        "test_clamp(): got 2, expected 1",
    ),
]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TESTING_CREW_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def ollama_url():
    with OllamaStandIn({"embedded:latest": embedded_file()}) as url:
        yield url


@pytest.fixture(scope="module")
def openai_url():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "llama_cpp.server",
        "--model",
        str(embedded_file()),
        "--port",
        str(port),
        "--n_ctx",
        "1536",
    ]
    url = f"http://127.0.0.1:{port}/v1"
    with children.started(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        deadline = time.monotonic() + children.SECONDS
        while True:
            try:
                urllib.request.urlopen(f"{url}/models", timeout=5)
                break
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                assert server.poll() is None, "the server did not start"
                assert time.monotonic() < deadline, "the server does not answer"
                time.sleep(0.1)
        yield url


def answers(backend):
    texts = [backend.complete(text, Sampling(max_tokens=300)).text.strip() for text in PROMPTS]
    backend.close()
    return texts


def test_the_same_weights_answer_the_same_wherever_they_are_served(ollama_url, openai_url):
    here = answers(open_backend("embedded"))
    assert "def test_clamp" in here[0]
    assert answers(open_backend(f"gguf:{embedded_file()}")) == here
    assert answers(open_backend("embedded:latest", ModelConfig(base_url=ollama_url))) == here
    served = ModelConfig(base_url=openai_url, api="completions")
    assert answers(open_backend(f"openai/{embedded_file()}", served)) == here


def test_the_whole_run_through_ollama_s_client(ollama_url):
    whole_run("embedded:latest", ModelConfig(base_url=ollama_url))


def test_the_whole_run_through_an_openai_compatible_server(openai_url):
    whole_run(f"openai/{embedded_file()}", ModelConfig(base_url=openai_url, api="completions"))


def whole_run(tag, server):
    config = Config(server=server)
    crew = TestingCrew(tag, config=config)
    events = list(crew.run(CODE, "ranges.py"))
    here = list(TestingCrew("embedded", config=Config()).run(CODE, "ranges.py"))
    assert events[-1]["success"]
    assert events[-1]["final_tests"] == here[-1]["final_tests"]


@pytest.mark.live
@pytest.mark.skipif("OLLAMA_HOST" not in os.environ, reason="no Ollama server: set OLLAMA_HOST")
def test_a_live_ollama_server():
    from testing_crew.backends import available

    tags = [a.tag for a in available() if a.note.startswith("Ollama at")]
    if not tags:
        pytest.skip("the server at OLLAMA_HOST does not answer or has no model")
    events = list(TestingCrew(tags[0], config=Config()).run(CODE, "ranges.py"))
    assert events[-1]["type"] == "crew_complete"
