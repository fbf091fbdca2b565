"""The kinds of parameter and the errors that Stripe answers for each.

A table of kinds per endpoint is all that the stand-in accepts; a test holds every name in them against the SDK's
own parameter types.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

from devstack.stripe.currencies import SUPPORTED
from devstack.stripe.errors import invalid, missing_parameter, unknown_parameters
from devstack.stripe.form import Tree


class Kind(Protocol):
    def read(self, raw: Tree, path: str) -> Any:
        """The value, or an ApiError that names `path`."""


def _filled_text(raw: Tree, path: str, expected: str = "string") -> str:
    if not isinstance(raw, str):
        raise invalid(f"Invalid {expected}: {raw}", path)
    if raw == "":
        raise invalid(
            f"You passed an empty string for '{path}'. We assume empty values are an attempt to unset a "
            f"parameter; however '{path}' cannot be unset. You should remove '{path}' from your request or "
            "supply a non-empty value.",
            path,
            "parameter_invalid_empty",
        )
    return raw


@dataclass(frozen=True)
class Text:
    maximum: int = 5000

    def read(self, raw: Tree, path: str) -> str:
        text = _filled_text(raw, path)
        if len(text) > self.maximum:
            shown = f"{text[:10]}...{text[-10:]}"
            raise invalid(f"Invalid string: {shown}; must be at most {self.maximum} characters", path)
        return text


@dataclass(frozen=True)
class Integer:
    minimum: int | None = None
    maximum: int | None = None

    def read(self, raw: Tree, path: str) -> int:
        text = _filled_text(raw, path, "integer")
        code = "parameter_invalid_integer"
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
            raise invalid(f"Invalid integer: {text}", path, code)
        number = int(text)
        if self.minimum is not None and number < self.minimum:
            raise invalid(f"This value must be greater than or equal to {self.minimum}.", path, code)
        if self.maximum is not None and number > self.maximum:
            raise invalid(f"This value must be less than or equal to {self.maximum}.", path, code)
        return number


@dataclass(frozen=True)
class Boolean:
    def read(self, raw: Tree, path: str) -> bool:
        text = _filled_text(raw, path, "boolean")
        if text not in ("true", "false"):
            raise invalid(f"Invalid boolean: {text}", path)
        return text == "true"


@dataclass(frozen=True)
class Choice:
    values: tuple[str, ...]

    def read(self, raw: Tree, path: str) -> str:
        text = _filled_text(raw, path)
        if text not in self.values:
            *most, last = self.values
            listed = f"{', '.join(most)}, or {last}" if len(most) > 1 else " or ".join(self.values)
            raise invalid(
                f"Invalid {path}: must be one of {listed}" if most else f"Invalid {path}: must be {last}",
                path,
            )
        return text


@dataclass(frozen=True)
class Currency:
    def read(self, raw: Tree, path: str) -> str:
        code = _filled_text(raw, path).lower()
        if code not in SUPPORTED:
            known = ", ".join(sorted(SUPPORTED))
            raise invalid(
                f"Invalid currency: {code}. Stripe currently supports these currencies: {known}", path
            )
        return code


@dataclass(frozen=True)
class Url:
    maximum: int = 5000

    def read(self, raw: Tree, path: str) -> str:
        text = Text(self.maximum).read(raw, path)
        try:
            parts = urlsplit(text)
        except ValueError:
            raise invalid("Not a valid URL", path, "url_invalid") from None
        if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"\s", text):
            raise invalid("Not a valid URL", path, "url_invalid")
        return text


@dataclass(frozen=True)
class Email:
    def read(self, raw: Tree, path: str) -> str:
        text = Text(800).read(raw, path)
        if not re.fullmatch(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+", text):
            raise invalid(f"Invalid email address: {text}", path, "email_invalid")
        return text


@dataclass(frozen=True)
class ListOf:
    item: Kind
    maximum: int = 100

    def read(self, raw: Tree, path: str) -> list[Any]:
        if isinstance(raw, dict) and all(key.isdigit() for key in raw):
            entries = [(key, raw[key]) for key in sorted(raw, key=int)]
        elif isinstance(raw, list):
            entries = [(str(index), item) for index, item in enumerate(raw)]
        else:
            raise invalid("Invalid array", path)
        if len(entries) > self.maximum:
            raise invalid(f"Array {path} exceeded maximum {self.maximum} allowed elements.", path)
        return [self.item.read(value, f"{path}[{key}]") for key, value in entries]


@dataclass(frozen=True)
class Metadata:
    """Up to 50 pairs of text; an empty value unsets a key."""

    def read(self, raw: Tree, path: str) -> dict[str, str]:
        if raw == "":
            return {}
        if not isinstance(raw, dict):
            raise invalid("Invalid object", path)
        if len(raw) > 50:
            raise invalid(f"You can only have up to 50 metadata keys; you passed {len(raw)}.", path)
        for key, value in raw.items():
            if not isinstance(value, str):
                raise invalid(
                    "Metadata values must be strings, but for key " + key + " you passed a hash.", path
                )
            if len(key) > 40:
                raise invalid(
                    f"Metadata keys can have up to 40 characters, but you passed in a key that is {len(key)} "
                    f"characters. Invalid key: {key}",
                    path,
                )
            if len(value) > 500:
                raise invalid(
                    f"Metadata values can have up to 500 characters, but you passed in a value that is "
                    f"{len(value)} characters. Invalid value: {value}",
                    f"{path}[{key}]",
                )
        return {key: value for key, value in raw.items() if isinstance(value, str) and value}


@dataclass(frozen=True)
class Hash:
    """A set of named parameters; any other name is an error."""

    fields: Mapping[str, Kind] = field(default_factory=dict)
    required: tuple[str, ...] = ()

    def read(self, raw: Tree, path: str) -> dict[str, Any]:
        if not isinstance(raw, dict):
            raise invalid("Invalid object", path)

        def at(name: str) -> str:
            return f"{path}[{name}]" if path else name

        unknown = [at(name) for name in raw if name not in self.fields]
        if unknown:
            raise unknown_parameters(unknown)
        for name in self.required:
            if name not in raw:
                raise missing_parameter(at(name))
        return {name: self.fields[name].read(value, at(name)) for name, value in raw.items()}


@dataclass(frozen=True)
class Moments:
    """A time in epoch seconds, or a range of times by gt, gte, lt, lte."""

    bounds: Hash = field(default_factory=lambda: Hash(dict.fromkeys(("gt", "gte", "lt", "lte"), Integer())))

    def read(self, raw: Tree, path: str) -> dict[str, int]:
        if isinstance(raw, str):
            moment = Integer().read(raw, path)
            return {"gte": moment, "lte": moment}
        return self.bounds.read(raw, path)


EXPAND: Mapping[str, Kind] = {"expand": ListOf(Text(), 20)}

PAGING: Mapping[str, Kind] = {
    **EXPAND,
    "limit": Integer(1, 100),
    "starting_after": Text(),
    "ending_before": Text(),
}
