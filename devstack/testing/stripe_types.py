"""Stripe's published shapes, read from the SDK's own classes and parameter types."""

import types
import typing
from decimal import Decimal
from typing import Any, Literal, get_args, get_origin

import stripe
import stripe._stripe_context
import stripe.checkout
from stripe._request_options import RequestOptions
from typing_extensions import is_typeddict

from devstack.stripe.parameters import (
    Boolean,
    Choice,
    Hash,
    Integer,
    Kind,
    ListOf,
    Metadata,
    Moments,
)


class _SdkNames(dict[str, Any]):
    """The names that the SDK imports for its type checker only."""

    def __missing__(self, name: str) -> Any:
        for place in (stripe, stripe.checkout, stripe._stripe_context, typing):
            for candidate in (name, name.removesuffix("Resource")):
                if hasattr(place, candidate):
                    return getattr(place, candidate)
        raise KeyError(name)


def hints(published: type) -> dict[str, Any]:
    """The fields of an SDK class or the keys of a parameter type, with their resolved types."""
    found = typing.get_type_hints(published, localns=_SdkNames())
    if is_typeddict(published):
        for name in RequestOptions.__annotations__:
            found.pop(name, None)
    found.pop("OBJECT_NAME", None)
    return {name: hint for name, hint in found.items() if not name.startswith("_")}


def value_errors(value: Any, hint: Any, path: str) -> list[str]:
    """The differences of a JSON value from a published type."""
    origin = get_origin(hint)
    if hint is Any:
        return []
    if origin in (typing.Union, types.UnionType):
        return _value_errors_of_union(value, get_args(hint), path)
    if origin is Literal:
        return [] if value in get_args(hint) else [f"{path}: {value!r} is not among {get_args(hint)}"]
    if origin is list:
        if not isinstance(value, list):
            return [f"{path}: {value!r} is no list"]
        (item,) = get_args(hint)
        return [
            error for index, one in enumerate(value) for error in value_errors(one, item, f"{path}[{index}]")
        ]
    published = origin or hint
    if published.__name__ == "ListObject":
        return _value_errors_of_list(value, get_args(hint)[0], path)
    if published.__name__ == "UntypedStripeObject":
        return [] if isinstance(value, dict) else [f"{path}: {value!r} is no hash"]
    if issubclass(published, stripe.StripeObject):
        return _value_errors_of_object(value, published, path)
    wire = str if published is Decimal else published
    fits = isinstance(value, wire) and not (wire is int and isinstance(value, bool))
    return [] if fits else [f"{path}: {value!r} is no {wire.__name__}"]


def missing(value: dict[str, Any], published: type, on_demand: set[str]) -> set[str]:
    """The published fields that an object lacks, except those that Stripe sends only `on_demand`."""
    return set(hints(published)) - set(value) - on_demand


def unpublished_parameters(kind: Kind, hint: Any, path: str) -> list[str]:
    """The parameters of a table that the SDK's parameter types do not have."""
    members = _members(hint)
    shapes = [member for member in members if is_typeddict(member)]
    match kind:
        case Hash():
            return _unpublished_fields(kind, shapes, path)
        case Moments():
            return _unpublished_fields(kind.bounds, shapes, path) + _unless(int in members, path, "a time")
        case ListOf():
            items = [get_args(member)[0] for member in members if get_origin(member) is list]
            return unpublished_parameters(kind.item, items[0], f"{path}[]") if items else [f"{path}: no list"]
        case Metadata():
            return _unless(any(get_origin(member) is dict for member in members), path, "metadata")
        case Integer():
            return _unless(int in members, path, "an integer")
        case Boolean():
            return _unless(bool in members, path, "a boolean")
        case Choice():
            known = {one for member in members if get_origin(member) is Literal for one in get_args(member)}
            return [f"{path}: {value}" for value in kind.values if value not in known]
    return _unless(str in members, path, "text")


