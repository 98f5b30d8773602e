"""Models through transformers: the shipped one's own weights, with and without a small random adapter."""

import builtins
import hashlib
import json
import shutil

import pytest
import tiny_lora

from testing_crew import prompt
from testing_crew.backends import ModelConfig, Sampling, hf, open_backend
from testing_crew.backends.llama import embedded_file
from testing_crew.errors import BackendUnavailable, GenerationFailed, PromptTooLong, UnknownModel

pytest.importorskip("torch")
BASE = embedded_file().parent
PROMPT = prompt.generate(
    "# module: m\ndef clamp(value: int, low: int, high: int) -> int:\n    return max(low, min(high, value))\n"
)


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    return tiny_lora.write(tmp_path_factory.mktemp("lora"), BASE, named="embedded")


@pytest.fixture(scope="module")
def base():
    return open_backend(f"hf:{BASE}")


@pytest.fixture(scope="module")
def tuned(adapter):
    return open_backend(str(adapter))


def test_the_same_weights_answer_as_they_do_in_llama_cpp(base):
    served = open_backend("embedded")
    for text in (PROMPT, PROMPT.replace("clamp", "limit_to")):
        answer, other = (b.complete(text, Sampling(max_tokens=80)) for b in (base, served))
        assert (answer.text, answer.prompt_tokens, answer.finish) == (other.text, other.prompt_tokens, other.finish)
    assert answer.text.startswith("import pytest\nfrom m import ")
    assert base.prompt_tokens(PROMPT) == served.prompt_tokens(PROMPT)
    assert (base.context, base.count_tokens("abc def")) == (served.context, served.count_tokens("abc def"))
    assert base.prompt_version == 3
    assert base.precision == "32-bit on the CPU" or "cuda" in base.precision
    served.close()


def test_an_adapter_s_folder_is_enough_and_says_its_base_and_its_prompt(base, tuned, adapter):
    weights = adapter / "adapter_model.safetensors"
    assert tuned.revision == f"{base.revision}+{hashlib.sha256(weights.read_bytes()).hexdigest()[:12]}"
    assert (tuned.tag, tuned.prompt_version) == (f"hf:{adapter}", 2)
    sampling = Sampling(max_tokens=40, temperature=2.0, top_p=1.0)
    assert tuned.complete(PROMPT, sampling).text != base.complete(PROMPT, sampling).text
    named = open_backend(f"hf:{BASE}@{adapter}")
    assert (named.revision, named.prompt_version) == (tuned.revision, 2)
    assert named.complete(PROMPT, sampling).text == tuned.complete(PROMPT, sampling).text


def test_a_seed_gives_the_same_sample_and_a_tiny_top_p_the_likeliest(base):
    one, two = (Sampling(temperature=2.0, top_p=1.0, max_tokens=40, seed=seed) for seed in (0, 1))
    first = base.complete(PROMPT, one).text
    assert base.complete(PROMPT, two).text != first
    assert base.complete(PROMPT, one).text == first
    greedy = base.complete(PROMPT, Sampling(max_tokens=40)).text
    assert base.complete(PROMPT, Sampling(max_tokens=40, temperature=1.0, top_p=1e-6)).text == greedy


def test_the_answer_ends_at_the_limit_or_at_a_stop_text(base):
    cut = base.complete(PROMPT, Sampling(max_tokens=2))
    assert (cut.completion_tokens, cut.finish) == (2, "length")
    stopped = base.complete(PROMPT, Sampling(stop=("nowhere", "from m", "import p")))
    assert (stopped.text, stopped.finish) == ("", "stop")
    whole = base.complete(PROMPT, Sampling(stop=("\ndef ",)))
    assert whole.text.endswith("])")
    assert "def " not in whole.text


def test_a_prompt_that_does_not_fit_names_both_numbers(base):
    with pytest.raises(PromptTooLong, match=rf"tokens, and hf:{BASE} takes 1536 with the answer"):
        base.complete(PROMPT * 50, Sampling())


