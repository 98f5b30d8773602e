"""What `code_correctness.yaml` calls, in the harness's own environment: nothing of ours is imported here.

python utils.py SAMPLES.jsonl SUBMISSION.json      # from the harness's log of samples to the file that MERA takes
"""

from __future__ import annotations

import json
import os
import string
import sys
from pathlib import Path
from typing import Any

_HERE = Path(__file__).resolve().parents[1]
_LANGUAGES = ("Python", "Java", "Go")
_FILES = {"test": ("CODE_CORRECTNESS_ROWS", "rows.jsonl"), "shots": ("CODE_CORRECTNESS_SHOTS", "shots.jsonl")}


def load(**_: Any) -> dict[str, Any]:
    """The splits ``test`` and ``shots``."""
    from datasets import Dataset

    return {split: Dataset.from_list(rows(split)) for split in _FILES}


def rows(split: str) -> list[dict[str, Any]]:
    """The rows of a split; of their meta the id alone, since the rest is not asked. Raises ValueError for one that is none."""
    variable, name = _FILES[split]
    path = Path(os.environ.get(variable) or _HERE / name)
    return [_checked(row, f"{path}, row {number}") for number, row in enumerate(read(path), 1)]


def read(path: Path) -> list[Any]:
    """The records of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]


def _checked(row: dict[str, Any], where: str) -> dict[str, Any]:
    try:
        lang = next(each for each in _LANGUAGES if each.casefold() == row["inputs"]["lang"].casefold())
        inputs = {"focal_code": row["inputs"]["focal_code"], "test_code": row["inputs"]["test_code"], "lang": lang}
        parts = list(string.Formatter().parse(row["instruction"]))
        made = {
            "instruction": row["instruction"],
            "inputs": inputs,
            "outputs": row["outputs"],
            "meta": {"id": row["meta"]["id"]},
        }
    except (KeyError, TypeError, AttributeError, StopIteration, ValueError) as error:
        raise ValueError(f"{where} is no row, or has no instruction: {type(error).__name__} {error}") from None
    named = {name for _, name, _, _ in parts if name is not None}
    if not {"focal_code", "test_code"} <= named <= set(inputs) or any(spec or kind for _, _, spec, kind in parts):
        raise ValueError(f"{where}: an instruction has {{focal_code}}, {{test_code}}, {{lang}} and no other places")
    if row["outputs"] not in ("success", "failed", None):
        raise ValueError(f"{where}: an answer is success or failed, not {row['outputs']!r}")
    return made


def doc_to_text(doc: dict[str, Any]) -> str:
    """The row's question."""
    return str(doc["instruction"]).format(**doc["inputs"]).strip()


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """``acc``, whose mean MERA calls Exact Match: which of the two words stands in the answer, as letters."""
    said = results[0]
    failed, success = "failed" in said, "success" in said
    read = None if failed == success else "failed" if failed else "success"
    return {"acc": float(read is not None and read == doc["outputs"])}


def submission(samples: list[dict[str, Any]]) -> dict[str, Any]:
    """The harness's samples as MERA takes them."""
    made = [{"outputs": each["filtered_resps"][0], "meta": {"id": int(each["doc"]["meta"]["id"])}} for each in samples]
    return {"data": {"test": sorted(made, key=lambda row: row["meta"]["id"])}}


if __name__ == "__main__":
    logged, out = map(Path, sys.argv[1:3])
    out.write_text(json.dumps(submission(read(logged)), ensure_ascii=False), encoding="utf-8")
