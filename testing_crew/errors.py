"""The exceptions a caller may meet. Each says what was tried, what exists, and the command that mends it."""

from __future__ import annotations

from trace_logger.errors import PlainError


class TestingCrewError(PlainError):
    """The base of all of them."""

    __test__ = False  # pytest collects classes whose name begins with Test


class UserMistake(TestingCrewError):
    """The command or the call cannot be carried out as given: a path, a name, a setting."""


class ConfigError(UserMistake):
    """A configuration file or variable that cannot be read or does not fit."""


class UnknownModel(UserMistake):
    """A model tag that names nothing."""


class BackendUnavailable(UserMistake):
    """The tag is sound, but what serves it is not there: a dead server, a missing extra, a broken file."""


class GenerationFailed(TestingCrewError):
    """The backend answered with an error while it was generating; the attempt did not happen."""


class PromptTooLong(GenerationFailed):
    """The prompt and the room for an answer do not fit the model's context."""


class SandboxError(TestingCrewError):
    """The sandbox itself could not be started, so nothing was run."""
