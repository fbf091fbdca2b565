"""Stripe's form encoding: brackets nest, `line_items[0][price_data][currency]=aud`."""

import re
from urllib.parse import parse_qsl

from devstack.stripe.errors import ApiError

type Tree = str | list[Tree] | dict[str, Tree]
"""A value as it was sent: text, a list (`name[]`), or a hash; `name[0]` is a hash whose keys are digits."""

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")


def parse(encoded: bytes | str) -> dict[str, Tree]:
    """The parameters of a query string or a form body.

    Raises ApiError for text that is not UTF-8 and for contradicting brackets in names.
    """
    try:
        text = encoded.decode("ascii") if isinstance(encoded, bytes) else encoded
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=10_000)
    except (UnicodeDecodeError, ValueError):
        raise ApiError("Invalid request: the parameters are not UTF-8 form data.", executed=False) from None
    tree: dict[str, Tree] = {}
    for name, value in pairs:
        _put(tree, name, value)
    return tree


def _put(tree: dict[str, Tree], name: str, value: str) -> None:
    matched = _NAME.fullmatch(name)
    if matched is None:
        raise ApiError(f"Invalid parameter name: {name}", param=name, executed=False)
    first, brackets = matched.groups()
    path = [first, *re.findall(r"\[([^\[\]]*)\]", brackets)]
    appends = path[-1] == ""
    keys = path[:-1] if appends else path
    node = tree
    for key in keys[:-1]:
        inner = node.setdefault(key, {})
        if not isinstance(inner, dict):
            raise _contradiction(name)
        node = inner
    last = keys[-1]
    if not appends:
        if isinstance(node.get(last), dict | list):
            raise _contradiction(name)
        node[last] = value
        return
    items = node.setdefault(last, [])
    if not isinstance(items, list):
        raise _contradiction(name)
    items.append(value)


def _contradiction(name: str) -> ApiError:
    return ApiError(
        f"Invalid object: {name} was sent both as a value and as a hash.", param=name, executed=False
    )
