"""An adapter becomes a model of the registry: proven, served, laid over or merged alike, given to Ollama; and what is wrong is told."""

import json

import children
import command_line
import pytest
import tiny_lora
from ollama_server import OllamaStandIn

from export import export
from export.registry import exported, modelfile, named
from export.verify import NotTheSameModel
from self_improve.exporting import export_run
from testing_crew import TestingCrew, prompt
from testing_crew.backends import Sampling, open_backend
from testing_crew.backends.base import ModelConfig
from testing_crew.backends.llama import embedded_file, registered
from testing_crew.backends.ref import parse
from testing_crew.config import use
from testing_crew.errors import UserMistake

PROMPT = prompt.generate("# module: m\ndef clamp(value, low, high):\n    return max(low, min(high, value))\n")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A workspace with an adapter over the embedded base, exported merged and as it is."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TESTING_CREW_HOME", str(home))
        patch.chdir(home)
        adapter = tiny_lora.write(home, embedded_file().parent, named="embedded", scale=0.2)
        (home / "training.json").unlink()
        done = command_line.run(
            "export", adapter, "--name", "mine", "--base", "embedded", "--quantise", "f16", "--json"
        )
        assert done.returncode == 0, done.stderr
        (home / "told.json").write_text(done.stdout)
        export_run(str(adapter), "over", base_name="embedded", as_lora=True)
        yield home


def answer(tag, config=None):
    backend = open_backend(tag, config)
    try:
        return backend.complete(PROMPT, Sampling(max_tokens=80)).text
    finally:
        backend.close()


def test_it_is_proven_and_says_where_it_comes_from(home):
    told = json.loads((home / "told.json").read_text())
    assert told["tag"] == "local/mine:v1"
    assert told["proof"]["max_logit_difference"] < 1e-3
    assert told["proof"]["agreement"] > 0.98
    assert told["proof"]["texts"] > 30
    model = exported(parse("local/mine:v1"))
    assert (model.base, model.quantisation, model.prompt_version, model.context) == ("embedded", "f16", 3, 1536)
    assert model.sha256.keys() == {"model.gguf"}
    assert registered() == ["local/mine:v1", "local/over:v1"]
    assert [p.name for p in (home / "models").iterdir() if p.name.startswith(".")] == []
    said = (model.folder / "Modelfile").read_text()
    assert said == modelfile(model)
    assert said.startswith("FROM ./model.gguf\nTEMPLATE {{ .Prompt }}\nPARAMETER num_ctx 1536\n")


def test_the_modelfile_of_an_adapter_names_the_file_of_its_base(home):
    said = (exported(parse("local/over:v1")).folder / "Modelfile").read_text()
    assert said.startswith(f"FROM {embedded_file()}\nADAPTER ./adapter.gguf\n")


def test_merged_and_laid_over_answer_alike_and_not_as_the_base(home):
    merged, over, base = answer("local/mine:v1"), answer("local/over:v1"), answer("embedded")
    assert merged == over
    assert merged != base


def test_the_file_itself_says_which_prompt_it_was_trained_on(home, tmp_path):
    moved = tmp_path / "moved.gguf"
    moved.write_bytes((home / "models" / "mine" / "v1" / "model.gguf").read_bytes())
    assert open_backend(f"gguf:{moved}").prompt_version == 3
    assert open_backend("embedded").prompt_version == 3


def test_it_is_given_to_ollama_and_answers_alike_there(home, monkeypatch):
    standin = OllamaStandIn({})
    with standin as url:
        monkeypatch.setenv("OLLAMA_HOST", url)
        for name in ("mine", "over"):
            done = command_line.run("export", f"local/{name}:v1", "--ollama", "--json")
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout)["ollama"] == f"{name}:v1"
        _, created = next(request for request in standin.requests if request[0] == "/api/create")
        assert (created["template"], created["parameters"]["num_ctx"]) == ("{{ .Prompt }}", 1536)
        assert created["license"].startswith("Base embedded: Apache-2.0.")
        assert open_backend("mine:v1", ModelConfig(base_url=url)).prompt_version == 3
        assert answer("mine:v1", ModelConfig(base_url=url)) == answer("local/mine:v1")
        use("mine:v1", home)
        assert TestingCrew(model=None).backend.tag == "mine:v1"
    dead = command_line.run("export", "local/mine:v1", "--ollama")
    assert dead.returncode == 2
    assert f"Ollama does not answer at {url}" in dead.stderr
    assert "testing-crew export local/mine:v1 --ollama" in dead.stderr
    use("embedded", home)


def test_versions_count_and_names_are_ollama_s_too(home):
    assert named("mine", None).tag == "local/mine:v2"
    with pytest.raises(UserMistake, match="there already"):
        named("mine", "v1")
    for name in ("a b", "-x", "é", "a/b", ""):
        bad = command_line.run("export", home / "adapter", "--name", name, "--base", "embedded")
        assert bad.returncode == 2
        assert "is not a model tag" in bad.stderr


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["nowhere", "--name", "x"], "there is no adapter at nowhere"),
        (["adapter"], "--name mine"),
        (["adapter", "--name", "x"], "does not say on which base"),
        (["adapter", "--name", "x", "--base", "embedded", "--quantise", "q2"], "q8_0, f16"),
        (["local/none:v1", "--ollama"], "the registry has no local/none:v1"),
        (["local/mine:v1"], "--ollama gives it"),
    ],
)
def test_mistakes_are_told(home, words, what):
    done = command_line.run("export", *words)
    assert done.returncode == 2, done.stdout
    assert what in done.stderr
    assert "Traceback" not in done.stderr


def test_an_adapter_for_another_base_is_not_merged(home, tmp_path):
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    other = tmp_path / "other"
    shape = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    LlamaForCausalLM(LlamaConfig(vocab_size=2048, **shape)).save_pretrained(other)
    AutoTokenizer.from_pretrained(embedded_file().parent).save_pretrained(other)
    done = command_line.run("export", "adapter", "--name", "x", "--base", other)
    assert done.returncode == 2
    assert "was trained on another base than" in done.stderr
    assert registered() == ["local/mine:v1", "local/over:v1"]


def test_what_is_not_proven_is_not_published(home, monkeypatch):
    monkeypatch.setitem(export.PRE_TOKENIZERS, "embedded", "gpt-2")
    with pytest.raises(NotTheSameModel, match="token ids differ"):
        export_run(str(home / "adapter"), "broken", base_name="embedded")
    assert not (home / "models" / "broken").exists()


def test_a_small_model_survives_eight_bits(home):
    model = export_run(str(home / "adapter"), "small", base_name="embedded")
    assert model.quantisation == "q8_0"
    assert model.proof["agreement"] >= 0.9
    f16, q8 = (exported(parse(tag)).folder / "model.gguf" for tag in ("local/mine:v1", "local/small:v1"))
    assert q8.stat().st_size < 0.6 * f16.stat().st_size


def test_killed_in_the_midst_nothing_is_published(home):
    import signal

    words = ["export", str(home / "adapter"), "--name", "killed", "--base", "embedded"]
    with command_line.started(*words) as child:
        import time

        deadline = time.monotonic() + children.SECONDS
        while not list((home / "models").glob(".export-*/f32.gguf")):
            assert time.monotonic() < deadline
            assert child.poll() is None
            time.sleep(0.02)
        child.send_signal(signal.SIGKILL)
        child.ended()
    assert not (home / "models" / "killed").exists()
