"""Models through transformers, in this process: ``hf:REPO_OR_PATH[@ADAPTER]``, and a bare folder of a model or an adapter."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import io
import logging
import os
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from testing_crew.backends import hf_files, trained
from testing_crew.backends.base import Completion, ModelConfig, Sampling, room_for_answer
from testing_crew.backends.hf_files import EXTRA
from testing_crew.backends.llama import cores
from testing_crew.backends.ref import ModelRef
from testing_crew.errors import BackendUnavailable, GenerationFailed

_LARGE = 4 << 30  # bytes of weights; on a CPU, larger models are held in 16 bits


@functools.cache
def _libraries() -> tuple[Any, Any]:
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in llama.py
    try:
        with _quiet():
            import torch
            import transformers
    except (ImportError, OSError, RuntimeError) as error:
        first_line = str(error).partition("\n")[0]
        raise BackendUnavailable(f"torch and transformers do not load: {first_line}", hint=EXTRA) from error
    return torch, transformers


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep progress bars and the libraries' advice off the terminal while a model is loaded."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def nf4() -> Any:
    """How weights are held in 4 bits, served or trained on: NF4 with double quantisation (https://arxiv.org/abs/2305.14314)."""
    torch, transformers = _libraries()
    return transformers.BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )


class HFBackend:
    """One model and the adapter over it, loaded once. ``precision`` says in what form its weights are held, and where."""

    def __init__(self, ref: ModelRef, config: ModelConfig) -> None:
        self.tag = ref.tag
        self._lock = threading.Lock()
        torch, transformers = _libraries()
        self._torch = torch
        self._files = hf_files.find(ref)
        adapter = self._files.adapter
        notes = trained.of_adapter(adapter) if adapter else trained.notes_of(self._files.base)
        self.prompt_version = trained.prompt_version(notes, adapter or self._files.base)
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        settings, self.precision = self._form()
        try:
            with _quiet():
                self._tokenizer = transformers.AutoTokenizer.from_pretrained(**self._files.named(), **_SAFE)
                model = transformers.AutoModelForCausalLM.from_pretrained(**self._files.named(), **_SAFE, **settings)
        except Exception as error:  # the files decide what goes wrong: their configuration, their shapes, their bytes
            raise self._unloadable(error) from error
        if adapter:
            model = self._with_adapter(model, adapter)
        self._model: Any = model.eval().requires_grad_(False)
        trained_for = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        self.context: int = min(trained_for or config.max_context, config.max_context)
        ends = model.generation_config.eos_token_id
        self._ends = {self._tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])} - {None}
        ours = bool(adapter) and "prompt_version" in notes
        self._chat = bool(self._tokenizer.chat_template) and not ours
        logging.getLogger(__name__).info("%s: %s", self.tag, self.precision)

    @functools.cached_property
    def revision(self) -> str:
        """Twelve digits of what the base's weights are, and of the adapter's sha256 after a ``+`` where there is one."""
        return self._files.revision()

    def _form(self) -> tuple[dict[str, Any], str]:
        """The settings that the weights are loaded with, and what they mean."""
        torch, _ = _libraries()
        if self._device == "cuda":
            if importlib.util.find_spec("bitsandbytes"):
                return {"quantization_config": nf4(), "device_map": {"": 0}}, "4-bit (NF4) on cuda"
            return {"dtype": torch.bfloat16, "device_map": {"": 0}}, "16-bit on cuda (bitsandbytes is not installed)"
        torch.set_num_threads(cores())
        if self._files.size() > _LARGE:
            return {"dtype": torch.bfloat16}, "16-bit on the CPU"
        return {"dtype": torch.float32}, "32-bit on the CPU"

    def _with_adapter(self, model: Any, adapter: Path) -> Any:
        shapes = hf_files.adapter_shapes(adapter)
        _check_fit(adapter, shapes, model, self._files.base)
        try:
            with _quiet():
                from peft import PeftModel

                loaded = PeftModel.from_pretrained(model, str(adapter))
                # In 32 bits the sum is exact enough, and two products less for each weight make decoding quicker.
                return loaded.merge_and_unload() if self.precision.startswith("32") else loaded
        except ImportError as error:
            raise BackendUnavailable("peft is not installed", hint=EXTRA) from error
        except Exception as error:
            first_line = str(error).partition("\n")[0]
            raise BackendUnavailable(
                f"{adapter} cannot be loaded: {first_line}", hint="train or fetch it again"
            ) from error

    def _unloadable(self, error: Exception) -> BackendUnavailable:
        said = " ".join(str(error).split())
        if "trust_remote_code" in said or "custom code" in said:
            return BackendUnavailable(
                f"{self._files.base} needs code of its own, which is never run",
                hint="use a model that transformers knows",
            )
        if isinstance(error, self._torch.OutOfMemoryError):
            return BackendUnavailable(
                f"{self._files.base} does not fit the memory of the GPU", hint="use a smaller model"
            )
        return BackendUnavailable(
            f"{self._files.base} cannot be loaded: {said[:300]}", hint="fetch or export the model again"
        )

    def prompt_tokens(self, prompt: str) -> list[int]:
        """Return the very tokens that the model is given for ``prompt``."""
        if self._chat:
            message = [{"role": "user", "content": prompt}]
            try:
                return list(self._tokenizer.apply_chat_template(message, add_generation_prompt=True, return_dict=False))
            except Exception as error:  # a template is code that came with the files; it may raise anything
                raise GenerationFailed(f"the chat template of {self.tag} fails: {error}") from error
        tokens: list[int] = self._tokenizer(prompt)["input_ids"]
        return tokens[:-1] if tokens and tokens[-1] in self._ends else tokens  # some tokenizers end every text

    def count_tokens(self, text: str) -> int:
        """How many tokens ``text`` has by itself."""
        return len(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def complete(self, prompt: str, sampling: Sampling) -> Completion:
        """Continue ``prompt``; see ``Backend.complete``."""
        started = time.monotonic()
        with self._lock:
            if self._model is None:
                raise GenerationFailed(f"{self.tag} was closed")
            tokens = self.prompt_tokens(prompt)
            room = room_for_answer(self.tag, self.context, len(tokens), sampling)
            answer: list[int] = []
            finish = "length"
            try:
                for token in self._next_tokens(tokens, sampling):
                    if token in self._ends:
                        finish = "stop"
                        break
                    answer.append(token)
                    if any(stop in self._text(answer) for stop in sampling.stop):
                        finish = "stop"
                        break
                    if len(answer) == min(sampling.max_tokens, room):
                        break
            except RuntimeError as error:  # out of memory is one of them
                first_line = str(error).partition("\n")[0]
                raise GenerationFailed(f"torch failed while generating: {first_line}") from error
            text = self._text(answer)
            text = text[: min([len(text), *(at for stop in sampling.stop if (at := text.find(stop)) >= 0)])]
        reason: Literal["stop", "length"] = "stop" if finish == "stop" else "length"
        return Completion(
            text=text,
            prompt_tokens=len(tokens),
            completion_tokens=len(answer),
            finish=reason,
            seconds=time.monotonic() - started,
        )

    def _text(self, tokens: list[int]) -> str:
        text: str = self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text.removesuffix("\ufffd")  # the first bytes of a letter that the limit cut in two

    def _next_tokens(self, tokens: list[int], sampling: Sampling) -> Iterator[int]:
        """Yield one token after another; keys and values of what was read are kept."""
        torch = self._torch
        chance = torch.Generator(self._device).manual_seed(sampling.seed)
        read, cache = torch.tensor([tokens], device=self._device), None
        while True:
            with torch.inference_mode():
                out = self._model(input_ids=read, past_key_values=cache, use_cache=True, logits_to_keep=1)
                cache, token = out.past_key_values, self._choose(out.logits[0, -1].float(), sampling, chance)
            yield token
            read = torch.tensor([[token]], device=self._device)

    def _choose(self, logits: Any, sampling: Sampling, chance: Any) -> int:
        if sampling.temperature == 0.0:
            return int(logits.argmax())
        torch = self._torch
        likely, order = (logits / sampling.temperature).softmax(-1).sort(descending=True)
        likely[(likely.cumsum(-1) - likely) >= sampling.top_p] = 0.0  # the likeliest that together reach top_p stay
        return int(order[torch.multinomial(likely, 1, generator=chance)])

    def close(self) -> None:
        """Free the model."""
        with self._lock:
            self._model = None
            if self._device == "cuda":
                self._torch.cuda.empty_cache()


_SAFE = {"trust_remote_code": False, "local_files_only": True}  # what is on the hub was fetched before (hf_files)


def _check_fit(adapter: Path, shapes: dict[str, tuple[int, ...]], model: Any, base: Path) -> None:
    """Raise BackendUnavailable when the adapter's pairs do not fit the weights that they stand beside."""
    for name, shape in shapes.items():
        module, _, side = name.removeprefix("base_model.model.").removesuffix(".weight").rpartition(".lora_")
        if side not in ("A", "B"):
            continue
        try:
            weight = model.get_submodule(module)
        except AttributeError:
            weight = None
        inputs, outputs = getattr(weight, "in_features", None), getattr(weight, "out_features", None)
        if weight is None or (inputs is not None and (shape[-1] != inputs if side == "A" else shape[0] != outputs)):
            there = "not in it" if weight is None else f"{inputs} to {outputs} there"
            raise BackendUnavailable(
                f"{adapter} is an adapter for another base than {base}: {module} is {there}",
                hint="name the base that it was trained on: hf:BASE@ADAPTER",
            )
