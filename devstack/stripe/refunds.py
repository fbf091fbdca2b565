"""Refunds of a charge, partial or whole; one may still fail days later."""

from typing import Any

from devstack.stripe import ids
from devstack.stripe.currencies import display
from devstack.stripe.errors import ApiError, invalid
from devstack.stripe.events import record
from devstack.stripe.expanding import expand
from devstack.stripe.listing import filters_of, page
from devstack.stripe.merchant import Call, Cause, Merchant
from devstack.stripe.parameters import EXPAND, PAGING, Choice, Hash, Integer, Metadata, Moments, Text
from devstack.stripe.store import Body

CREATE = Hash(
    {
        **EXPAND,
        "amount": Integer(1),
        "charge": Text(),
        "metadata": Metadata(),
        "payment_intent": Text(),
        "reason": Choice(("duplicate", "fraudulent", "requested_by_customer")),
    }
)
RETRIEVE = Hash(EXPAND)
LIST = Hash({**PAGING, "charge": Text(), "created": Moments(), "payment_intent": Text()})


def create(call: Call, params: dict[str, Any]) -> Body:
    """Refund a charge; without an amount, all that is left of it. Raises ApiError for more than that."""
    merchant = call.merchant
    charge = _charge(merchant, params)
    amount = _amount(charge, params.get("amount"))
    before = dict(charge)
    refund = _object(merchant, charge, amount, params)
    merchant.store.add(refund)
    _recount(merchant, charge)
    record(merchant, call.cause, "refund.created", refund)
    record(merchant, call.cause, "charge.refunded", charge, before)
    return expand(merchant, refund, params)


def retrieve(call: Call, params: dict[str, Any]) -> Body:
    return expand(call.merchant, call.merchant.require("refund", call.ids[0]), params)


def list_refunds(call: Call, params: dict[str, Any]) -> Body:
    where = filters_of(params, "charge", "payment_intent")
    return expand(call.merchant, page(call.merchant, "refund", "/v1/refunds", params, where=where), params)


def succeed(merchant: Merchant, refund: Body) -> Body:
    """Let a pending refund succeed."""
    if refund["status"] != "pending":
        raise ApiError(f"Refund {refund['id']} is {refund['status']}, not pending.")
    before = dict(refund)
    refund |= {"pending_reason": None, "status": "succeeded"}
    with merchant.store.transaction():
        merchant.store.save(refund)
        record(merchant, Cause(), "refund.updated", refund, before)
        record(merchant, Cause(), "charge.refund.updated", refund, before)
    return refund


def fail(merchant: Merchant, refund: Body, reason: str) -> Body:
    """Let a refund fail: the merchant has the money again, and the charge no longer counts the refund."""
    if refund["status"] not in ("pending", "succeeded"):
        raise ApiError(f"Refund {refund['id']} is {refund['status']} already.")
    before = dict(refund)
    refund |= {
        "failure_balance_transaction": ids.new("balance_transaction"),
        "failure_reason": reason,
        "pending_reason": None,
        "status": "failed",
    }
    with merchant.store.transaction():
        merchant.store.save(refund)
        _recount(merchant, merchant.require("charge", refund["charge"]))
        record(merchant, Cause(), "refund.failed", refund)
        record(merchant, Cause(), "refund.updated", refund, before)
        record(merchant, Cause(), "charge.refund.updated", refund, before)
    return refund


def _charge(merchant: Merchant, params: dict[str, Any]) -> Body:
    if "charge" in params and "payment_intent" in params:
        raise ApiError(
            "You may only specify one of these parameters: charge, payment_intent.",
            code="parameters_exclusive",
            executed=False,
        )
    if "charge" in params:
        return merchant.require("charge", params["charge"], "charge")
    if "payment_intent" not in params:
        raise invalid(
            "One of the following params should be provided for this request: payment_intent or charge.",
            "payment_intent",
            "parameter_missing",
        )
    payment = merchant.require("payment_intent", params["payment_intent"], "payment_intent")
    if payment["latest_charge"] is None or payment["status"] not in ("succeeded", "processing"):
        raise ApiError(
            f"This PaymentIntent ({payment['id']}) does not have a successful charge to refund.",
            code="payment_intent_unexpected_state",
            param="payment_intent",
        )
    return merchant.require("charge", payment["latest_charge"])


def _amount(charge: Body, wanted: int | None) -> int:
    identifier, currency = charge["id"], charge["currency"]
    if charge["status"] != "succeeded":
        raise ApiError(f"Charge {identifier} is {charge['status']} and cannot be refunded.", param="charge")
    if charge["refunded"]:
        raise ApiError(f"Charge {identifier} has already been refunded.", code="charge_already_refunded")
    if charge["disputed"]:
        raise ApiError(
            f"Charge {identifier} has been charged back; cannot issue a refund.", code="charge_disputed"
        )
    rest: int = charge["amount"] - charge["amount_refunded"]
    if wanted is not None and wanted > rest:
        limit = "unrefunded amount on charge" if charge["amount_refunded"] else "charge amount"
        raise ApiError(
            f"Refund amount ({display(wanted, currency)}) is greater than {limit} ({display(rest, currency)})",
            param="amount",
        )
    return wanted or rest


def _object(merchant: Merchant, charge: Body, amount: int, params: dict[str, Any]) -> Body:
    kind = charge["payment_method_details"]["type"]
    status = merchant.store.private(charge["id"]).get("refund_status", "pending")
    destination: Body = {"type": kind}
    if kind == "card":
        destination["card"] = {
            "reference_status": "pending",
            "reference_type": "acquirer_reference_number",
            "type": "refund",
        }
    return {
        "id": ids.new("refund"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": ids.new("balance_transaction"),
        "charge": charge["id"],
        "created": merchant.now(),
        "currency": charge["currency"],
        "customer": None,
        "customer_account": None,
        "description": None,
        "destination_details": destination,
        "failure_balance_transaction": None,
        "failure_reason": None,
        "instructions_email": None,
        "metadata": params.get("metadata", {}),
        "next_action": None,
        "payment_intent": charge["payment_intent"],
        "payment_method": charge["payment_method"],
        "pending_reason": "processing" if status == "pending" else None,
        "presentment_details": None,
        "reason": params.get("reason"),
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": status,
        "transfer_reversal": None,
    }


def _recount(merchant: Merchant, charge: Body) -> None:
    """Set `amount_refunded` to the sum of the refunds that have not failed."""
    standing = [
        refund["amount"]
        for refund in merchant.store.newest_first("refund", {"charge": charge["id"]})
        if refund["status"] not in ("failed", "canceled")
    ]
    charge |= {"amount_refunded": sum(standing), "refunded": sum(standing) == charge["amount"]}
    merchant.store.save(charge)
