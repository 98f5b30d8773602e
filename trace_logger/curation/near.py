"""Near-duplicates: texts whose token n-grams are mostly the same, found by MinHash."""

from __future__ import annotations

from typing import Any

from trace_logger.curation.fingerprints import GRAM, tokens

_PERMUTATIONS = 128


class Near:
    """The texts that were kept so far; a text is near to one of them from a Jaccard similarity of ``threshold`` on.

    The similarity is that of the sets of `GRAM`-token shingles, estimated by MinHash (Broder 1997, datasketch).
    """

    def __init__(self, threshold: float) -> None:
        from datasketch import MinHashLSH

        self.threshold = threshold
        self._index: Any = MinHashLSH(threshold=threshold, num_perm=_PERMUTATIONS)
        self._sketches: list[Any] = []
        self._last: tuple[str, Any] = ("", None)  # a text is mostly asked for and then kept

    def has(self, text: str) -> bool:
        """Whether ``text`` is near to a kept one."""
        sketch = self._sketch(text)
        return any(sketch.jaccard(self._sketches[int(key)]) >= self.threshold for key in self._index.query(sketch))

    def keep(self, text: str) -> None:
        """Keep ``text``, for later ones to be compared with."""
        sketch = self._sketch(text)
        self._index.insert(str(len(self._sketches)), sketch)
        self._sketches.append(sketch)

    def _sketch(self, text: str) -> Any:
        from datasketch import MinHash

        if self._last[1] is not None and self._last[0] == text:
            return self._last[1]
        words = tokens(text)
        grams = {" ".join(words[i : i + GRAM]).encode() for i in range(max(1, len(words) - GRAM + 1))}
        sketch = MinHash(num_perm=_PERMUTATIONS, seed=1)
        sketch.update_batch(sorted(grams))
        self._last = (text, sketch)
        return sketch
