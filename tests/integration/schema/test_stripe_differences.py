"""What of Stripe's events is not as it should be: flagged whenever it comes, and healed once the mode fits."""

from functools import partial
from typing import Any

import pytest

from printshop.adapters.stripe import API_VERSION
from tests.integration.schema.shop import Shop, call
from tests.integration.schema.test_payments import (
    apply,
    apply_event,
    invoice_of,
    made_here,
    payments,
    recorded,
    refund_event,
    session_event,
)

CENTS = 12_375


# -- what went back, before or after its payment -------------------------------------------------------------------


def of_kind(event: dict[str, Any], kind: str) -> dict[str, Any]:
    """The refund's event as one of its charge, or of a dispute of so much."""
    subject = event["data"]["object"]
    match kind:
        case "charge":
            subject |= {"object": "charge", "amount_refunded": subject["amount"]}
            return {**event, "type": "charge.refunded"}
        case "dispute":
            subject |= {"object": "dispute", "status": "needs_response"}
            return {**event, "type": "charge.dispute.funds_withdrawn"}
    return event


@pytest.mark.parametrize("first", ["payment", "reversal"])
@pytest.mark.parametrize("kind", ["refund", "charge", "dispute"])
@pytest.mark.parametrize(
    ("difference", "flags"),
    [
        ({"currency": "usd"}, ["CURRENCY"]),
        ({"amount": CENTS + 1}, ["AMOUNT"]),
        ({"currency": "usd", "amount": CENTS + 1}, ["CURRENCY", "AMOUNT"]),
        ({}, None),
    ],
    ids=["currency", "amount", "both", "none"],
)
def test_a_difference_between_a_payment_and_what_went_back_is_flagged_whichever_comes_first(
    shop: Shop, first: str, kind: str, difference: dict[str, Any], flags: list[str] | None
) -> None:
    invoice_id = shop.invoice(shop.customer())["id"]
    paid = session_event(invoice_id, CENTS)
    returned = of_kind(refund_event(paid, CENTS, **difference), kind)
    sooner, later = (paid, returned) if first == "payment" else (returned, paid)
    assert apply(shop, sooner)["outcome"] == ("APPLIED" if first == "payment" else "RECORDED")
    assert apply(shop, later)["outcome"] == ("FLAGGED" if flags else "APPLIED")
    outcome, matched, kept = recorded(shop, later)
    assert (outcome, matched) == ("FLAGGED" if flags else "APPLIED", invoice_id)
    assert kept["flags"] == (flags or [])


# -- an event that once was of the other mode ----------------------------------------------------------------------


def of_live_key(on: Any, event: dict[str, Any]) -> str:
    """The outcome where the key moves real money."""
    answer = on("apply_stripe_event", p_event=event, p_livemode=True, p_api_version=API_VERSION)
    return str(answer["outcome"])


def test_an_event_of_the_other_mode_is_applied_once_it_comes_again_and_the_mode_fits(shop: Shop) -> None:
    invoice_id = shop.invoice(shop.customer())["id"]
    event = made_here(shop, session_event(invoice_id))
    assert of_live_key(shop.call, event) == "FLAGGED"
    assert shop.call("unknown_stripe_events", p_event_ids=[event["id"]]) == [event["id"]]
    assert of_live_key(shop.call, event) == "DUPLICATE"
    assert payments(shop, invoice_id) == []
    assert apply(shop, event) == {"outcome": "APPLIED", "invoiceId": invoice_id}
    assert invoice_of(shop, invoice_id)["status"] == "PAID"
    outcome, matched, kept = recorded(shop, event)
    assert (outcome, matched, kept["flags"]) == ("APPLIED", invoice_id, [])
    assert shop.call("unknown_stripe_events", p_event_ids=[event["id"]]) == []
    # Once it has had its effect, no mode brings it back.
    assert [apply(shop, event)["outcome"], of_live_key(shop.call, event)] == ["DUPLICATE"] * 2
    assert len(payments(shop, invoice_id)) == 1
    rows = shop.value("select count(*) from webhook_events where stripe_event_id = %s", event["id"])
    assert rows == 1


def test_twins_of_an_event_that_was_of_the_other_mode_apply_it_once(shop: Shop) -> None:
    invoice_id = shop.invoice(shop.customer())["id"]
    event = made_here(shop, session_event(invoice_id))
    assert of_live_key(shop.call, event) == "FLAGGED"
    answers = shop.at_once(12, lambda connection, _: apply_event(partial(call, connection), event)["outcome"])
    assert sorted(answers) == ["APPLIED", *["DUPLICATE"] * 11]
    assert len(payments(shop, invoice_id)) == 1
    assert shop.value("select count(*) from jobs where invoice_id = %s", invoice_id) == 1


def test_what_was_flagged_for_something_else_is_not_applied_again(shop: Shop) -> None:
    invoice_id = shop.invoice(shop.customer())["id"]
    event = made_here(shop, session_event(invoice_id, CENTS + 100))
    assert [apply(shop, event)["outcome"] for _ in range(2)] == ["FLAGGED", "DUPLICATE"]
    assert recorded(shop, event)[2]["flags"] == ["EXCESS"]
    assert len(payments(shop, invoice_id)) == 1
