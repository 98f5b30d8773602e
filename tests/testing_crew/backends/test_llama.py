import builtins
import hashlib
import json
import os
import sys
import threading

import children
import pytest
import tiny_gguf
from tiny_gguf import LINES, PROMPT

from testing_crew import prompt
from testing_crew.backends import ModelConfig, Sampling, llama, open_backend
from testing_crew.errors import BackendUnavailable, GenerationFailed, PromptTooLong, UnknownModel
from testing_crew.prompt import PROMPT_VERSION

CODE = "def add(a, b):\n    return a + b\n" * 5


@pytest.fixture
def opened(models):
    """Open gguf: models by their short name, and close them after the test."""
    backends = []

    def _open(name, **config):
        backends.append(open_backend(f"gguf:{models[name]}", ModelConfig(**config)))
        return backends[-1]

    yield _open
    for backend in backends:
        backend.close()


def test_a_model_continues_the_prompt_to_the_letter(opened, models):
    backend = opened("chain")
    answer = backend.complete(PROMPT, Sampling())
    assert answer.text == "".join(LINES)
    assert (answer.prompt_tokens, answer.completion_tokens, answer.finish) == (len(PROMPT), len(LINES), "stop")
    assert answer.seconds > 0
    assert backend.tag == f"gguf:{models['chain']}"
    assert backend.revision == hashlib.sha256(models["chain"].read_bytes()).hexdigest()[:12]
    assert backend.context == 1024


def test_nothing_is_added_to_a_raw_prompt_but_the_models_own_first_token(opened):
    assert opened("chain").prompt_tokens(PROMPT) == list(PROMPT.encode())
    assert opened("bos").prompt_tokens(PROMPT) == [tiny_gguf.BOS, *PROMPT.encode()]
    assert opened("noise").prompt_tokens("a<|im_end|>b") == [97, 259, 98]


def test_a_chat_model_gets_the_prompt_as_its_one_user_message(opened):
    backend = opened("chat")
    assert backend.prompt_tokens(PROMPT) == [258, *b"user\n", *PROMPT.encode(), 259, 10, 258, *b"assistant\n"]
    assert backend.complete(PROMPT, Sampling()).text == "".join(LINES)


def test_our_own_models_are_served_raw_whatever_their_metadata_says(models, tmp_path, monkeypatch):
    home = tmp_path / "home" / "models" / "tester" / "v1"
    home.mkdir(parents=True)
    (home / "model.gguf").write_bytes(models["chat"].read_bytes())
    shipped = tmp_path / "embedded.gguf"
    shipped.write_bytes(models["chat"].read_bytes())
    monkeypatch.setattr(llama, "embedded_file", lambda: shipped)
    for tag in ("local/tester:v1", "embedded"):
        backend = open_backend(tag)
        assert backend.tag == tag
        assert backend.prompt_tokens(PROMPT) == list(PROMPT.encode())
        backend.close()


def test_a_model_is_asked_in_the_version_of_the_prompt_that_it_was_trained_on(models, tmp_path):
    for name, note in (
        ("old", {"prompt_version": 1}),
        ("new", {"prompt_version": 2}),
        ("none", {}),
        ("later", {"prompt_version": 99}),
    ):
        home = tmp_path / "home" / "models" / name / "v1"
        home.mkdir(parents=True)
        (home / "model.gguf").write_bytes(models["noise"].read_bytes())
        (home / "export.json").write_text(json.dumps(note))
    with pytest.raises(BackendUnavailable, match="was trained on version 99 of the prompt"):
        open_backend("local/later:v1")
    for tag, version in (("embedded", 3), ("local/old:v1", 1), ("local/new:v1", 2), ("local/none:v1", PROMPT_VERSION)):
        backend = open_backend(tag)
        assert backend.prompt_version == version
        backend.close()


def test_greedy_answers_are_the_same_every_time_and_after_other_prompts(opened):
    backend = opened("noise")
    sampling = Sampling(max_tokens=60)
    first = backend.complete(PROMPT + CODE, sampling)
    backend.complete("something else\n", sampling)
    assert backend.complete(PROMPT + CODE, sampling).text == first.text
    assert backend.complete(PROMPT + CODE, Sampling(max_tokens=60, seed=7, top_p=0.1)).text == first.text
    assert opened("noise").complete(PROMPT + CODE, sampling).text == first.text


