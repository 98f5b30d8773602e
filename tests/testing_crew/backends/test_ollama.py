import http.server
import os
import socket
import threading
import time

import pytest
from ollama_server import OllamaStandIn, Published
from tiny_gguf import LINES, PROMPT

from testing_crew.backends import ModelConfig, Sampling, open_backend
from testing_crew.backends.ollama import host_url, served, through_proxy
from testing_crew.errors import BackendUnavailable, ConfigError, GenerationFailed, PromptTooLong, UnknownModel

LIVE_HOST = os.environ.get("OLLAMA_HOST")  # read before the fixture takes it away
GO_TEMPLATE = "<|im_start|>user\n{{ .Prompt }}<|im_end|>\n<|im_start|>assistant\n"


@pytest.fixture
def standin(models):
    server = OllamaStandIn(
        {
            "tester:v1": models["chain"],
            "noise": models["noise"],
            "bos": models["bos"],
            "chat:7b": Published(models["chat"], template=GO_TEMPLATE),
            "rendered": Published(models["chat"], renderer="chatml"),
            "thinker": Published(models["chat"], template=GO_TEMPLATE, capabilities=("completion", "thinking")),
            "small": Published(models["noise"], parameters={"num_ctx": 100, "stop": ["<|im_end|>"]}),
        }
    )
    with server:
        yield server


def sent(standin):
    path, body = standin.requests[-1]
    return path, body


def test_a_model_without_a_template_gets_the_bare_prompt(opened, standin):
    backend = opened("tester:v1")
    answer = backend.complete(PROMPT, Sampling())
    assert (answer.text, answer.finish) == ("".join(LINES), "stop")
    assert (answer.prompt_tokens, answer.completion_tokens) == (len(PROMPT), len(LINES))
    path, body = sent(standin)
    assert path == "/api/generate"
    assert (body["prompt"], body["raw"], body["model"]) == (PROMPT, True, "tester:v1")
    assert not {"system", "template", "context", "suffix"} & set(body)


def test_what_is_served_is_named_by_its_digest(opened, standin):
    backend = opened("ollama/tester:v1")
    assert backend.tag == "tester:v1"
    assert backend.revision == standin.find("tester:v1").served.digest[:12]
    assert backend.context == 1024
    assert backend.count_tokens("abc") is None


@pytest.mark.parametrize("tag", ["chat:7b", "rendered:latest"])
def test_a_chat_model_gets_the_prompt_as_its_one_user_message(opened, standin, tag):
    answer = opened(tag).complete(PROMPT, Sampling())
    assert answer.text == "".join(LINES)
    path, body = sent(standin)
    assert path == "/api/chat"
    assert body["messages"] == [{"role": "user", "content": PROMPT}]
    assert "think" not in body


def test_a_thinking_model_is_asked_not_to(opened, standin):
    opened("thinker").complete(PROMPT, Sampling())
    assert sent(standin)[1]["think"] is False


def test_sampling_is_sent_in_full_and_nothing_else_shapes_the_text(opened, standin):
    opened("noise").complete(PROMPT, Sampling(temperature=0.5, top_p=0.9, seed=7, max_tokens=5, stop=("\n\n",)))
    assert sent(standin)[1]["options"] == {
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 7,
        "num_predict": 5,
        "stop": ["\n\n"],
        "num_ctx": 512,
        "top_k": 0,
        "min_p": 0.0,
        "repeat_penalty": 1.0,
    }
    opened("noise").complete(PROMPT, Sampling(max_tokens=5))
    assert "stop" not in sent(standin)[1]["options"]  # an empty list would take the model's own away


@pytest.mark.parametrize("name", ["noise", "bos", "chat"])
def test_the_answer_is_that_of_the_same_file_in_process(opened, models, name):
    tag = {"noise": "noise", "bos": "bos", "chat": "chat:7b"}[name]
    sampling = Sampling(max_tokens=40)
    here = open_backend(f"gguf:{models[name]}")
    served = opened(tag).complete(PROMPT, sampling)
    expected = here.complete(PROMPT, sampling)
    assert (served.text, served.prompt_tokens) == (expected.text, expected.prompt_tokens)
    assert served.finish == expected.finish
    here.close()


def test_the_limit_is_told_from_an_end(opened):
    answer = opened("tester:v1").complete(PROMPT, Sampling(max_tokens=1))
    assert (answer.text, answer.finish, answer.completion_tokens) == (LINES[0], "length", 1)


def test_the_context_is_the_published_one_else_the_trained_up_to_the_configured(opened):
    assert opened("small").context == 100
    assert opened("tester:v1", max_context=300).context == 300


def test_a_prompt_that_ollama_would_cut_silently_is_an_error(opened):
    backend = opened("noise")
    with pytest.raises(PromptTooLong) as caught:
        backend.complete("x" * 600, Sampling(max_tokens=5))
    assert caught.value.message == "Ollama cut the prompt: noise:latest takes 512 tokens, prompt and answer together"
    assert caught.value.hint == "give it a smaller function or class, or raise max_context under [server]"


def test_no_server(models):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(BackendUnavailable) as caught:
        open_backend("llama3", ModelConfig(base_url=url))
    assert (caught.value.message, caught.value.hint) == (f"Ollama does not answer at {url}", "start it: ollama serve")


