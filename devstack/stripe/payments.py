"""A payment on the hosted page: its intent, charge, session and their events."""

from typing import Any

from devstack.stripe import disputes, ids, payment_objects, sessions
from devstack.stripe.cards import Card
from devstack.stripe.errors import ApiError
from devstack.stripe.events import record
from devstack.stripe.expanding import expand
from devstack.stripe.listing import filters_of, page
from devstack.stripe.merchant import Call, Cause, Merchant
from devstack.stripe.parameters import EXPAND, PAGING, Hash, Moments, Text
from devstack.stripe.session_objects import Payer
from devstack.stripe.store import Body

RETRIEVE_INTENT = Hash({**EXPAND, "client_secret": Text()})
RETRIEVE_CHARGE = Hash(EXPAND)
LIST_CHARGES = Hash({**PAGING, "created": Moments(), "payment_intent": Text()})


class Declined(Exception):
    """The bank declined; the session stays open and the page shows the message."""


def pay_by_card(merchant: Merchant, session: Body, card: Card, payer: Payer) -> None:
    """Pay an open session. Raises Declined after recording the failed attempt."""
    cause = _cause()
    with merchant.store.transaction():
        payment = _begin(merchant, session, cause)
        charge = payment_objects.charge(
            merchant, payment, vars(payer), payment_objects.card_means(card, payment["amount"]), card
        )
        merchant.store.add(charge, {"refund_status": card.refund_status})
        payment["latest_charge"] = charge["id"]
        if card.decline_code:
            _decline(merchant, cause, payment, charge, card)
        else:
            _succeed(merchant, cause, payment, charge)
            sessions.complete(merchant, session, paid=True, payer=payer)
            if card.disputed:
                disputes.open_dispute(merchant, charge, reason="fraudulent")
    if card.decline_code:
        raise Declined(card.message)


def pay_by_debit(merchant: Merchant, session: Body, payer: Payer) -> None:
    """Authorise a direct debit: the session completes unpaid, and is settled days later."""
    cause = _cause()
    with merchant.store.transaction():
        payment = _begin(merchant, session, cause)
        charge = payment_objects.charge(merchant, payment, vars(payer), payment_objects.debit_means(), None)
        merchant.store.add(charge)
        payment |= {"latest_charge": charge["id"], "status": "processing"}
        merchant.store.save(payment)
        record(merchant, cause, "charge.pending", charge)
        record(merchant, cause, "payment_intent.processing", payment)
        sessions.complete(merchant, session, paid=False, payer=payer)


def settle_debit(merchant: Merchant, session: Body, *, succeeded: bool) -> None:
    """Settle the direct debit of a session that completed unpaid."""
    if session["status"] != "complete" or session["payment_status"] != "unpaid":
        raise ApiError(f"{session['id']} has no payment that waits for a bank.")
    payment = merchant.require("payment_intent", session["payment_intent"])
    charge = merchant.require("charge", payment["latest_charge"])
    cause = Cause()
    with merchant.store.transaction():
        if succeeded:
            _succeed(merchant, cause, payment, charge)
            sessions.async_payment_succeeded(merchant, session)
        else:
            error = payment_objects.debit_error(charge["id"])
            _fail(merchant, cause, payment, charge, error)
            sessions.async_payment_failed(merchant, session)


def retrieve_intent(call: Call, params: dict[str, Any]) -> Body:
    return expand(call.merchant, call.merchant.require("payment_intent", call.ids[0]), params)


def retrieve_charge(call: Call, params: dict[str, Any]) -> Body:
    return expand(call.merchant, call.merchant.require("charge", call.ids[0]), params)


def list_charges(call: Call, params: dict[str, Any]) -> Body:
    where = filters_of(params, "payment_intent")
    return expand(call.merchant, page(call.merchant, "charge", "/v1/charges", params, where=where), params)


def _begin(merchant: Merchant, session: Body, cause: Cause) -> Body:
    """The session's payment intent, created at the first attempt."""
    if session["payment_intent"]:
        payment = merchant.require("payment_intent", session["payment_intent"])
    else:
        data = merchant.store.private(session["id"])["payment_intent_data"]
        payment = merchant.store.add(payment_objects.intent(merchant, session, data))
        session["payment_intent"] = payment["id"]
        merchant.store.save(session)
        record(merchant, cause, "payment_intent.created", payment)
    payment["payment_method"] = ids.new("payment_method")
    return payment


def _succeed(merchant: Merchant, cause: Cause, payment: Body, charge: Body) -> None:
    charge |= {
        "amount_captured": charge["amount"],
        "balance_transaction": ids.new("balance_transaction"),
        "captured": True,
        "paid": True,
        "receipt_url": f"{merchant.base_url}/receipts/{charge['id']}",
        "status": "succeeded",
    }
    payment |= {"amount_received": payment["amount"], "last_payment_error": None, "status": "succeeded"}
    merchant.store.save(charge)
    merchant.store.save(payment)
    record(merchant, cause, "charge.succeeded", charge)
    record(merchant, cause, "payment_intent.succeeded", payment)


def _decline(merchant: Merchant, cause: Cause, payment: Body, charge: Body, card: Card) -> None:
    _fail(merchant, cause, payment, charge, payment_objects.card_error(card, charge["id"], cause.request_id))


def _fail(merchant: Merchant, cause: Cause, payment: Body, charge: Body, error: Body) -> None:
    charge |= {"failure_code": error["code"], "failure_message": error["message"], "status": "failed"}
    payment |= {"last_payment_error": error, "payment_method": None, "status": "requires_payment_method"}
    merchant.store.save(charge)
    merchant.store.save(payment)
    record(merchant, cause, "charge.failed", charge)
    record(merchant, cause, "payment_intent.payment_failed", payment)


def _cause() -> Cause:
    """The cause of a change by the payment page, which calls the API with a request id and key of its own."""
    request_id = ids.new("request")
    return Cause(request_id, f"checkout-{request_id}")
