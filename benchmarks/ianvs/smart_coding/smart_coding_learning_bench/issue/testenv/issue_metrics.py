"""The metrics of the task ``issue``, a scalar each; none raises, for an exception would end the whole job."""

from collections.abc import Sequence

from sedna.common.class_factory import ClassFactory, ClassType

from benchmarks.ianvs.model import score

__all__ = ["accuracy", "explainability", "judge_estimate", "overlap", "reliability"]


@ClassFactory.register(ClassType.GENERAL, alias="accuracy")
def accuracy(y_true: Sequence[object], y_pred: Sequence[object]) -> float:
    """The share of the answers that people judged right: NaN until people have judged."""
    return score("issue", "accuracy", y_true, y_pred)


@ClassFactory.register(ClassType.GENERAL, alias="judge_estimate")
def judge_estimate(y_true: Sequence[object], y_pred: Sequence[object]) -> float:
    """A judge model's share of right answers, corrected by what people said of the same answers; NaN without both."""
    return score("issue", "judge_estimate", y_true, y_pred)


@ClassFactory.register(ClassType.GENERAL, alias="overlap")
def overlap(y_true: Sequence[object], y_pred: Sequence[object]) -> float:
    """Likeness to the nearest of people's answers."""
    return score("issue", "overlap", y_true, y_pred)


@ClassFactory.register(ClassType.GENERAL, alias="reliability")
def reliability(y_true: Sequence[object], y_pred: Sequence[object]) -> float:
    """How alike the answers to the same question asked again, and in other words, are."""
    return score("issue", "reliability", y_true, y_pred)


@ClassFactory.register(ClassType.GENERAL, alias="explainability")
def explainability(y_true: Sequence[object], y_pred: Sequence[object]) -> float:
    """The share of the names in code that solved it which the answer has."""
    return score("issue", "explainability", y_true, y_pred)
