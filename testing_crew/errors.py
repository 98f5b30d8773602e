"""The exceptions a caller may meet. Each says what was tried, what exists, and the command that mends it."""

from __future__ import annotations


class TestingCrewError(Exception):
    """The base of all of them: a message for a person, and what to do about it."""

    __test__ = False  # pytest collects classes whose name begins with Test

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


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
