"""The shapes around every answer: `{"data": …}`, lists with `nextCursor`, camelCase throughout."""

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """A body of the API: camelCase names, unknown fields refused, values never coerced from strings."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        strict=True,
        str_strip_whitespace=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _without_nul(cls, value: Any) -> Any:
        """PostgreSQL stores no NUL, and neither does the login service."""
        if isinstance(value, dict) and any("\0" in text for text in value.values() if isinstance(text, str)):
            raise ValueError("remove the NUL characters")
        return value


class Data[T](BaseModel):
    """Success."""

    data: T


class Page[T](BaseModel):
    """One page of a list; send `nextCursor` back as `cursor` for the next, null ends it."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    data: list[T]
    next_cursor: str | None
