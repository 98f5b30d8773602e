"""The base model that Ianvs asks: a model by its tag, through `benchmarks.ianvs.model`."""

from sedna.common.class_factory import ClassFactory, ClassType

from benchmarks.ianvs.model import TaggedModel

__all__ = ["BaseModel"]


@ClassFactory.register(ClassType.GENERAL, alias="smart_coding_comment")
class BaseModel(TaggedModel):
    """Answers the questions of the task ``comment``."""

    task = "comment"
