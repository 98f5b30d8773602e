"""The metrics of the task ``comment``, a scalar each; none raises, for an exception would end the whole job."""

from collections.abc import Sequence

from sedna.common.class_factory import ClassFactory, ClassType

from benchmarks.ianvs.model import score

__all__ = ["accuracy", "explainability", "format", "function", "logic", "reliability"]


@ClassFactory.register(ClassType.GENERAL, alias="function")
def function(y_true: Sequence[object], y_pred: Sequence[object]) -> float:
    """The harmonic mean of logic, accuracy and format."""
    return score("comment", "function", y_true, y_pred)


@ClassFactory.register(ClassType.GENERAL, alias="logic")
def logic(y_true: Sequence[object], y_pred: Sequence[object]) -> float:
    """How much of what people said of the code the answer says: a judge model's word, else likeness."""
    return score("comment", "logic", y_true, y_pred)


@ClassFactory.register(ClassType.GENERAL, alias="accuracy")
def accuracy(y_true: Sequence[object], y_pred: Sequence[object]) -> float:
    """The share of the comments that stand at the line that they are about."""
    return score("comment", "accuracy", y_true, y_pred)


@ClassFactory.register(ClassType.GENERAL, alias="format")
def format(y_true: Sequence[object], y_pred: Sequence[object]) -> float:
    """The share of the lines in the form that was asked, in the language of the question."""
    return score("comment", "format", y_true, y_pred)


@ClassFactory.register(ClassType.GENERAL, alias="reliability")
def reliability(y_true: Sequence[object], y_pred: Sequence[object]) -> float:
    """How alike the answers to the same question asked again, and in other words, are."""
    return score("comment", "reliability", y_true, y_pred)


@ClassFactory.register(ClassType.GENERAL, alias="explainability")
def explainability(y_true: Sequence[object], y_pred: Sequence[object]) -> float:
    """F1 of the lines that the answer and people comment."""
    return score("comment", "explainability", y_true, y_pred)
