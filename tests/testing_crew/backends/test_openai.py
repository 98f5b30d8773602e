import socket

import pytest
from openai_server import OpenAIStandIn
from tiny_gguf import LINES, PROMPT

from testing_crew.backends import ModelConfig, Sampling, open_backend
from testing_crew.errors import BackendUnavailable, ConfigError, GenerationFailed, PromptTooLong, UnknownModel


@pytest.fixture
def standin(models):
    server = OpenAIStandIn(
        {"base": models["chain"], "org/chat": models["chat"], "noise": models["noise"]},
        unlisted={"hidden": models["chain"]},
    )
    with server:
        yield server


def test_a_chat_model_gets_the_prompt_as_its_one_user_message(opened, standin):
    backend = opened("openai/org/chat")
    answer = backend.complete(PROMPT, Sampling(max_tokens=100))
    assert (answer.text, answer.finish, answer.completion_tokens) == ("".join(LINES), "stop", len(LINES))
    path, body = standin.requests[-1]
    assert path == "/v1/chat/completions"
    assert body == {
        "model": "org/chat",
        "messages": [{"role": "user", "content": PROMPT}],
        "temperature": 0.0,
        "top_p": 0.95,
        "seed": 0,
        "max_tokens": 100,
        "top_k": 0,
        "min_p": 0.0,
        "repeat_penalty": 1.0,
        "repetition_penalty": 1.0,
    }
    assert (backend.tag, backend.revision, backend.context) == ("openai/org/chat", "org/chat", 1024)
    assert backend.count_tokens("abc") is None


def test_a_model_without_a_chat_template_gets_the_bare_prompt(opened, standin):
    backend = opened("openai/base")
    for _ in range(2):
        answer = backend.complete(PROMPT, Sampling(max_tokens=100))
        assert (answer.text, answer.prompt_tokens) == ("".join(LINES), len(PROMPT))
    assert [path for path, _ in standin.requests] == ["/v1/chat/completions", "/v1/completions", "/v1/completions"]
    assert standin.requests[-1][1]["prompt"] == PROMPT


def test_a_server_without_chat_is_asked_for_completions(models):
    with OpenAIStandIn({"chat": models["chat"]}, missing=("/v1/chat/completions",)) as url:
        backend = open_backend("openai/chat", ModelConfig(base_url=url))
        assert backend.complete(PROMPT, Sampling(max_tokens=100)).text == "".join(LINES)
        backend.close()


def test_the_configured_api_is_kept(opened, standin):
    opened("openai/org/chat", api="completions").complete(PROMPT, Sampling(max_tokens=100))
    assert standin.requests[-1][0] == "/v1/completions"
    with pytest.raises(GenerationFailed, match="you must provide a chat template"):
        opened("openai/base", api="chat").complete(PROMPT, Sampling(max_tokens=100))


def test_the_answer_is_that_of_the_same_file_in_process(opened, models):
    sampling = Sampling(max_tokens=40)
    here = open_backend(f"gguf:{models['noise']}")
    answer = opened("openai/noise").complete(PROMPT, sampling)
    assert answer.text == here.complete(PROMPT, sampling).text
    assert answer.finish == "length"
    here.close()


def test_sampling_is_sent_in_full(opened, standin):
    sampling = Sampling(temperature=0.5, top_p=0.9, seed=7, max_tokens=5, stop=("\n\n",))
    opened("openai/org/chat").complete(PROMPT, sampling)
    body = standin.requests[-1][1]
    assert {key: body[key] for key in ("temperature", "top_p", "seed", "max_tokens", "stop")} == {
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 7,
        "max_tokens": 5,
        "stop": ["\n\n"],
    }


@pytest.mark.parametrize(
    ("status", "message", "kept"),
    [
        (400, "Unrecognized request argument supplied: top_k", {"min_p", "repeat_penalty", "repetition_penalty"}),
        (400, "top_k must be -1 (disable), or at least 1, got 0.", {"min_p", "repeat_penalty", "repetition_penalty"}),
        (422, "Extra inputs are not permitted", set()),
    ],
)
def test_a_strict_server_is_not_sent_again_what_it_refused(opened, standin, status, message, kept):
    backend = opened("openai/org/chat")
    standin.answers = [(status, {"error": {"message": message}})]
    for _ in range(2):
        assert backend.complete(PROMPT, Sampling(max_tokens=100)).text == "".join(LINES)
        assert {"top_k", "min_p", "repeat_penalty", "repetition_penalty"} & set(standin.requests[-1][1]) == kept
    assert len(standin.requests) == 3


def test_a_server_that_wants_the_newer_name_of_the_limit_gets_it(opened, standin):
    backend = opened("openai/org/chat")
    standin.answers = [
        (400, {"error": {"message": "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."}})
    ]
    assert backend.complete(PROMPT, Sampling(max_tokens=100)).text == "".join(LINES)
    assert standin.requests[-1][1]["max_completion_tokens"] == 100


def test_without_a_named_server_nothing_is_sent():
    with pytest.raises(ConfigError) as caught:
        open_backend("openai/gpt-4o")
    assert caught.value.message == "openai/gpt-4o needs a server, and nothing is sent anywhere until you name one"
    assert "set base_url under [server] in testing_crew.toml, or OPENAI_BASE_URL" in caught.value.hint
    assert "https://api.openai.com/v1" in caught.value.hint
    with pytest.raises(ConfigError, match="is not a server's URL"):
        open_backend("openai/x", ModelConfig(base_url="localhost:8000"))


