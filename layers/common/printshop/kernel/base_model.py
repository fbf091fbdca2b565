"""The two base models of the project, and the shapes around every answer: `{"data": …}`, lists with `nextCursor`.

Names are snake_case in Python and camelCase in JSON; this is the one place that says so.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic.alias_generators import to_camel


class CamelModel(BaseModel):
    """What the database stores and what the API answers: camelCase names, immutable, unknown fields ignored."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class StrictModel(CamelModel):
    """What a request sends: unknown fields are refused, values are never converted, texts are stripped of blanks.

    Short answers of our own use it too: the API document then says that they have no other fields.
    """

    model_config = ConfigDict(extra="forbid", strict=True, str_strip_whitespace=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_nul(cls, value: Any) -> Any:
        """Neither PostgreSQL nor the login service stores a NUL character."""
        if isinstance(value, dict) and any("\0" in text for text in value.values() if isinstance(text, str)):
            raise ValueError("remove the NUL characters")
        return value


class Data[T](BaseModel):
    """A successful answer."""

    data: T


class Page[T](CamelModel):
    """One page of a list; send `nextCursor` back as `cursor` for the next page; null means that this was the last."""

    data: list[T]
    next_cursor: str | None