def test_an_unknown_model_lists_those_that_are_there(opened, standin):
    with pytest.raises(UnknownModel) as caught:
        opened("nope:7b")
    names = "bos:latest, chat:7b, noise:latest, rendered:latest, small:latest, tester:v1, thinker:latest"
    assert caught.value.message == f"Ollama at {standin.url} has no nope:7b; it has {names}"
    assert caught.value.hint == "ollama pull nope:7b"
    with OllamaStandIn({}) as url, pytest.raises(UnknownModel, match="it has no model at all"):
        open_backend("nope:7b", ModelConfig(base_url=url))


def test_another_server_at_that_address_is_told_from_ollama(opened, standin):
    with pytest.raises(BackendUnavailable) as caught:
        open_backend("tester:v1", ModelConfig(base_url=f"{standin.url}/v1"))
    assert caught.value.message == f"what answers at {standin.url}/v1 is not Ollama (HTTP 404)"
    assert "check base_url" in caught.value.hint


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"other": 1}'])
def test_an_answer_that_is_not_ollamas_is_told_too(body):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with pytest.raises(BackendUnavailable, match="is not Ollama"):
            open_backend("llama3", ModelConfig(base_url=f"http://127.0.0.1:{server.server_address[1]}"))
        thread.join()


def test_an_error_in_the_middle_of_an_answer_is_an_error(opened, standin):
    backend = opened("tester:v1")
    standin.fault = "error"
    with pytest.raises(GenerationFailed) as caught:
        backend.complete(PROMPT, Sampling())
    assert caught.value.message == (
        "Ollama failed while tester:v1 was answering: llama runner process has terminated: exit status 2"
    )


def test_a_server_that_dies_half_way_is_an_error(opened, standin):
    backend = opened("tester:v1")
    standin.fault = "drop"
    with pytest.raises(GenerationFailed) as caught:
        backend.complete(PROMPT, Sampling())
    assert caught.value.message == f"the connection to Ollama at {standin.url} broke off"
    assert caught.value.hint == "start it: ollama serve"
    standin.fault = "end"
    with pytest.raises(GenerationFailed, match=r"the answer of tester:v1 broke off: .* closed the stream"):
        backend.complete(PROMPT, Sampling())
    standin.fault = None
    assert backend.complete(PROMPT, Sampling()).text == "".join(LINES)


def test_a_server_that_stalls_runs_into_the_timeout(opened, standin):
    backend = opened("tester:v1", timeout_seconds=1.0)
    standin.fault = "stall"
    began = time.monotonic()
    with pytest.raises(GenerationFailed, match=r"tester:v1 did not answer within 1 s"):
        backend.complete(PROMPT, Sampling())
    assert time.monotonic() - began < 30


def test_an_answer_that_never_ends_runs_into_the_timeout(opened, standin):
    backend = opened("noise")
    backend._seconds = 0.0001  # the whole answer's; each piece may take as long as before
    with pytest.raises(GenerationFailed, match=r"did not finish within 0\.0001 s"):
        backend.complete(PROMPT, Sampling(max_tokens=300))


def test_a_server_that_went_away_after_it_was_opened(models):
    with OllamaStandIn({"tester": models["chain"]}) as url:
        backend = open_backend("tester", ModelConfig(base_url=url))
    with pytest.raises(GenerationFailed, match="broke off"):
        backend.complete(PROMPT, Sampling())
    backend.close()


@pytest.mark.parametrize(
    ("base_url", "environment", "url"),
    [
        (None, None, "http://127.0.0.1:11434"),
        (None, "box", "http://box:11434"),
        (None, "box:8080", "http://box:8080"),
        (None, "https://box/", "https://box"),
        (None, "[::1]", "http://[::1]:11434"),
        ("http://other:1", "box", "http://other:1"),
    ],
)
def test_where_the_server_is_looked_for(monkeypatch, base_url, environment, url):
    if environment:
        monkeypatch.setenv("OLLAMA_HOST", environment)
    assert host_url(ModelConfig(base_url=base_url)) == url


@pytest.mark.parametrize("host", ["box:port", "ftp://box", "http://", "http://box:99999999"])
def test_an_address_that_is_none_is_refused(monkeypatch, host):
    monkeypatch.setenv("OLLAMA_HOST", host)
    with pytest.raises(ConfigError, match="is not the address of a server"):
        open_backend("llama3")


def test_a_server_on_this_machine_is_never_asked_through_a_proxy(opened, monkeypatch):
    assert not through_proxy("http://localhost:11434")
    assert not through_proxy("http://[::1]:11434")
    assert through_proxy("https://example.org")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert opened("tester:v1").complete(PROMPT, Sampling()).text == "".join(LINES)


@pytest.mark.live
def test_a_real_ollama_answers():
    """Runs against the server of OLLAMA_HOST (default: this machine's) with its first model, if there is one."""
    config = ModelConfig(base_url=LIVE_HOST)
    tags = served(config, seconds=0.5)
    if not tags:
        pytest.skip("no Ollama server with a model answers")
    backend = open_backend(f"ollama/{tags[0]}", config)
    answer = backend.complete(PROMPT, Sampling(max_tokens=8))
    assert answer.completion_tokens
    assert len(backend.revision) == 12
    backend.close()
