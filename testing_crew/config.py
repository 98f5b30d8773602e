"""Settings: the project's file over the user's own, then the environment, then flags; and the swap of the model."""

from __future__ import annotations

import difflib
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

from pydantic import Field, ValidationError, field_validator

from testing_crew.backends.base import ModelConfig, Sampling, Settings
from testing_crew.backends.files import FILE, holds_settings, read_note, read_settings, write_note, write_setting
from testing_crew.backends.ref import ModelRef, parse
from testing_crew.errors import ConfigError, UnknownModel, UserMistake
from trace_logger.records import Record, utc_now
from trace_logger.workspace import workspace

ENVIRONMENT = ("model", "max_iterations", "candidates", "target_coverage", "tests_dir", "interpreter")
DELICATE = ("interpreter", "server.base_url", "sandbox.pass_env")  # and some values of ``model``
TRUST, HISTORY = "trust.json", "model_history.json"


class Traces(Settings):
    """Whether what happens is kept."""

    enabled: bool = Field(
        default=True,
        description="Keep every attempt in the trace store. `TESTING_CREW_TRACES=off` turns it off as well.",
    )


class Limits(Settings):
    """What one run of pytest may use."""

    wall_seconds: float = Field(default=60.0, gt=0.0, description="How long one run of a test file may take.")
    memory_mb: int = Field(default=2048, ge=64, description="The memory that one run may use, in MiB.")
    output_kb: int = Field(default=256, ge=1, description="How much of what a run prints is kept, in KiB.")


class Sandbox(Settings):
    """What a run of pytest is given. The project is read-only and the network is this machine's own, whatever is set."""

    pass_env: tuple[str, ...] = Field(
        default=(),
        description="Names of variables of your shell that the tests may see.",
    )


class Check(Settings):
    """How `testing-crew check` judges a suite, and what it asks of each module over all its tests."""

    mutants: int = Field(
        default=100, ge=0, description="Try at most this many changes of a module with each test file about it."
    )
    repeats: int = Field(default=20, ge=2, description="Run each test file this many times in all.")
    least_noticed: float = Field(
        default=0.0,
        ge=0.0,
        le=1.0,
        description="The share of a module's changes that must make a test fail; with --diff, of its changed lines. "
        "0 asks for none.",
    )
    least_lines: float = Field(
        default=0.0,
        ge=0.0,
        le=1.0,
        description="The share of a module's lines, with --diff of its changed lines, that tests must run; 0 asks for none.",
    )
    least_branches: float = Field(
        default=0.0,
        ge=0.0,
        le=1.0,
        description="The share of a module's branches that tests must take; 0 asks for none.",
    )


class Config(Settings):
    """Every setting."""

    model: str = Field(
        default="embedded",
        description="The model's tag; `testing-crew use TAG` writes it.",
    )
    max_iterations: int = Field(default=3, ge=1, description="Rounds of writing and repairing at most.")
    candidates: int = Field(
        default=8,
        ge=1,
        le=64,
        description="How many answers a model in this process gives where a repair is not accepted, or a first file has no test.",
    )
    derive: bool = Field(
        default=True,
        description="Whether the examples of docstrings become tests before the model is asked for any.",
    )
    target_coverage: float = Field(
        default=0.85,
        ge=0.0,
        le=1.0,
        description="Below this share of lines, an accepted file gets another round for the rest.",
    )
    tests_dir: str = Field(default="tests", description="The folder of the project that test files are written to.")
    interpreter: str | None = Field(
        default=None,
        description="The Python that runs the tests; if not set, that of the nearest `.venv` up to the repository's top, else "
        "that of the active environment, else our own.",
    )
    check: Check = Check()
    traces: Traces = Traces()
    limits: Limits = Limits()
    sandbox: Sandbox = Sandbox()
    sampling: Sampling = Sampling()
    server: ModelConfig = ModelConfig()

    @field_validator("tests_dir")
    @classmethod
    def _inside(cls, value: str) -> str:
        # A project's file must not be able to have tests written outside of the project.
        path = PurePath(value)
        if path.is_absolute() or ".." in path.parts or value.startswith(("~", "\\")):
            raise ValueError("it must be a folder inside the project")
        return value


class LoadedConfig(Settings):
    """The settings in force, and where each that is not a default came from, by its dotted key."""

    config: Config
    origins: dict[str, str] = Field(default_factory=dict)
    project_file: Path | None = None


class Change(Record):
    """A swap of the model: the file, and the tag before and after; None is a file that names no model."""

    file: Path
    before: str | None
    after: str | None


