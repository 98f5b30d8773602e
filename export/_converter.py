"""Run llama.cpp's converter with what it cannot be told otherwise. A process of its own: it brings its own gguf-py.

    python _converter.py FOLDER PRE_TOKENIZER PROMPT_VERSION MODEL_DIR --outfile X.gguf --outtype f16

The converter knows tokenizers by a hash of how they split one text and refuses all others. Ours is named by the caller (where
PRE_TOKENIZER is not empty), who then compares token ids over many texts, which is the stronger proof. PROMPT_VERSION goes into
the file's metadata, so that whoever serves it, Ollama too, can say which prompt it was trained on.
"""

import runpy
import sys
from pathlib import Path

KEY = "testing_crew.prompt_version"  # testing_crew.backends.trained.KEY, which cannot be imported here
folder, pre_tokenizer, prompt_version = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
sys.argv = [str(folder / "convert_hf_to_gguf.py"), *sys.argv[4:]]
sys.path[0:0] = [str(folder), str(folder / "gguf-py")]

from conversion.base import ModelBase, TextModel  # type: ignore[import-not-found]  # noqa: E402

if pre_tokenizer:
    TextModel.get_vocab_base_pre = lambda self, tokenizer: pre_tokenizer
set_type = ModelBase.set_type


def with_version(self: object) -> None:
    """Set the type, and the version beside it."""
    set_type(self)
    self.gguf_writer.add_uint32(KEY, prompt_version)  # type: ignore[attr-defined]


ModelBase.set_type = with_version
runpy.run_path(sys.argv[0], run_name="__main__")