def test_a_seed_gives_the_same_sample_and_another_seed_another(opened):
    backend = opened("noise")
    one, two = (Sampling(temperature=1.0, max_tokens=60, seed=seed) for seed in (0, 1))
    first = backend.complete(PROMPT, one).text
    assert backend.complete(PROMPT, two).text != first
    assert backend.complete(PROMPT, one).text == first


def test_a_tiny_top_p_leaves_only_the_likeliest(opened):
    backend = opened("noise")
    greedy = backend.complete(PROMPT, Sampling(max_tokens=30)).text
    assert backend.complete(PROMPT, Sampling(max_tokens=30, temperature=1.0, top_p=1e-6)).text == greedy


def test_the_beginning_of_a_prompt_is_not_read_twice(opened):
    backend = opened("noise")
    backend.complete(CODE + "first", Sampling(max_tokens=1))
    read = []
    inner = backend._llama.eval
    backend._llama.eval = lambda tokens: (read.append(len(tokens)), inner(tokens))
    backend.complete(CODE + "second", Sampling(max_tokens=1))
    assert read == [len("second")]


REPAIR = """from mathx import add


@pytest.mark.parametrize("a, b, expected", [
    (1, 2, 4),  # got 3
    (0, 0, 1),  # got 0
    (-1, 1, 1),  # got 0
])
def test_add(a, b, expected):
    assert add(a, b) == expected"""


def test_a_repair_is_guessed_from_its_prompt_and_the_answer_stays_the_same(monkeypatch):
    asked = prompt.repair(
        "# module: mathx\n# unit: add\ndef add(a, b):\n    return a + b\n",
        REPAIR,
        "test_add(1, 2, 4): got 3, expected 4",
    )
    answers, steps = [], []
    for bound in (llama._LOOKUP_BYTES, 0):
        monkeypatch.setattr(llama, "_LOOKUP_BYTES", bound)
        backend = open_backend("embedded")
        read, count = backend._llama.eval, []
        monkeypatch.setattr(
            backend._llama, "eval", lambda tokens, read=read, count=count: count.append(1) or read(tokens)
        )
        answers.append(backend.complete(asked, Sampling()))
        steps.append(len(count))
        drawn = backend.complete(asked, Sampling(temperature=0.8, seed=3))
        assert backend.complete(asked, Sampling(temperature=0.8, seed=3)).text == drawn.text
        backend.close()
    assert answers[0].text == answers[1].text
    assert answers[0].completion_tokens == answers[1].completion_tokens
    assert steps[0] < steps[1] / 1.5


def test_the_answer_ends_at_the_limit_or_at_a_stop_text(opened):
    backend = opened("chain")
    cut = backend.complete(PROMPT, Sampling(max_tokens=2))
    assert (cut.text, cut.finish, cut.completion_tokens) == ("".join(LINES[:2]), "length", 2)
    stopped = backend.complete(PROMPT, Sampling(stop=("nowhere", "assert", "pytest\n\ndef test")))
    assert (stopped.text, stopped.finish) == ("import ", "stop")


def test_a_letter_cut_in_two_is_left_out_and_a_long_token_is_whole(tmp_path):
    spaces = "x" + " " * 200
    file = tiny_gguf.write(tmp_path / "long.gguf", lines=[spaces, "é\n"])
    backend = open_backend(f"gguf:{file}")
    assert backend.complete(PROMPT, Sampling()).text == spaces + "é\n"
    backend.close()
    assert llama.codecs.getincrementaldecoder("utf-8")("replace").decode("aé".encode()[:-1]) == "a"


def test_tokens_are_counted(opened):
    assert opened("bos").count_tokens("abcé") == 5


