import json

import pytest

from testing_crew.backends import Sampling, open_backend
from testing_crew.backends.scripted import FORMAT, ScriptedBackend
from testing_crew.errors import BackendUnavailable, GenerationFailed, UnknownModel


def ask(backend, *prompts):
    return [backend.complete(prompt, Sampling()).text for prompt in prompts]


def test_completions_come_in_order_and_the_prompts_are_kept():
    backend = ScriptedBackend(["one", "two"])
    assert ask(backend, "a", "b") == ["one", "two"]
    assert backend.prompts == ["a", "b"]
    assert backend.samplings == [Sampling(), Sampling()]
    assert (backend.tag, backend.context, backend.count_tokens("x")) == ("scripted:memory", None, None)
    assert len(backend.revision) == 12
    backend.close()


def test_a_mapping_answers_by_what_the_prompt_contains():
    backend = ScriptedBackend({"def add": ["adds"], "def add_all": ["adds all"], "": ["the rest"]})
    assert ask(backend, "def add(a)", "def add_all(a)", "def sub(a)") == ["adds", "adds all", "the rest"]


def test_running_out_is_a_failed_generation():
    backend = ScriptedBackend(["one"])
    ask(backend, "a")
    with pytest.raises(GenerationFailed, match="scripted:memory has no completion left: this was prompt 2"):
        ask(backend, "b")
    with pytest.raises(GenerationFailed, match="none of its keys is in it"):
        ask(ScriptedBackend({"def add": ["x"]}), "def sub")
    with pytest.raises(GenerationFailed, match="no completion left for 'def add'"):
        ask(ScriptedBackend({"def add": []}), "def add")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.json", json.dumps(["one", "two\u2028x"])),
        ("map.json", json.dumps({"p": ["one", "two\u2028x"]})),
        (
            "lines.jsonl",
            '"one"\n\n' + json.dumps({"completion": "two\u2028x", "model": "m"}, ensure_ascii=False) + "\n",
        ),
        ("objects.json", json.dumps([{"completion": "one"}, {"completion": "two\u2028x"}])),
    ],
)
def test_a_file_is_read_in_every_documented_form(tmp_path, name, text):
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    backend = open_backend(f"scripted:{file}")
    assert backend.tag == f"scripted:{file}"
    assert ask(backend, "p", "p") == ["one", "two\u2028x"]


def test_a_file_of_one_line(tmp_path):
    file = tmp_path / "one.jsonl"
    file.write_text('{"completion": "one"}\n')
    assert ask(open_backend(f"scripted:{file}"), "p") == ["one"]


def test_a_script_that_is_not_there_or_not_one(tmp_path):
    with pytest.raises(UnknownModel) as caught:
        open_backend(f"scripted:{tmp_path}/no.json")
    assert caught.value.message == f"there is no file {tmp_path}/no.json"
    file = tmp_path / "bad.jsonl"
    file.write_text('"one"\nnot json\n')
    with pytest.raises(BackendUnavailable) as caught:
        open_backend(f"scripted:{file}")
    assert caught.value.message == f"{file}, line 2, is not JSON: Expecting value"
    assert caught.value.hint == FORMAT
    file.write_text("[1]")
    with pytest.raises(BackendUnavailable, match="not a completion: 1"):
        open_backend(f"scripted:{file}")
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(BackendUnavailable, match="cannot be read"):
        open_backend(f"scripted:{file}")