def test_the_environment_may_name_the_server(standin, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", standin.url)
    backend = open_backend("openai/org/chat")
    assert backend.complete(PROMPT, Sampling(max_tokens=100)).text == "".join(LINES)
    backend.close()


def test_no_server():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(BackendUnavailable) as caught:
        open_backend("openai/x", ModelConfig(base_url=url))
    assert caught.value.message == f"no OpenAI-compatible server answers at {url}"
    assert caught.value.hint == "start it, or correct base_url under [server]"


def test_an_unknown_model_lists_those_that_are_there(opened, standin):
    with pytest.raises(UnknownModel) as caught:
        opened("openai/nope")
    assert caught.value.message == f"{standin.url} has no model nope"
    assert caught.value.hint == "its models: base, org/chat, noise"
    assert standin.requests[-1][1]["messages"] == [{"role": "user", "content": "#"}]  # no work was sent to find out


def test_a_model_that_is_served_but_not_listed_is_taken(opened):
    assert opened("openai/hidden").complete(PROMPT, Sampling(max_tokens=100)).text == "".join(LINES)


def test_a_server_that_lists_nothing_is_taken_at_its_word(models):
    with OpenAIStandIn({"chat": models["chat"]}, missing=("/v1/models",)) as url:
        backend = open_backend("openai/chat", ModelConfig(base_url=url))
        assert backend.complete(PROMPT, Sampling(max_tokens=100)).text == "".join(LINES)
        backend.close()
        backend = open_backend("openai/nope", ModelConfig(base_url=url))
        with pytest.raises(UnknownModel) as caught:
            backend.complete(PROMPT, Sampling(max_tokens=100))
        assert caught.value.hint == "its models: it does not say which"
        backend.close()


def test_a_wrong_key_and_a_right_one(models, monkeypatch):
    with OpenAIStandIn({"chat": models["chat"]}, key="secret") as url:
        with pytest.raises(BackendUnavailable) as caught:
            open_backend("openai/chat", ModelConfig(base_url=url))
        assert caught.value.message == f"{url} refuses the API key (401: Incorrect API key provided.)"
        assert caught.value.hint == "set OPENAI_API_KEY"
        monkeypatch.setenv("OPENAI_API_KEY", "secret")
        backend = open_backend("openai/chat", ModelConfig(base_url=url))
        assert backend.complete(PROMPT, Sampling(max_tokens=100)).text == "".join(LINES)
        backend.close()


def test_a_url_that_is_not_the_api(standin):
    backend = open_backend("openai/org/chat", ModelConfig(base_url=standin.url.removesuffix("/v1")))
    with pytest.raises(BackendUnavailable) as caught:
        backend.complete(PROMPT, Sampling())
    assert caught.value.message.endswith("is not an OpenAI-compatible API")
    assert caught.value.hint == "base_url under [server] usually ends in /v1"
    backend.close()


def test_a_prompt_that_does_not_fit(opened):
    with pytest.raises(PromptTooLong, match="maximum context length is 512 tokens"):
        opened("openai/noise").complete("x" * 600, Sampling())


def test_a_limit_that_does_not_fit_beside_the_prompt_is_lowered(opened, standin):
    answer = opened("openai/org/chat").complete(PROMPT, Sampling(max_tokens=1024))
    assert answer.text == "".join(LINES)
    assert [body["max_tokens"] for _, body in standin.requests] == [1024, 512]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((500, {"error": {"message": "CUDA out of\nmemory"}}), "answered 500: CUDA out of memory"),
        ((429, {"error": {"message": "slow down"}}), "answered 429: slow down"),
        ((200, {"error": {"message": "upstream failed"}}), "sent an answer without a text: .*upstream failed"),
        ((200, {"choices": []}), "sent an answer without a text"),
        ((200, "<html>"), "sent an answer without a text"),
        ((400, {"error": {"message": "temperature is not supported"}}), "answered 400: temperature is not supported"),
    ],
)
def test_a_failing_server_is_a_failed_generation(opened, standin, answer, says):
    backend = opened("openai/org/chat")
    before = len(standin.requests)
    standin.answers = [answer, answer]
    with pytest.raises(GenerationFailed, match=says) as caught:
        backend.complete(PROMPT, Sampling())
    assert "\n" not in caught.value.message
    assert len(standin.requests) - before <= 2  # tried again once at most


def test_a_slow_server_runs_into_the_timeout(opened, standin):
    backend = opened("openai/org/chat", timeout_seconds=0.5)
    standin.delay = 1.0
    with pytest.raises(GenerationFailed, match=r"openai/org/chat did not answer within 0\.5 s"):
        backend.complete(PROMPT, Sampling())
    assert len(standin.requests) == 2


def test_a_server_that_went_away(models):
    with OpenAIStandIn({"chat": models["chat"]}) as url:
        backend = open_backend("openai/chat", ModelConfig(base_url=url))
    with pytest.raises(GenerationFailed, match=r"the connection to .* broke off"):
        backend.complete(PROMPT, Sampling())
    backend.close()
