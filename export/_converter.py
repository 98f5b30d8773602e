"""Run llama.cpp's converter with the tokenizer's pre-tokenizer named. A process of its own: it brings its own gguf-py.

    python _converter.py FOLDER PRE_TOKENIZER MODEL_DIR --outfile X.gguf --outtype f16

The converter knows tokenizers by a hash of how they split one text and refuses all others. Ours is named by the caller, who
then compares token ids over many texts, which is the stronger proof.
"""

import runpy
import sys
from pathlib import Path

folder, pre_tokenizer = Path(sys.argv[1]), sys.argv[2]
sys.argv = [str(folder / "convert_hf_to_gguf.py"), *sys.argv[3:]]
sys.path[0:0] = [str(folder), str(folder / "gguf-py")]

from conversion.base import TextModel  # type: ignore[import-not-found]  # noqa: E402

TextModel.get_vocab_base_pre = lambda self, tokenizer: pre_tokenizer
runpy.run_path(sys.argv[0], run_name="__main__")
