"""The metrics of the task ``testgen``, a scalar each; none raises, for an exception would end the whole job."""

from collections.abc import Sequence

from sedna.common.class_factory import ClassFactory, ClassType

from benchmarks.ianvs.model import score

__all__ = ["exact", "explainability", "function", "match", "reliability"]


@ClassFactory.register(ClassType.GENERAL, alias="function")
def function(y_true: Sequence[object], y_pred: Sequence[object]) -> float:
    """The share that runs: a new test that passes and checks the module, lines under which the tests pass."""
    return score("testgen", "function", y_true, y_pred)


@ClassFactory.register(ClassType.GENERAL, alias="match")
def match(y_true: Sequence[object], y_pred: Sequence[object]) -> float:
    """Likeness to what people wrote."""
    return score("testgen", "match", y_true, y_pred)


@ClassFactory.register(ClassType.GENERAL, alias="exact")
def exact(y_true: Sequence[object], y_pred: Sequence[object]) -> float:
    """The share that is what people wrote, but for spaces."""
    return score("testgen", "exact", y_true, y_pred)


@ClassFactory.register(ClassType.GENERAL, alias="reliability")
def reliability(y_true: Sequence[object], y_pred: Sequence[object]) -> float:
    """How alike the answers to the same question asked again, and in other words, are."""
    return score("testgen", "reliability", y_true, y_pred)


@ClassFactory.register(ClassType.GENERAL, alias="explainability")
def explainability(y_true: Sequence[object], y_pred: Sequence[object]) -> float:
    """F1 of the lines that the model says a test runs, and those that it does run."""
    return score("testgen", "explainability", y_true, y_pred)
