"""The packages that only some commands need."""

from __future__ import annotations

from importlib.util import find_spec

from testing_crew.errors import BackendUnavailable

_EXTRAS = {"llama_cpp": "local"}  # all others come with ``train``


def must_have(what: str, *names: str) -> None:
    """Raise BackendUnavailable for the first of ``names`` that is missing; ``what`` needs it."""
    for name in names:
        if find_spec(name) is None:
            extra = _EXTRAS.get(name, "train")
            raise BackendUnavailable(f"{what} needs {name}", hint=f"pip install 'testing-crew[{extra}]'")
