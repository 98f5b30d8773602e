import pytest

from testing_crew.backends.ref import FORMS, ModelRef, parse
from testing_crew.errors import UnknownModel

GOOD = {
    "embedded": ModelRef(kind="embedded"),
    "embedded@adapters/c": ModelRef(kind="embedded", adapter="adapters/c"),
    "smollm2": ModelRef(kind="smollm2"),
    "smollm2@/data/@me/c.gguf": ModelRef(kind="smollm2", adapter="/data/@me/c.gguf"),
    "smollm2:135m": ModelRef(kind="ollama", name="smollm2", label="135m"),
    "gguf:/data/@me/x.gguf": ModelRef(kind="gguf", name="/data/@me/x.gguf"),
    "gguf:/data/@me/x.gguf@/data/@me/lora.gguf": ModelRef(
        kind="gguf", name="/data/@me/x.gguf", adapter="/data/@me/lora.gguf"
    ),
    "/data/@me/merged": ModelRef(kind="hf", name="/data/@me/merged"),
    "hf:base@/data/@me/lora": ModelRef(kind="hf", name="base", adapter="/data/@me/lora"),
    "deepseek-coder:6.7b": ModelRef(kind="ollama", name="deepseek-coder", label="6.7b"),
    "llama3": ModelRef(kind="ollama", name="llama3", label="latest"),
    "ollama/llama3": ModelRef(kind="ollama", name="llama3", label="latest"),
    "ollama/user/model:v1": ModelRef(kind="ollama", name="user/model", label="v1"),
    "user/model:v1": ModelRef(kind="ollama", name="user/model", label="v1"),
    "hf.co/Qwen/Qwen2.5-GGUF:Q4_K_M": ModelRef(kind="ollama", name="hf.co/Qwen/Qwen2.5-GGUF", label="Q4_K_M"),
    "ollama/localhost:5000/me/m:v1": ModelRef(kind="ollama", name="localhost:5000/me/m", label="v1"),
    "gguf:models/x.gguf": ModelRef(kind="gguf", name="models/x.gguf"),
    "gguf:C:\\models\\x.gguf": ModelRef(kind="gguf", name="C:\\models\\x.gguf"),
    "gguf:/a b/x.gguf": ModelRef(kind="gguf", name="/a b/x.gguf"),
    "hf:Qwen/Qwen2.5-Coder-0.5B": ModelRef(kind="hf", name="Qwen/Qwen2.5-Coder-0.5B"),
    "hf:Qwen/Q@adapters/c": ModelRef(kind="hf", name="Qwen/Q", adapter="adapters/c"),
    "hf:/data/@me/base@/data/lora": ModelRef(kind="hf", name="/data/@me/base", adapter="/data/lora"),
    "Qwen/Qwen2.5-Coder-0.5B": ModelRef(kind="hf", name="Qwen/Qwen2.5-Coder-0.5B"),
    "./merged": ModelRef(kind="hf", name="./merged"),
    "/data/merged": ModelRef(kind="hf", name="/data/merged"),
    "C:\\models\\merged": ModelRef(kind="hf", name="C:\\models\\merged"),
    "C:/models/merged": ModelRef(kind="hf", name="C:/models/merged"),
    "openai/gpt-4o": ModelRef(kind="openai", name="gpt-4o"),
    "openai/Qwen/Qwen2.5:7b": ModelRef(kind="openai", name="Qwen/Qwen2.5:7b"),
    "local/tester:v3": ModelRef(kind="local", name="tester", label="v3"),
    "scripted:answers.json": ModelRef(kind="scripted", name="answers.json"),
    "  embedded \n": ModelRef(kind="embedded"),
}


@pytest.mark.parametrize("tag", GOOD)
def test_a_tag_names_what_the_design_says(tag):
    assert parse(tag) == GOOD[tag]


@pytest.mark.parametrize("tag", GOOD)
def test_the_full_form_of_a_tag_reads_back_to_the_same(tag):
    assert parse(parse(tag).tag) == GOOD[tag]


@pytest.mark.parametrize(
    "tag",
    [
        "",
        "  ",
        "gguf:",
        "gguf:x.gguf@",
        "embedded@",
        "smollm2@",
        "hf:",
        "scripted: ",
        "openai/",
        "openai/a b",
        "local/x",
        "local/../x:v1",
        "ollama/",
        "ollama/a:b:c",
    ],
)
def test_an_empty_or_twisted_form_is_refused(tag):
    with pytest.raises(UnknownModel, match="is not a model tag: "):
        parse(tag)


@pytest.mark.parametrize("tag", ["a b:c", "x:", ":x", "x:y:z", "name:", "mo\ndel:x", "hf:base@", "hf:@lora"])
def test_what_is_no_tag_is_refused_with_the_forms(tag):
    with pytest.raises(UnknownModel) as caught:
        parse(tag)
    assert repr(tag) in caught.value.message or repr(tag.strip()) in caught.value.message
    assert "\n" not in caught.value.message
    if caught.value.hint.startswith("a tag"):
        assert all(form in caught.value.hint for form in FORMS)


@pytest.mark.parametrize(
    ("tag", "meant"),
    [
        ("openai:gpt-4o", "did you mean openai/gpt-4o?"),
        ("gguf/x.gguf", "did you mean gguf:x.gguf?"),
        ("./x.gguf", "did you mean gguf:./x.gguf?"),
        ("C:\\x.gguf", "did you mean gguf:C:\\x.gguf?"),
        ("smolm2", "did you mean smollm2? For a model of Ollama: smolm2:latest"),
        ("embeded", "did you mean embedded? For a model of Ollama: embeded:latest"),
        ("http://localhost:8000/v1", "name the model openai/NAME, and its server as base_url under [server]"),
    ],
)
def test_a_near_miss_is_told_what_was_meant(tag, meant):
    with pytest.raises(UnknownModel) as caught:
        parse(tag)
    assert caught.value.hint == meant
