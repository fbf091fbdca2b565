"""Disputes: the customer's bank withdraws the funds, and returns them if the merchant wins."""

from typing import Any

from devstack.stripe import ids
from devstack.stripe.errors import ApiError
from devstack.stripe.events import record
from devstack.stripe.expanding import expand
from devstack.stripe.listing import filters_of, page
from devstack.stripe.merchant import Call, Cause, Merchant
from devstack.stripe.parameters import EXPAND, PAGING, Hash, Moments, Text
from devstack.stripe.store import Body

RETRIEVE = Hash(EXPAND)
LIST = Hash({**PAGING, "charge": Text(), "created": Moments(), "payment_intent": Text()})

_ANSWER_WITHIN_SECONDS = 9 * 24 * 3600

_FILES_AND_TEXTS = (
    "access_activity_log billing_address cancellation_policy cancellation_policy_disclosure cancellation_rebuttal "
    "customer_communication customer_email_address customer_name customer_purchase_ip customer_signature "
    "duplicate_charge_documentation duplicate_charge_explanation duplicate_charge_id product_description receipt "
    "refund_policy refund_policy_disclosure refund_refusal_explanation service_date service_documentation "
    "shipping_address shipping_carrier shipping_date shipping_documentation shipping_tracking_number "
    "uncategorized_file uncategorized_text"
).split()


def retrieve(call: Call, params: dict[str, Any]) -> Body:
    return expand(call.merchant, call.merchant.require("dispute", call.ids[0]), params)


def list_disputes(call: Call, params: dict[str, Any]) -> Body:
    where = filters_of(params, "charge", "payment_intent")
    return expand(call.merchant, page(call.merchant, "dispute", "/v1/disputes", params, where=where), params)


def open_dispute(merchant: Merchant, charge: Body, *, reason: str, amount: int | None = None) -> Body:
    """Open a dispute: `charge.dispute.created`, then the funds are withdrawn."""
    if charge["disputed"] or charge["status"] != "succeeded":
        raise ApiError(f"Charge {charge['id']} cannot be disputed.")
    dispute = _object(merchant, charge, reason, amount or charge["amount"])
    with merchant.store.transaction():
        merchant.store.add(dispute)
        charge["disputed"] = True
        merchant.store.save(charge)
        record(merchant, Cause(), "charge.dispute.created", dispute)
        record(merchant, Cause(), "charge.dispute.funds_withdrawn", dispute)
    return dispute


def close_dispute(merchant: Merchant, dispute: Body, *, won: bool) -> Body:
    """Close a dispute; a merchant who won gets the funds back."""
    if dispute["status"] in ("won", "lost"):
        raise ApiError(f"Dispute {dispute['id']} is closed already.")
    before = dict(dispute)
    dispute["status"] = "won" if won else "lost"
    with merchant.store.transaction():
        merchant.store.save(dispute)
        if won:
            record(merchant, Cause(), "charge.dispute.funds_reinstated", dispute, before)
        record(merchant, Cause(), "charge.dispute.closed", dispute)
    return dispute


def _object(merchant: Merchant, charge: Body, reason: str, amount: int) -> Body:
    means = charge["payment_method_details"]
    card = means.get("card")
    shown: Body = {"type": "card"}
    if card:
        shown["card"] = {
            "brand": card["brand"],
            "case_type": "chargeback",
            "network": card["network"],
            "network_reason_code": "83",
        }
    return {
        "id": ids.new("dispute"),
        "object": "dispute",
        "amount": amount,
        "balance_transactions": [],
        "charge": charge["id"],
        "created": merchant.now(),
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {**dict.fromkeys(_FILES_AND_TEXTS), "enhanced_evidence": {}},
        "evidence_details": {
            "due_by": merchant.now() + _ANSWER_WITHIN_SECONDS,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        "intended_submission_method": None,
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "network_reason_code": "83",
        "payment_intent": charge["payment_intent"],
        "payment_method_details": shown,
        "reason": reason,
        "status": "needs_response",
    }
