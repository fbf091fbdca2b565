"""Every endpoint under /v1 that the stand-in implements, with its parameters."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from devstack.stripe import account, disputes, endpoints, events, payments, refunds, sessions
from devstack.stripe.errors import ApiError
from devstack.stripe.merchant import Call
from devstack.stripe.parameters import Hash
from devstack.stripe.store import Body


@dataclass(frozen=True)
class Operation:
    method: str
    path: str
    """`{}` stands for an id."""

    parameters: Hash
    run: Callable[[Call, dict[str, Any]], Body]

    def ids(self, method: str, path: str) -> tuple[str, ...] | None:
        """The ids in `path`; None if the request is not for this operation."""
        if method != self.method:
            return None
        matched = re.fullmatch(self.path.replace("{}", "([^/]+)"), path)
        return matched.groups() if matched else None


OPERATIONS = (
    Operation("POST", "/v1/checkout/sessions", sessions.CREATE, sessions.create),
    Operation("GET", "/v1/checkout/sessions", sessions.LIST, sessions.list_sessions),
    Operation("GET", "/v1/checkout/sessions/{}", sessions.RETRIEVE, sessions.retrieve),
    Operation("POST", "/v1/checkout/sessions/{}/expire", sessions.EXPIRE, sessions.expire),
    Operation("GET", "/v1/checkout/sessions/{}/line_items", sessions.LINE_ITEMS, sessions.list_line_items),
    Operation("GET", "/v1/payment_intents/{}", payments.RETRIEVE_INTENT, payments.retrieve_intent),
    Operation("GET", "/v1/charges", payments.LIST_CHARGES, payments.list_charges),
    Operation("GET", "/v1/charges/{}", payments.RETRIEVE_CHARGE, payments.retrieve_charge),
    Operation("POST", "/v1/refunds", refunds.CREATE, refunds.create),
    Operation("GET", "/v1/refunds", refunds.LIST, refunds.list_refunds),
    Operation("GET", "/v1/refunds/{}", refunds.RETRIEVE, refunds.retrieve),
    Operation("GET", "/v1/disputes", disputes.LIST, disputes.list_disputes),
    Operation("GET", "/v1/disputes/{}", disputes.RETRIEVE, disputes.retrieve),
    Operation("GET", "/v1/events", events.LIST, events.list_events),
    Operation("GET", "/v1/events/{}", events.RETRIEVE, events.retrieve),
    Operation("POST", "/v1/webhook_endpoints", endpoints.CREATE, endpoints.create),
    Operation("GET", "/v1/webhook_endpoints", endpoints.LIST, endpoints.list_endpoints),
    Operation("GET", "/v1/webhook_endpoints/{}", endpoints.RETRIEVE, endpoints.retrieve),
    Operation("POST", "/v1/webhook_endpoints/{}", endpoints.UPDATE, endpoints.update),
    Operation("GET", "/v1/balance", account.RETRIEVE, account.balance),
    Operation("GET", "/v1/account", account.RETRIEVE, account.account),
)


def find(method: str, path: str) -> tuple[Operation, tuple[str, ...]]:
    """The operation for a request and the ids in its path; ApiError 404 for a URL that Stripe does not know."""
    for operation in OPERATIONS:
        ids = operation.ids(method, path)
        if ids is not None:
            return operation, ids
    raise ApiError(
        f"Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs or we can help at "
        "https://support.stripe.com/.",
        status=404,
        executed=False,
    )
