"""What Ianvs calls: a base model that is a model tag, and the metrics. Neither needs anything of Ianvs itself.

Its one-task paradigm calls ``preprocess`` (always), ``train``, ``save``, ``load``, ``predict`` in this order, then each metric
with the references and the predictions (core/testcasecontroller of its repository). It runs in the task's folder, so that
``data`` and ``answers`` are there.
"""

from __future__ import annotations

import hashlib
import logging
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.judging.estimate import calibrated
from benchmarks.judging.verdicts import Item, Verdicts, consensus, same
from benchmarks.smart_coding import figures
from benchmarks.smart_coding.ask import Prediction, predict_all
from benchmarks.smart_coding.rows import IssueRow, Question, TaskName, load, rows_of
from testing_crew import config as configuration
from testing_crew.backends import open_backend
from testing_crew.backends.base import Backend
from testing_crew.backends.files import replace

ROWS = Path("data/rows.jsonl")
ANSWERS = Path("answers")
log = logging.getLogger("testing_crew.ianvs")


class TaggedModel:
    """A base model that Ianvs asks: any model tag, as in testing_crew.toml.

    ``judge`` is a second tag that grades comments and judges answers to issues, or empty. ``repeats`` and ``paraphrases`` are how
    often each question is asked again. A model file that Ianvs was given (``initial_model_url``, GGUF) stands in for the tag.
    """

    task: ClassVar[TaskName]

    def __init__(
        self,
        model: str = "embedded",
        judge: str = "",
        repeats: int = 1,
        paraphrases: int = 1,
        seed: int = 0,
        **others: Any,
    ) -> None:
        self.tag, self.judge = str(model), str(judge or "")
        self.ways = {"repeats": int(repeats), "paraphrases": int(paraphrases), "seed": int(seed)}
        self._backend: Backend | None = None

    def preprocess(self, **others: Any) -> None:
        """Nothing is to be prepared."""

    def train(self, train_data: Any, valid_data: Any = None, **others: Any) -> None:
        """Nothing is trained here: `testing-crew train` does that, and its result is a tag."""

    def save(self, model_path: Any = None, **others: Any) -> None:
        """Nothing to save: Ianvs then goes on with the model that it began with."""

    def load(self, model_url: Any = None, **others: Any) -> None:
        """Open the model. Raises UnknownModel or BackendUnavailable for a tag that cannot be had, before anything is asked."""
        tag = f"gguf:{model_url}" if model_url and str(model_url).endswith(".gguf") else self.tag
        self._backend = open_backend(tag, configuration.load(Path.cwd()).config.server)

    def predict(self, data: Any, input_shape: Any = None, **others: Any) -> list[str]:
        """Answer each question of ``data`` (Ianvs's data set, or its questions alone): a `Prediction` in JSON for each.

        Answers are kept as they come: a job that was stopped goes on when it is run again.
        """
        if self._backend is None:
            self.load()
        assert self._backend is not None
        tag = self._backend.tag
        asked = [str(each) for each in getattr(data, "x", data)]
        judge = open_backend(self.judge, configuration.load(Path.cwd()).config.server) if self.judge else None
        kept = ANSWERS / f".{self.task}-{hashlib.sha256(self.tag.encode()).hexdigest()[:12]}.jsonl"
        try:
            made = predict_all(
                asked,
                {question.prompt: question for question in self._questions()},
                self._backend,
                kept=kept,
                tell=lambda done, of: log.info("%s: %d of %d", self.tag, done, of),
                judge=judge,
                **self.ways,
            )
        finally:
            self._backend.close()
            self._backend = None
            if judge:
                judge.close()
        if self.task == "issue":
            self._to_be_judged(made, tag)
        return [each.model_dump_json() for each in made]

    def evaluate(self, data: Any, model_path: Any = None, **others: Any) -> dict[str, float]:
        """Every figure of the task, for paradigms that ask the model itself."""
        references = [str(each) for each in getattr(data, "y", ())]
        predicted = self.predict(data)
        return {name: score(self.task, name, references, predicted) for name in figures.FIGURES[self.task]}

    def _questions(self) -> list[Question]:
        return load(self.task, ROWS if ROWS.is_file() else None)

    def _to_be_judged(self, made: Sequence[Prediction], tag: str) -> None:
        items = [item for each in made if (item := item_of(each, tag))]
        name = re.sub(r"[^A-Za-z0-9._]+", "_", tag).strip("_")
        replace(ANSWERS / f"{name}.jsonl", "".join(item.model_dump_json() + "\n" for item in items))


def item_of(prediction: Prediction, model: str = "") -> Item | None:
    """What people judge of an answer to an issue; None for another answer."""
    row = prediction.row
    return row.to_judge(prediction.answer, model) if isinstance(row, IssueRow) else None


def score(task: TaskName, name: str, y_true: Sequence[object], y_pred: Sequence[object]) -> float:
    """A metric as Ianvs calls it: a share, or NaN where nothing is known. It never raises: that would end the whole job."""
    try:
        predictions = figures.read(task, y_true, y_pred, lambda: rows_of(task, ROWS if ROWS.is_file() else None))
        if task == "issue" and name in ("accuracy", "judge_estimate"):
            return _people(name, predictions)
        return round(figures.mean(task, name, predictions), 4)
    except Exception as error:
        log.warning("%s of %s could not be worked out: %s: %s", name, task, type(error).__name__, error)
        return math.nan


def _people(name: str, predictions: Sequence[Prediction]) -> float:
    """What people judged of these answers, or a judge model's word corrected by it; ``answers/*.verdicts.jsonl`` holds theirs."""
    found = {item.digest: (item, each) for each in predictions if (item := item_of(each))}
    said: dict[str, dict[str, str]] = {}  # of each answer, what each judge said: models that answer alike share it
    for file in sorted(ANSWERS.glob("*.verdicts.jsonl")):
        for judge, verdicts in Verdicts(file).by_judge().items():
            for digest in found.keys() & verdicts.keys():
                said.setdefault(digest, {})[same(judge)] = verdicts[digest].verdict
    pairs: list[tuple[bool, bool]] = []
    right = judged = 0
    for digest, given in said.items():
        agreed = consensus(given.values())
        if agreed is not None:
            judged += 1
            right += agreed == "right"
            judgement = found[digest][1].judgement
            if judgement and judgement.right is not None:
                pairs.append((judgement.right, agreed == "right"))
    if name == "accuracy":
        log.info("accuracy is of %d answers of %d, on which two judges agree", judged, len(found))
        return round(right / judged, 4) if judged else math.nan
    says = [p.judgement.right for _, p in found.values() if p.judgement and p.judgement.right is not None]
    value = calibrated(says, pairs).value
    return math.nan if value is None else round(value, 4)
