"""The question whether a test passes: its rows, and how one is asked. The form is that of MERA Code's CodeCorrectness.

A row is `FORM`; ``outputs`` is ``success`` or ``failed``, ``instruction`` has placeholders for the three inputs.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from testing_crew.errors import UserMistake

Language = Literal["Python", "Java", "Go"]
Label = Literal["success", "failed"]
LANGUAGES: tuple[Language, ...] = ("Python", "Java", "Go")
HUB = "MERA-evaluation/CodeCorrectness"
FORM = 'a row is {"instruction": …, "inputs": {"focal_code": …, "test_code": …, "lang": …}, "outputs": …, "meta": {"id": …}}'
_SHOWN = ("focal_code", "test_code")  # without which nothing is asked
_FIELDS = (*_SHOWN, "lang")


class Inputs(BaseModel):
    """What a question shows: two files, and the language that they are in."""

    model_config = ConfigDict(frozen=True)

    focal_code: str = Field(pattern=r"\S")
    test_code: str = Field(pattern=r"\S")
    lang: Language

    @field_validator("lang", mode="before")
    @classmethod
    def _known(cls, lang: Any) -> Any:
        known = {each.casefold(): each for each in LANGUAGES}
        return known.get(lang.casefold(), lang) if isinstance(lang, str) else lang


class Meta(BaseModel):
    """What is not asked; our own rows say here how they were made."""

    model_config = ConfigDict(frozen=True, extra="allow")

    id: int | Annotated[str, Field(pattern=r"\S")]


class OutcomeRow(BaseModel):
    """One question. ``outputs`` is None where the answer is not published; ``instruction`` where the row has none of its own."""

    model_config = ConfigDict(frozen=True)

    inputs: Inputs
    meta: Meta
    outputs: Label | None
    instruction: str | None = None

    @field_validator("outputs", mode="before")
    @classmethod
    def _published(cls, outputs: Any) -> Any:
        return None if outputs == "" else outputs

    @field_validator("instruction")
    @classmethod
    def _has_places(cls, instruction: str | None) -> str | None:
        if instruction is not None:
            places(instruction)
        return instruction

    @property
    def key(self) -> str:
        """Its id, as text."""
        return str(self.meta.id)


def places(instruction: str) -> set[str]:
    """The placeholders of an instruction. Raises ValueError where it lacks one that must be there, or has one that is none."""
    try:
        parsed = list(string.Formatter().parse(instruction))
    except ValueError as error:
        raise ValueError(f"a brace stands alone in it ({error}); write it twice") from None
    found = {name for _, name, _, _ in parsed if name is not None}
    if any(name is not None and (spec or conversion) for _, name, spec, conversion in parsed) or found - set(_FIELDS):
        raise ValueError(f"it has a placeholder beside {', '.join(f'{{{name}}}' for name in _FIELDS)}")
    for name in _SHOWN:
        if name not in found:
            raise ValueError(f"it has no {{{name}}}")
    return found


def ask(row: OutcomeRow, instruction: str | None = None) -> str:
    """The question of a row, as the official task asks it; ``instruction`` is for a row that has none of its own.

    Raises ValueError where neither has one.
    """
    template = row.instruction or instruction
    if template is None:
        raise ValueError(f"the row {row.key} has no instruction")
    return template.format(**row.inputs.model_dump()).strip()


def rows_of(records: Iterable[Mapping[str, Any]], where: str) -> list[OutcomeRow]:
    """Raw records as rows. Raises UserMistake for one that is none, an id that stands there twice, and where there is none."""
    rows: list[OutcomeRow] = []
    seen: set[str] = set()
    for number, record in enumerate(records, 1):
        try:
            row = OutcomeRow.model_validate(record)
        except ValidationError as error:
            first = error.errors()[0]
            at = ".".join(map(str, first["loc"]))
            said = first["msg"].removeprefix("Value error, ")
            raise UserMistake(f"{where}, row {number} is no row: {at}: {said}", hint=FORM) from None
        if row.key in seen:
            raise UserMistake(f"{where}, row {number}: the id {row.key} was there before", hint="each row has its own")
        seen.add(row.key)
        rows.append(row)
    if not rows:
        raise UserMistake(f"{where} is empty: it holds no row", hint=FORM)
    return rows
