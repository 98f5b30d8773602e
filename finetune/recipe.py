"""A stage's recipe: what ``finetune/configs/{a,b,c}.toml`` hold, and ``--set key=value`` overrides."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, Literal, TypeVar

import tomlkit
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from tomlkit.exceptions import TOMLKitError

from finetune.data.build import DataRecipe
from testing_crew.errors import ConfigError

Stage = Literal["a", "b", "c"]
STAGES: tuple[Stage, ...] = ("a", "b", "c")
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class LoraRecipe(BaseModel):
    """The adapter's shape (https://arxiv.org/abs/2106.09685): rank, scale, dropout, and the layers that get one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    r: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)
    dropout: float = Field(default=0.05, ge=0.0, lt=1.0)
    targets: tuple[str, ...] = PROJECTIONS


class Common(BaseModel):
    """What all ways of training have."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lora: LoraRecipe = LoraRecipe()
    learning_rate: float = Field(default=2e-4, gt=0.0)
    warmup: float = Field(default=0.03, ge=0.0, le=1.0, description="share of the steps")
    weight_decay: float = Field(default=0.0, ge=0.0)
    gradient_checkpointing: bool = False
    four_bit: Literal["auto", "yes", "no"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    evaluations: int = Field(default=8, ge=1, description="how often the dev rows are looked at, and a checkpoint kept")
    patience: int = Field(default=3, ge=1, description="evaluations that are no better before training stops")
    seed: int = 0


class Recipe(Common):
    """One stage of training. Lengths are tokens; the learning rate is per step of ``accumulation`` batches."""

    stage: Stage
    data: DataRecipe
    epochs: float = Field(default=1.0, gt=0.0)
    max_steps: int | None = Field(default=None, ge=1)
    micro_tokens: int = Field(default=2048, ge=64, description="tokens of one batch once padded")
    accumulation: int = Field(default=4, ge=1, description="batches of one step")
    packing: bool = False


def shipped(stage: str) -> Path:
    """The recipe of ``stage`` that ships with the package."""
    return Path(__file__).parent / "configs" / f"{stage}.toml"


Read = TypeVar("Read", bound=Common)


def read_recipe(file: Path, overrides: list[str] | None = None) -> Recipe:
    """A stage's recipe; see `read_as`."""
    return read_as(Recipe, file, overrides)


def read_as(kind: type[Read], file: Path, overrides: list[str] | None = None) -> Read:
    """Read a recipe and lay ``key=value`` overrides over it (dotted keys, values as in TOML, a bare word is a text).

    Raises ConfigError for a file that cannot be read, an unknown key, or a value that does not fit.
    """
    try:
        values: dict[str, Any] = tomlkit.parse(file.read_text(encoding="utf-8")).unwrap()
    except (OSError, UnicodeDecodeError, TOMLKitError) as error:
        raise ConfigError(f"{file} cannot be read as a recipe: {error}") from None
    for pair in overrides or []:
        key, equals, text = pair.partition("=")
        if not equals:
            raise ConfigError(f"--set {pair}: it has no value", hint="--set learning_rate=1e-4")
        *tables, last = key.strip().split(".")
        place = values
        for table in tables:
            place = place.setdefault(table, {})
            if not isinstance(place, dict):
                raise ConfigError(f"--set {pair}: {table} is no table", hint=f"--set {table}=…")
        place[last] = _value(text.strip())
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise _told(kind, file, error) from None


def _value(text: str) -> Any:
    try:
        return tomlkit.parse(f"value = {text}").unwrap()["value"]
    except TOMLKitError:
        return text


def _told(kind: type[Common], file: Path, error: ValidationError) -> ConfigError:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = []
        for name, each in kind.model_fields.items():
            known.append(name)
            if isinstance(each.annotation, type) and issubclass(each.annotation, BaseModel):
                known += [f"{name}.{key}" for key in each.annotation.model_fields]
        near = difflib.get_close_matches(key, known, 1)
        return ConfigError(
            f"{file}: a recipe has no {key}", hint=f"did you mean {near[0]}?" if near else f"it has: {', '.join(known)}"
        )
    return ConfigError(f"{file}: {key} = {first['input']!r}: {first['msg']}")
