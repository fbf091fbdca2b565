"""Stripe's lists: newest first, by cursor, with `has_more`."""

from collections.abc import Callable, Mapping
from typing import Any

from devstack.stripe.errors import ApiError
from devstack.stripe.merchant import Merchant
from devstack.stripe.store import Body


def page(
    merchant: Merchant,
    kind: str,
    url: str,
    params: Mapping[str, Any],
    *,
    where: Mapping[str, Any] | None = None,
    keep: Callable[[Body], bool] = lambda _: True,
) -> Body:
    """One page of the objects of a kind: {"object": "list", "data", "has_more", "url"}.

    `params` are the request's limit, starting_after, ending_before and created; `where` and `keep` select.
    """
    created = params.get("created", {})
    matching = [
        body
        for body in merchant.store.newest_first(kind, where)
        if _within(body.get("created", 0), created) and keep(body)
    ]
    return paginate(matching, kind, url, params)


def filters_of(params: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The filters among `names` that the request gives, as name → value."""
    return {name: params[name] for name in names if name in params}


def paginate(matching: list[Body], kind: str, url: str, params: Mapping[str, Any]) -> Body:
    """One page of objects that are already selected and in order."""
    limit = params.get("limit", 10)
    after, before = params.get("starting_after"), params.get("ending_before")
    if after and before:
        raise ApiError(
            "You may only specify one of these parameters: ending_before, starting_after.",
            code="parameters_exclusive",
        )
    if before:
        ahead = matching[: _place(matching, kind, before, "ending_before")]
        return _list(ahead[-limit:], len(ahead) > limit, url)
    rest = matching[_place(matching, kind, after, "starting_after") + 1 :] if after else matching
    return _list(rest[:limit], len(rest) > limit, url)


def _list(data: list[Body], has_more: bool, url: str) -> Body:
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def _place(matching: list[Body], kind: str, identifier: str, param: str) -> int:
    for index, body in enumerate(matching):
        if body["id"] == identifier:
            return index
    raise ApiError(f"No such {kind}: '{identifier}'", code="resource_missing", param=param)


def _within(created: int, bounds: Mapping[str, int]) -> bool:
    return (
        created > bounds.get("gt", created - 1)
        and created >= bounds.get("gte", created)
        and created < bounds.get("lt", created + 1)
        and created <= bounds.get("lte", created)
    )