def load(start: Path, flags: Mapping[str, Any] | None = None, *, check_trust: bool = True) -> LoadedConfig:
    """Read the settings for ``start``; ``flags`` has dotted keys (``sampling.seed``), and a None in it is no flag.

    A project's file that names a server, an interpreter or a path raises ``ConfigError`` until ``trust`` was called.
    """
    own, project_file = workspace() / FILE, _project_file(start)
    if project_file == own.resolve():
        project_file = None
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for file in (own, project_file):
        if file is not None and file.is_file():
            _lay_over(values, origins, _flat(_read(file)), str(file))
    for key in ENVIRONMENT:
        variable = f"TESTING_CREW_{key.upper()}"
        if text := os.environ.get(variable):
            _lay_over(values, origins, {key: text}, variable)
    _lay_over(values, origins, {key: value for key, value in (flags or {}).items() if value is not None}, "the flags")
    loaded = LoadedConfig(config=_build(values, origins), origins=origins, project_file=project_file)
    parse(loaded.config.model)
    if check_trust and (wanted := needs_trust(loaded)):
        raise ConfigError(
            f"{project_file} sets {', '.join(wanted)}: a project's own file needs your word for that, once",
            hint="look at it, then: testing-crew trust",
        )
    return loaded


def needs_trust(loaded: LoadedConfig) -> list[str]:
    """List what the project's file has in force that the user has not yet trusted, each as ``key = value``."""
    granted = read_note(TRUST).get(str(loaded.project_file), [])
    return [f"{key} = {value}" for key, value in _delicate(loaded).items() if _mark(key, value) not in granted]


def trust(loaded: LoadedConfig) -> list[str]:
    """Keep the user's word for what ``needs_trust`` lists, for this file and these very values; return the list."""
    wanted = needs_trust(loaded)
    if wanted:
        _grant(loaded.project_file, _delicate(loaded))
    return wanted


def use(tag: str, start: Path, why: str = "") -> Change:
    """Write ``tag`` into the project's settings (a new testing_crew.toml if it has none); remember the old one, and ``why``."""
    file = _project_file(start) or _project_root(start) / FILE
    written = _as_written(parse(tag), file)
    before = read_settings(file).get("model")
    if before != written:
        _remember(file, "use", before, written, why)
        write_setting(file, "model", written)
    in_force = _resolved(written, file)
    if _is_delicate(parse(in_force)):
        _grant(file, {"model": in_force})  # naming it on the command line is the user's word
    return Change(file=file, before=before, after=written)


def rollback(start: Path) -> Change:
    """Put the tag back that the last ``use`` (not yet rolled back) replaced."""
    file = _project_file(start)
    replaced: list[str | None] = []
    for event in read_note(HISTORY).get(str(file), []):
        if event["action"] == "use":
            replaced.append(event["before"])
        elif replaced:
            replaced.pop()
    if file is None or not replaced:
        where = file or _project_root(start)
        raise UserMistake(f"there is nothing to roll back in {where}", hint="testing-crew use TAG sets the model")
    before, after = read_settings(file).get("model"), replaced[-1]
    _remember(file, "rollback", before, after)
    write_setting(file, "model", after)
    return Change(file=file, before=before, after=after)


def history(start: Path) -> list[dict[str, Any]]:
    """The swaps of the project's model, oldest first: ``action``, ``before``, ``after``, ``at`` and, where noted, ``why``."""
    return list(read_note(HISTORY).get(str(_project_file(start)), []))


def _remember(file: Path, action: str, before: str | None, after: str | None, why: str = "") -> None:
    history = read_note(HISTORY)
    event = {"action": action, "before": before, "after": after, "at": utc_now(), **({"why": why} if why else {})}
    write_note(HISTORY, history | {str(file): [*history.get(str(file), []), event]})


def _folders(start: Path) -> list[Path]:
    """List ``start`` and the folders above it, up to the repository's root."""
    start = start.resolve()
    folders: list[Path] = []
    for folder in (*([] if start.is_file() else [start]), *start.parents):
        folders.append(folder)
        if (folder / ".git").exists():
            break
    return folders


def _project_file(start: Path) -> Path | None:
    candidates = (folder / name for folder in _folders(start) for name in (FILE, "pyproject.toml"))
    return next(filter(holds_settings, candidates), None)


def _project_root(start: Path) -> Path:
    folders = _folders(start)
    marked = (folder for folder in folders if (folder / "pyproject.toml").exists() or (folder / ".git").exists())
    return next(marked, folders[0])