def test_a_prompt_that_does_not_fit_names_both_numbers(opened):
    backend = opened("noise")
    with pytest.raises(PromptTooLong) as caught:
        backend.complete("x" * 500, Sampling())
    assert caught.value.message == f"the prompt has 500 tokens, and {backend.tag} takes 512 with the answer"
    assert caught.value.hint == "give it a smaller function or class, or use a model with a longer context"
    few = backend.complete("x" * 500, Sampling(max_tokens=8))
    assert few.completion_tokens == 8
    whole = backend.complete("x" * 448, Sampling(max_tokens=1024))
    assert (whole.completion_tokens, whole.finish) == (64, "length")
    assert backend.complete(PROMPT, Sampling(max_tokens=3)).completion_tokens == 3


def test_the_context_is_the_models_own_up_to_the_configured_one(opened):
    assert opened("chain").context == 1024
    backend = opened("chain", max_context=300)
    assert backend.context == 300
    with pytest.raises(PromptTooLong, match="takes 300 with the answer"):
        backend.complete("x" * 290, Sampling())


def test_two_threads_do_not_disturb_each_other(opened):
    backend = opened("noise")
    prompts = [PROMPT, CODE]
    alone = [backend.complete(prompt, Sampling(max_tokens=30)).text for prompt in prompts]
    together = [[], []]

    def ask(number):
        for _ in range(5):
            together[number].append(backend.complete(prompts[number], Sampling(max_tokens=30)).text)

    threads = [threading.Thread(target=ask, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == [[alone[0]] * 5, [alone[1]] * 5]


def test_a_failure_inside_llama_cpp_costs_one_answer_only(opened):
    backend = opened("noise")
    before = backend.complete(PROMPT, Sampling(max_tokens=10)).text
    inner = backend._llama.eval

    def fail(tokens):
        raise RuntimeError("llama_decode returned -3")

    backend._llama.eval = fail
    with pytest.raises(GenerationFailed, match=r"llama\.cpp failed while generating: llama_decode returned -3"):
        backend.complete(CODE, Sampling(max_tokens=10))
    backend._llama.eval = inner
    assert backend.complete(PROMPT, Sampling(max_tokens=10)).text == before


def test_a_closed_model_says_so_and_may_be_closed_again(opened):
    backend = opened("noise")
    backend.close()
    backend.close()
    with pytest.raises(GenerationFailed, match="was closed"):
        backend.complete(PROMPT, Sampling())


def test_a_model_that_is_not_there(tmp_path, models):
    with pytest.raises(UnknownModel) as caught:
        open_backend(f"gguf:{tmp_path}/no.gguf")
    assert caught.value.message == f"there is no file {tmp_path}/no.gguf"
    with pytest.raises(UnknownModel) as caught:
        open_backend("local/tester:v2")
    assert (caught.value.message, caught.value.hint) == ("the registry has no local/tester:v2", "its models: none yet")
    there = tmp_path / "home" / "models" / "tester" / "v1"
    there.mkdir(parents=True)
    (there / "model.gguf").write_bytes(b"")
    with pytest.raises(UnknownModel) as caught:
        open_backend("local/tester:v2")
    assert caught.value.hint == "its models: local/tester:v1"


def test_a_missing_embedded_model_says_what_builds_it(tmp_path, monkeypatch):
    monkeypatch.setattr(llama, "embedded_file", lambda: tmp_path / "model.gguf")
    with pytest.raises(BackendUnavailable) as caught:
        open_backend("embedded")
    assert caught.value.message == "the embedded model is not in this installation"
    assert caught.value.hint == "build it: runs/embedded.sh"


def test_a_truncated_file_is_refused_in_one_line(models, tmp_path):
    file = tmp_path / "cut.gguf"
    whole = models["noise"].read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BackendUnavailable) as caught:
        open_backend(f"gguf:{file}")
    expected = f"{file} cannot be loaded: it is cut short: {len(whole) // 2} bytes of {len(whole)}"
    assert caught.value.message == expected
    assert caught.value.hint == "fetch or export the file again"


def test_a_folder_in_place_of_a_file(tmp_path):
    with pytest.raises(BackendUnavailable, match="cannot be read: Is a directory"):
        open_backend(f"gguf:{tmp_path}")


def test_wrong_metadata_is_refused_before_llama_cpp_sees_it(models, tmp_path):
    data = models["noise"].read_bytes()
    at = data.index(b"llama.block_count") + len(b"llama.block_count") + 4
    file = tmp_path / "layers.gguf"
    file.write_bytes(data[:at] + b"\x02\x09\x00\x00" + data[at + 4 :])
    with pytest.raises(BackendUnavailable, match="it says that it has 2306 layers, and has fewer"):
        open_backend(f"gguf:{file}")


def test_what_llama_cpp_refuses_is_told_in_its_own_words(models, tmp_path):
    file = tmp_path / "strange.gguf"
    file.write_bytes(
        models["noise"]
        .read_bytes()
        .replace(b"\x05\x00\x00\x00\x00\x00\x00\x00llama", b"\x05\x00\x00\x00\x00\x00\x00\x00llamb", 1)
    )
    with pytest.raises(BackendUnavailable) as caught:
        open_backend(f"gguf:{file}")
    assert "llama.cpp says: " in caught.value.message
    assert "unknown model architecture: 'llamb'" in caught.value.message
    assert "\n" not in caught.value.message


def test_a_broken_chat_template_is_not_a_crash(tmp_path):
    file = tiny_gguf.write(tmp_path / "bad.gguf", chat_template="{% for %}")
    with pytest.raises(BackendUnavailable, match="cannot be loaded"):
        open_backend(f"gguf:{file}")
    file = tiny_gguf.write(tmp_path / "raises.gguf", chat_template="{{ raise_exception('no user here') }}")
    backend = open_backend(f"gguf:{file}")
    with pytest.raises(GenerationFailed, match=r"the chat template of .* fails: no user here"):
        backend.complete(PROMPT, Sampling())
    backend.close()


@pytest.mark.parametrize(
    ("failure", "message", "hint"),
    [
        (
            ImportError("No module named 'llama_cpp'"),
            "llama-cpp-python is not installed",
            "pip install 'testing-crew[local]'",
        ),
        (
            OSError("libgomp.so.1: cannot open\nmore"),
            "llama-cpp-python is installed but does not load: libgomp.so.1: cannot open",
            "pip install --force-reinstall --no-cache-dir 'testing-crew[local]'",
        ),
    ],
)
def test_a_missing_library_says_how_to_get_it(models, monkeypatch, failure, message, hint):
    real = builtins.__import__

    def fake(name, *args, **kwargs):
        if name == "llama_cpp":
            raise failure
        return real(name, *args, **kwargs)

    llama._engine.cache_clear()
    monkeypatch.setattr(builtins, "__import__", fake)
    with pytest.raises(BackendUnavailable) as caught:
        open_backend(f"gguf:{models['noise']}")
    assert (caught.value.message, caught.value.hint) == (message, hint)


def run(code, **environment):
    kept = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}
    return children.run([sys.executable, "-c", code], env={**kept, **environment})


