"""The stand-in against Ollama's documentation: field names, streams, counts, errors."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import children
import pytest
import tiny_gguf
from ollama_server import OllamaStandIn, Published
from tiny_gguf import LINES, PROMPT


@pytest.fixture(scope="module")
def standin(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    chain = tiny_gguf.write(folder / "chain.gguf", lines=LINES)
    chat = tiny_gguf.write(folder / "chat.gguf", lines=LINES, chat_template=tiny_gguf.CHAT_TEMPLATE)
    noise = tiny_gguf.write(folder / "noise.gguf", context=128)
    server = OllamaStandIn(
        {
            "tester": chain,
            "chat:7b": Published(chat, template="x{{ .Prompt }}"),
            "go": Published(chain, "y"),
            "noise": noise,
        }
    )
    with server:
        yield server


def ask(standin, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(standin.url + path, data), timeout=30) as answer:
            text = answer.read().decode()
            return answer.status, answer.headers["Content-Type"], [json.loads(line) for line in text.splitlines()]
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"], error.read().decode()


def one(standin, path, body=None):
    status, _, parts = ask(standin, path, body)
    assert status == 200
    assert len(parts) == 1
    return parts[0]


COUNTS = {"total_duration", "load_duration", "prompt_eval_count", "prompt_eval_duration", "eval_count", "eval_duration"}


def test_version_tags_and_show_have_the_documented_fields(standin):
    assert set(one(standin, "/api/version")) == {"version"}
    tags = one(standin, "/api/tags")["models"]
    assert {tag["name"] for tag in tags} == {"tester:latest", "chat:7b", "go:latest", "noise:latest"}
    assert set(tags[0]) == {"name", "model", "modified_at", "size", "digest", "details"}
    assert len(tags[0]["digest"]) == 64
    assert tags[0]["size"] == standin.find("tester").published.path.stat().st_size
    shown = one(standin, "/api/show", {"model": "TESTER"})
    assert shown["template"] == "{{ .Prompt }}"
    assert shown["details"]["format"] == "gguf"
    assert shown["details"]["families"] == ["llama"]
    assert shown["model_info"]["general.architecture"] == "llama"
    assert shown["model_info"]["llama.context_length"] == 1024
    assert shown["model_info"]["tokenizer.ggml.tokens"] is None
    assert shown["capabilities"] == ["completion"]


def test_generate_streams_parts_and_ends_with_the_counts(standin):
    status, kind, parts = ask(standin, "/api/generate", {"model": "tester", "prompt": PROMPT, "raw": True})
    assert (status, kind) == (200, "application/x-ndjson")
    assert [part["response"] for part in parts] == [*LINES, ""]
    assert [part["done"] for part in parts] == [False] * 3 + [True]
    assert set(parts[0]) == {"model", "created_at", "response", "done"}
    last = parts[-1]
    assert set(last) >= COUNTS | {"done_reason"}
    assert (last["done_reason"], last["prompt_eval_count"], last["eval_count"]) == ("stop", len(PROMPT), 3)
    assert last["model"] == "tester"


def test_without_streaming_the_answer_is_one_object(standin):
    whole = one(standin, "/api/generate", {"model": "tester", "prompt": PROMPT, "stream": False})
    assert whole["response"] == "".join(LINES)
    assert set(whole) >= COUNTS
    whole = one(
        standin, "/api/chat", {"model": "chat:7b", "messages": [{"role": "user", "content": PROMPT}], "stream": False}
    )
    assert whole["message"] == {"role": "assistant", "content": "".join(LINES)}


def test_options_act(standin):
    def run(name="tester", **options):
        body = {"model": name, "prompt": PROMPT, "raw": True, "stream": False, "options": options}
        return one(standin, "/api/generate", body)

    assert run(num_predict=1)["done_reason"] == "length"
    assert run(stop=["assert"])["response"] == "".join(LINES).partition("assert")[0]
    assert run("noise", num_ctx=20, num_predict=1)["prompt_eval_count"] == 20  # cut, and nothing said
    full = run("noise", num_predict=-1, temperature=0)
    assert (full["done_reason"], full["eval_count"]) == ("length", 128 - len(PROMPT))
    assert run("noise", seed=1, num_predict=20)["response"] == run("noise", seed=1, num_predict=20)["response"]
    assert run("noise", seed=1, num_predict=20)["response"] != run("noise", seed=2, num_predict=20)["response"]


def test_a_stop_text_that_spans_two_parts_is_never_shown(standin):
    body = {"model": "tester", "prompt": PROMPT, "raw": True, "options": {"stop": ["pytest\n\ndef"]}}
    assert [part["response"] for part in ask(standin, "/api/generate", body)[2]] == ["import ", ""]


@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [
        ("/api/generate", {"model": "x", "prompt": "a"}, 404, "model 'x' not found"),
        ("/api/chat", {"model": "x:1", "messages": []}, 404, "model 'x:1' not found"),
        ("/api/show", {"model": "x"}, 404, "model 'x' not found"),
        ("/api/show", {}, 400, "model is required"),
        (
            "/api/generate",
            {"model": "tester", "prompt": "a", "raw": True, "system": "s"},
            400,
            "raw mode does not support template, system, or context",
        ),
        (
            "/api/generate",
            {"model": "tester", "prompt": "a", "raw": True, "options": {"temperature": "hot"}},
            400,
            'option "temperature" must be of type float32',
        ),
        ("/api/chat", {"model": "tester", "messages": [], "think": True}, 400, '"tester" does not support thinking'),
    ],
)
def test_errors_have_ollamas_status_and_body(standin, path, body, status, error):
    answered, _, text = ask(standin, path, body)
    assert (answered, json.loads(text)) == (status, {"error": error})


def test_a_go_template_is_not_imitated(standin):
    message = {"role": "user", "content": PROMPT}
    assert ask(standin, "/api/chat", {"model": "go", "messages": [message]})[0] == 501
    assert ask(standin, "/api/generate", {"model": "tester", "prompt": "a", "template": "{{ .Prompt }}!"})[0] == 501


def test_an_empty_prompt_loads_the_model(standin):
    assert one(standin, "/api/generate", {"model": "tester"})["done_reason"] == "load"
    assert one(standin, "/api/chat", {"model": "tester", "messages": [], "keep_alive": 0})["done_reason"] == "unload"


def test_other_paths_and_the_greeting(standin):
    assert ask(standin, "/api/nothing")[0] == 404
    with urllib.request.urlopen(standin.url, timeout=5) as answer:
        assert answer.read() == b"Ollama is running"


@pytest.mark.parametrize("script", ["ollama_server.py", "openai_server.py"])
def test_a_stand_in_runs_from_the_command_line(standin, script):
    path = standin.find("tester").published.path
    command = [sys.executable, Path(__file__).with_name(script), "--model", f"tester={path}", "--port", "0"]
    with children.started(command, stdout=subprocess.PIPE) as process:
        line = process.stdout.readline()
        url = line.split(" at ")[1].split()[0]
        listed = "/api/tags" if script.startswith("ollama") else "/models"
        with urllib.request.urlopen(url + listed, timeout=20) as answer:
            assert "tester" in answer.read().decode()