def _read(file: Path) -> dict[str, Any]:
    """Read the settings of one file, each checked, with its paths made absolute from where the file lies."""
    values = read_settings(file)
    _build(values, {}, str(file))
    if "model" in values:
        try:
            values["model"] = _resolved(values["model"], file)
        except UnknownModel as error:
            raise ConfigError(f"{file}: model: {error.message}", hint=error.hint) from error
    interpreter = values.get("interpreter")
    if interpreter and PurePath(interpreter).name != interpreter:  # a bare name is looked up on PATH
        values["interpreter"] = _absolute(interpreter, file.parent)
    return values


def _absolute(path: str, folder: Path) -> str:
    # Not resolve(): a virtual environment's python is a link, and what it links to is another interpreter.
    return os.path.abspath(folder / Path(path).expanduser())


def _resolved(tag: str, file: Path) -> str:
    """Return the tag with its paths, if it has any, taken from where ``file`` lies."""
    ref = parse(tag)
    return ref.model_copy(update={key: _absolute(path, file.parent) for key, path in _paths(ref, file.parent)}).tag


def _as_written(ref: ModelRef, file: Path) -> str:
    """Return the tag to write into ``file``: a path from the current folder becomes one from the file's folder."""
    here, folder = Path.cwd(), file.parent
    written: dict[str, str] = {}
    for key, named in _paths(ref, here):
        path = Path(_absolute(named, here))
        name = path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)
        written[key] = f"./{name}" if ref.kind == "hf" and not Path(name).is_absolute() else name
    return ref.model_copy(update=written).tag


def _paths(ref: ModelRef, folder: Path) -> list[tuple[str, str]]:
    """Return the parts of ``ref`` that are paths, seen from ``folder``; of ``hf:`` the others are names on the hub."""
    parts = [("name", ref.name), ("adapter", ref.adapter or "")]
    if ref.kind == "hf":
        return [(k, p) for k, p in parts if p.startswith((".", "~", "/")) or (p and (folder / p).is_dir())]
    return [(k, p) for k, p in parts if p and (k == "adapter" or ref.kind in ("gguf", "scripted"))]


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def _lay_over(values: dict[str, Any], origins: dict[str, str], more: Mapping[str, Any], origin: str) -> None:
    for dotted, value in more.items():
        *tables, key = dotted.split(".")
        place = values
        for table in tables:
            place = place.setdefault(table, {})
        place[key] = value
        origins[dotted] = origin


def _build(values: Mapping[str, Any], origins: Mapping[str, str], file: str = "") -> Config:
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        where = file or origins.get(key, "the settings")
        if first["type"] == "extra_forbidden":
            raise ConfigError(f"{where}: there is no setting {key}", hint=_nearest(key)) from error
        message = first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{where}: {key} = {first['input']!r}: {message}") from error


def _nearest(key: str) -> str:
    """Guess which setting was meant: one spelt alike, or the same word in another table."""
    defaults = Config().model_dump()
    known = [*_flat(defaults), *(name for name, value in defaults.items() if isinstance(value, dict))]
    by_word = {name.rpartition(".")[2]: name for name in known}
    near = difflib.get_close_matches(key, known, 1)
    near = near or [by_word[word] for word in difflib.get_close_matches(key.rpartition(".")[2], by_word, 1)]
    return f"did you mean {near[0]}?" if near else f"the settings: {', '.join(known)}"


def _is_delicate(ref: ModelRef) -> bool:
    """Tell whether a model, named by somebody else's file, could read a path or send code to a server."""
    # Ollama passes its cloud models on to ollama.com: the code under test would leave the machine.
    cloud = ref.kind == "ollama" and (ref.label == "cloud" or ref.label.endswith("-cloud"))
    return ref.kind in ("gguf", "hf", "scripted", "openai") or ref.adapter is not None or cloud


def _delicate(loaded: LoadedConfig) -> dict[str, str]:
    """Return what is in force from the project's file and names a server, a program or a path."""
    config = loaded.config
    flat = _flat(config.model_dump())
    named = {key: ", ".join(flat[key]) if isinstance(flat[key], tuple) else flat[key] for key in DELICATE}
    if _is_delicate(parse(config.model)):
        named["model"] = config.model
    ours = {key for key, origin in loaded.origins.items() if origin == str(loaded.project_file)}
    return {key: value for key, value in named.items() if value and key in ours}


def _mark(key: str, value: str) -> str:
    return hashlib.sha256(f"{key}={value}".encode()).hexdigest()


def _grant(file: Path | None, settings: Mapping[str, str]) -> None:
    kept = read_note(TRUST)
    marks = {*kept.get(str(file), []), *(_mark(key, value) for key, value in settings.items())}
    write_note(TRUST, kept | {str(file): sorted(marks)})
