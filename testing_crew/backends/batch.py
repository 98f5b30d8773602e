"""Several sequences decoded by llama.cpp in one batch: many prompts, or many answers to one.

Each sequence has a stream of keys and values of its own. A prompt that another sequence has read already is copied from there,
and a stream that is free keeps what it holds, for the prompt that begins the same way. The schedule depends on the prompts alone,
so that the same prompts are decoded in the same batches each time.
"""

from __future__ import annotations

import ctypes
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from testing_crew.backends.base import Sampling
from testing_crew.errors import GenerationFailed

MOST = 8  # sequences side by side
_KEPT_BYTES = 1 << 30  # what keys and values of all sequences may take
_BATCH = 512  # tokens that are read at once
_WORTH_COPYING = 32  # tokens
_LOOP, _LOOKED_AT = 400, 40  # bytes


@dataclass
class Sequence_:
    """One answer in the making; ``fed`` tokens of ``tokens`` are read."""

    index: int
    tokens: list[int]
    sampling: Sampling
    room: int
    fed: int = 0
    answer: bytes = b""
    count: int = 0
    last: int | None = None
    began: float = field(default_factory=time.monotonic)
    sampler: Any = None
    finish: Literal["stop", "length"] = "length"

    @property
    def is_read(self) -> bool:
        """Whether its prompt is read, so that it may be copied."""
        return self.fed == len(self.tokens)

    @property
    def goes_round(self) -> bool:
        """Whether the answer has come to say the same again and again, four times or more: nothing else follows from there."""
        tail = self.answer[-_LOOP:]
        before = tail.rfind(tail[-_LOOKED_AT:], 0, -1)
        period = len(tail) - _LOOKED_AT - before
        return len(tail) == _LOOP and before >= 0 and 4 * period <= _LOOP and tail[:-period] == tail[period:]