SCRIPT = """
import os
from testing_crew.backends import open_backend, Sampling
backend = open_backend({tag!r})
print(os.environ["OMP_WAIT_POLICY"], repr(backend.complete({prompt!r}, Sampling()).text))
"""


def test_llama_cpp_says_nothing_and_its_threads_wait_passively(models):
    script = SCRIPT.format(tag=f"gguf:{models['chain']}", prompt=PROMPT)
    done = run(script)
    assert (done.stdout, done.stderr, done.returncode) == (f"PASSIVE {''.join(LINES)!r}\n", "", 0)
    assert run(script, OMP_WAIT_POLICY="ACTIVE").stdout.startswith("ACTIVE ")


def test_a_refused_file_leaves_no_noise_either(models, tmp_path):
    file = tmp_path / "strange.gguf"
    file.write_bytes(models["noise"].read_bytes().replace(b"tokenizer.ggml.merges", b"tokenizer.ggml.mergez", 1))
    done = run(
        "from testing_crew.backends import open_backend\nfrom testing_crew.errors import BackendUnavailable\n"
        f"try:\n    open_backend('gguf:{file}')\nexcept BackendUnavailable as error:\n    print(error.message)\n"
    )
    assert done.stderr == ""
    assert done.stdout.endswith("cannot find tokenizer merges in model file\n")
    assert done.returncode == 0