def test_a_chat_model_gets_its_template_and_an_adapter_of_ours_the_bare_prompt(tmp_path, adapter):
    folder = tmp_path / "chat"
    shutil.copytree(BASE, folder, ignore=shutil.ignore_patterns("*.gguf", "export.json"))
    (folder / "chat_template.jinja").write_text("<<{{ messages[0]['content'] }}>>{{ 'A' if add_generation_prompt }}")
    chat = open_backend(str(folder), ModelConfig(max_context=300))
    assert chat._tokenizer.decode(chat.prompt_tokens(PROMPT)) == f"<<{PROMPT}>>A"
    assert (chat.context, chat.prompt_version) == (300, prompt.PROMPT_VERSION)
    tuned = open_backend(f"hf:{folder}@{adapter}")
    assert tuned._tokenizer.decode(tuned.prompt_tokens(PROMPT)) == PROMPT
    tuned.close()
    tuned.close()
    with pytest.raises(GenerationFailed, match="was closed"):
        tuned.complete(PROMPT, Sampling())


def copied(adapter, folder, **config):
    shutil.copytree(adapter, folder)
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | config))
    return folder


def test_an_adapter_that_does_not_fit_or_is_broken_is_refused_in_one_line(tmp_path, adapter):
    from transformers import AutoModelForCausalLM, LlamaConfig

    small = LlamaConfig(
        vocab_size=2048, hidden_size=64, intermediate_size=96, num_hidden_layers=1, num_attention_heads=2
    )
    AutoModelForCausalLM.from_config(small).save_pretrained(tmp_path / "small")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(BASE / name, tmp_path / "small")
    with pytest.raises(
        BackendUnavailable, match=r"is an adapter for another base than \S*small: model\.layers"
    ) as caught:
        open_backend(f"hf:{tmp_path / 'small'}@{adapter}")
    assert "hf:BASE@ADAPTER" in caught.value.hint
    cut = copied(adapter, tmp_path / "cut")
    weights = cut / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(BackendUnavailable, match=r"adapter_model\.safetensors is broken: it has \d+ bytes of \d+"):
        open_backend(f"hf:{BASE}@{cut}")
    weights.unlink()
    with pytest.raises(UnknownModel, match=r"holds no adapter: there is no adapter_model\.safetensors"):
        open_backend(f"hf:{BASE}@{cut}")
    lost = copied(adapter, tmp_path / "lost", base_model_name_or_path="/nowhere/base")
    with pytest.raises(UnknownModel, match="there is no folder /nowhere/base"):
        open_backend(str(lost))
    unsaid = copied(adapter, tmp_path / "unsaid", base_model_name_or_path=None)
    with pytest.raises(UnknownModel) as caught:
        open_backend(str(unsaid))
    assert caught.value.hint == f"name it: hf:BASE@{unsaid}"


def test_a_broken_model_is_refused_in_one_line(tmp_path):
    with pytest.raises(UnknownModel, match="there is no folder"):
        open_backend("./nowhere")
    with pytest.raises(UnknownModel, match=r"holds no model: there is no config\.json"):
        open_backend(f"hf:{tmp_path}")
    shutil.copytree(BASE, tmp_path / "cut", ignore=shutil.ignore_patterns("*.gguf"))
    weights = tmp_path / "cut" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(BackendUnavailable, match="cannot be loaded: ") as caught:
        open_backend(f"hf:{tmp_path / 'cut'}")
    assert "\n" not in caught.value.message
    config = json.loads((BASE / "config.json").read_text()) | {"model_type": "odd", "auto_map": {"AutoConfig": "x.Odd"}}
    (tmp_path / "cut" / "config.json").write_text(json.dumps(config))
    (tmp_path / "cut" / "x.py").write_text("raise SystemExit('this must not run')")
    with pytest.raises(BackendUnavailable, match="needs code of its own, which is never run"):
        open_backend(f"hf:{tmp_path / 'cut'}")


def test_offline_a_model_of_the_hub_is_named_and_nothing_is_printed(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(BackendUnavailable) as caught:
        open_backend("org/model-that-nobody-has")
    assert caught.value.message == (
        "org/model-that-nobody-has is no folder here and not in the hub's cache, and the hub cannot be reached"
    )
    assert caught.value.hint == "connect once (without HF_HUB_OFFLINE), or name a folder"
    assert capfd.readouterr() == ("", "")


def test_a_missing_library_says_how_to_get_it(monkeypatch):
    real = builtins.__import__

    def fake(name, *args, **kwargs):
        if name == "torch":
            raise ImportError("No module named 'torch'")
        return real(name, *args, **kwargs)

    hf._libraries.cache_clear()
    monkeypatch.setattr(builtins, "__import__", fake)
    with pytest.raises(BackendUnavailable) as caught:
        open_backend(f"hf:{BASE}")
    assert caught.value.message == "torch and transformers do not load: No module named 'torch'"
    assert caught.value.hint == "pip install 'testing-crew[train]'"