def parameter_errors(value: Any, hint: Any, path: str) -> list[str]:
    """The differences of a parameter, read from a form in which every leaf is text, from the SDK's type."""
    members = [member for member in _members(hint) if member is not type(None)]
    # As in `_value_errors_of_union`: of an open enum, what is published.
    if any(get_origin(member) is Literal and get_args(member) != ("",) for member in members):
        members = [member for member in members if member is not str]
    tries = [_parameter_errors_of_one(value, member, path) for member in members]
    return [] if [] in tries else max(tries, key=lambda found: path + "." in str(found))


def _parameter_errors_of_one(value: Any, hint: Any, path: str) -> list[str]:
    origin = get_origin(hint)
    if is_typeddict(hint):
        if not isinstance(value, dict):
            return [f"{path}: {value!r} is no hash"]
        known = hints(hint)
        absent = (set(hint.__required_keys__) & set(known)) - set(value)
        return [
            *(f"{path}.{name} is missing" for name in sorted(absent)),
            *(f"{path}.{name} is not published" for name in value if name not in known),
            *(
                one
                for name in value
                if name in known
                for one in parameter_errors(value[name], known[name], f"{path}.{name}")
            ),
        ]
    if origin is list:
        if not isinstance(value, dict) or list(value) != [str(index) for index in range(len(value))]:
            return [f"{path}: {value!r} is no list"]
        return [
            one
            for at, inner in value.items()
            for one in parameter_errors(inner, get_args(hint)[0], f"{path}[{at}]")
        ]
    if origin is dict:
        flat = isinstance(value, dict) and all(isinstance(inner, str) for inner in value.values())
        return _unless(flat, path, f"metadata: {value!r}")
    fits = isinstance(value, str) and (
        value in get_args(hint)
        if origin is Literal
        else value in ("true", "false")
        if hint is bool
        else value.removeprefix("-").isdecimal()
        if hint is int
        else hint is str
    )
    return _unless(fits, path, f"{hint}: {value!r}")


def _unpublished_fields(kind: Hash, shapes: list[Any], path: str) -> list[str]:
    if not shapes:
        return [f"{path}: no hash"]
    shape = shapes[0]
    known = hints(shape)
    found = [f"{path}.{name}" for name in kind.fields if name not in known]
    optional = (set(shape.__required_keys__) & set(known)) - set(kind.required)
    found += [f"{path}.{name} is required at Stripe" for name in optional]
    for name, inner in kind.fields.items():
        if name in known:
            found += unpublished_parameters(inner, known[name], f"{path}.{name}")
    return found


def _members(hint: Any) -> list[Any]:
    if get_origin(hint) in (typing.Union, types.UnionType):
        return [inner for member in get_args(hint) for inner in _members(member)]
    return [hint]


def _unless(known: bool, path: str, what: str) -> list[str]:
    return [] if known else [f"{path}: not {what}"]


def _value_errors_of_union(value: Any, members: tuple[Any, ...], path: str) -> list[str]:
    if value is None:
        return [] if type(None) in members else [f"{path}: null"]
    inner = [member for hint in members for member in _members(hint) if member is not type(None)]
    # An open enum is Union[Literal[…], str]: the stand-in must keep to the values that are published.
    if any(get_origin(member) is Literal for member in inner):
        inner = [member for member in inner if member is not str]
    tries = [value_errors(value, member, path) for member in inner]
    return [] if [] in tries else max(tries, key=lambda found: path + "." in str(found))


def _value_errors_of_list(value: Any, item: Any, path: str) -> list[str]:
    if not isinstance(value, dict) or value.get("object") != "list":
        return [f"{path}: {value!r} is no list object"]
    return [
        error
        for index, one in enumerate(value["data"])
        for error in value_errors(one, item, f"{path}.data[{index}]")
    ]


def _value_errors_of_object(value: Any, published: type, path: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{path}: {value!r} is no {published.__name__}"]
    known = hints(published)
    found = [f"{path}.{name} is not published" for name in value if name not in known]
    for name, inner in value.items():
        if name in known:
            found += value_errors(inner, known[name], f"{path}.{name}")
    return found
