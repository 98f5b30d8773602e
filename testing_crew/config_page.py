"""``docs/configuration.md``, made from what each setting says of itself: ``python -m testing_crew.config_page > …``."""

from __future__ import annotations

import json

from pydantic.fields import FieldInfo

from testing_crew.backends.base import Settings
from testing_crew.config import DELICATE, ENVIRONMENT, Config

_PAGE = """\
# Settings

<!-- made by: python -m testing_crew.config_page > docs/configuration.md -->

They stand in `testing_crew.toml`, or in `pyproject.toml` under `[tool.testing_crew]`, at the top of a project, and for all your
projects in `testing_crew.toml` of the workspace folder (`TESTING_CREW_HOME`, else your user data folder; `testing-crew doctor`
names it). A project's file overrides yours, the environment overrides both, and an option of a command overrides all. What a
project's own file says about servers, interpreters, model files and variables needs your word once: `testing-crew trust`."""


def page() -> str:
    """The page: every setting, in the tables of the file."""
    lines = _PAGE.splitlines()
    tables = {name: field.annotation for name, field in Config.model_fields.items() if _is_table(field)}
    for table, settings in (("", Config), *tables.items()):
        assert isinstance(settings, type)
        assert issubclass(settings, Settings)
        fields = {key: field for key, field in settings.model_fields.items() if not _is_table(field)}
        lines += ["", f"## `[{table}]`" if table else "## At the top", "", (settings.__doc__ or "").splitlines()[0], ""]
        lines += ["| key | if not set | what it does |", "| --- | --- | --- |"]
        lines += [f"| `{key}` | {_default(field)} | {_described(table, key, field)} |" for key, field in fields.items()]
    return "\n".join(lines) + "\n"


def _is_table(field: FieldInfo) -> bool:
    return isinstance(field.default, Settings)


def _default(field: FieldInfo) -> str:
    default = field.default
    return "–" if default is None else f"`{json.dumps(list(default) if isinstance(default, tuple) else default)}`"


def _described(table: str, key: str, field: FieldInfo) -> str:
    said = [str(field.description)]
    if not table and key in ENVIRONMENT:
        said.append(f"`TESTING_CREW_{key.upper()}` sets it as well.")
    if f"{table}.{key}".lstrip(".") in DELICATE:
        said.append("In a project's file it needs `testing-crew trust`.")
    return " ".join(said)


if __name__ == "__main__":
    print(page(), end="")