def at_once(library: Any, model: Any, context: int) -> int:
    """How many sequences of ``context`` tokens are decoded side by side."""
    heads = max(1, library.llama_model_n_head(model))
    width = library.llama_model_n_embd(model) // heads * max(1, library.llama_model_n_head_kv(model))
    bytes_a_token = 4 * width * library.llama_model_n_layer(model)  # keys and values in 16 bits
    return int(max(1, min(MOST, _KEPT_BYTES // max(1, bytes_a_token * context))))


class Batch:
    """A context of llama.cpp's over ``llama``, a model that is loaded, for ``slots`` sequences of ``context`` tokens each."""

    def __init__(self, library: Any, llama: Any, context: int, slots: int, threads: int) -> None:
        self._library = library
        params = library.llama_context_default_params()
        params.n_ctx, params.n_seq_max, params.kv_unified = context * slots, slots, False
        params.n_batch = params.n_ubatch = _BATCH
        params.flash_attn_type = llama.context_params.flash_attn_type
        params.n_threads = params.n_threads_batch = threads
        self._context = library.llama_init_from_model(llama.model, params)
        if not self._context:
            raise GenerationFailed("llama.cpp could not make room for several answers at once")
        if llama._lora_adapter is not None:
            adapters, scales = (library.llama_adapter_lora_p_ctypes * 1)(llama._lora_adapter), (ctypes.c_float * 1)(1.0)
            library.llama_set_adapters_lora(self._context, adapters, 1, scales)
        self._memory = library.llama_get_memory(self._context)
        self._batch = library.llama_batch_init(_BATCH, 0, 1)
        self._held: list[list[int]] = [[] for _ in range(slots)]  # the tokens that each stream holds

    def close(self) -> None:
        """Free it."""
        self._library.llama_batch_free(self._batch)
        self._library.llama_free(self._context)

    def forget(self) -> None:
        """Hold nothing of what was read."""
        self._held = [[] for _ in self._held]
        self._library.llama_memory_clear(self._memory, True)

    def run(
        self, asked: Sequence[Sequence_], taken: Callable[[Sequence_, int], bool], stopped: Callable[[], bool]
    ) -> Iterator[Sequence_]:
        """Decode all of ``asked``, and yield each that is finished.

        ``taken`` is told each new token, and says whether that was the last. Raises GenerationFailed when llama.cpp does.
        """
        waiting = deque(asked)
        active: dict[int, Sequence_] = {}
        try:
            while (waiting or active) and not stopped():
                self._admit(waiting, active)
                for slot, place in self._decode(active):
                    each = active[slot]
                    each.last = self._library.llama_sampler_sample(each.sampler, self._context, place)
                    if taken(each, each.last):
                        self._free(active.pop(slot))
                        yield each
        except BaseException:
            self.forget()  # what a stream holds after a failure is not known
            raise
        finally:
            for each in active.values():
                self._free(each)

    def _free(self, each: Sequence_) -> None:
        self._library.llama_sampler_free(each.sampler)

    def _admit(self, waiting: deque[Sequence_], active: dict[int, Sequence_]) -> None:
        while waiting and len(active) < len(self._held):
            following = waiting[0]
            if any(a.tokens == following.tokens and not a.is_read for a in active.values()):
                return  # it is copied once it is read
            waiting.popleft()
            free = [slot for slot in range(len(self._held)) if slot not in active]
            common = [_common(held, following.tokens) for held in self._held]
            slot = max(free, key=lambda s: (common[s], -len(self._held[s])))
            source = max(range(len(self._held)), key=common.__getitem__)
            if common[source] >= common[slot] + _WORTH_COPYING:
                self._library.llama_memory_seq_rm(self._memory, slot, -1, -1)
                self._library.llama_memory_seq_cp(self._memory, source, slot, -1, -1)
                self._held[slot] = list(self._held[source])
                common[slot] = common[source]
            if not self._library.llama_memory_seq_rm(self._memory, slot, common[slot], -1):
                self._library.llama_memory_seq_rm(self._memory, slot, -1, -1)  # one that cannot forget a part
                common[slot] = 0
            self._held[slot] = self._held[slot][: common[slot]]
            following.fed = common[slot]
            following.sampler = self._sampler(following.sampling)
            following.began = time.monotonic()
            active[slot] = following

    def _sampler(self, sampling: Sampling) -> Any:
        library = self._library
        chain = library.llama_sampler_chain_init(library.llama_sampler_chain_default_params())
        if sampling.temperature == 0.0:
            library.llama_sampler_chain_add(chain, library.llama_sampler_init_greedy())
        else:
            library.llama_sampler_chain_add(chain, library.llama_sampler_init_top_p(sampling.top_p, 1))
            library.llama_sampler_chain_add(chain, library.llama_sampler_init_temp(sampling.temperature))
            library.llama_sampler_chain_add(chain, library.llama_sampler_init_dist(sampling.seed))
        return chain

    def _decode(self, active: dict[int, Sequence_]) -> list[tuple[int, int]]:
        """Read one batch; gives the sequences whose next token can be drawn, each with its place in the batch."""
        batch, count = self._batch, 0
        ready: list[tuple[int, int]] = []
        for slot, each in sorted(active.items()):  # in the order of the streams: else llama.cpp divides the batch
            reading = not each.is_read
            tokens = each.tokens[each.fed : each.fed + _BATCH - count] if reading else [int(each.last or 0)]
            if count + len(tokens) > _BATCH:
                continue
            for token in tokens:
                batch.token[count] = token
                batch.pos[count] = len(self._held[slot])
                batch.n_seq_id[count], batch.seq_id[count][0] = 1, slot
                batch.logits[count] = 0
                self._held[slot].append(token)
                count += 1
            if reading:
                each.fed += len(tokens)
            if tokens and each.is_read:
                batch.logits[count - 1] = 1
                ready.append((slot, count - 1))
        batch.n_tokens = count
        failed = self._library.llama_decode(self._context, batch)
        if failed:
            raise GenerationFailed(f"llama.cpp failed while generating: llama_decode returned {failed}")
        return ready


def _common(held: list[int], tokens: list[int]) -> int:
    """How many tokens both begin with; the last token of a prompt is always read anew, for what follows it."""
    most = min(len(held), len(tokens) - 1)
    return next((i for i in range(most) if held[i] != tokens[i]), most)
