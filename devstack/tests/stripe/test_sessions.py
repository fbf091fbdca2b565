import time

import pytest
import stripe

from devstack.stripe import pay
from devstack.testing.stripe_shop import SUCCESS_URL, Shop, order


def test_a_session_is_made_open_with_everything_that_was_asked_for(shop: Shop) -> None:
    session = shop.open_session()

    assert (session.status, session.payment_status, session.mode) == ("open", "unpaid", "payment")
    assert (session.amount_subtotal, session.amount_total, session.currency) == (12_345, 12_345, "aud")
    assert session.metadata is not None
    assert session.metadata["invoiceId"] == "42"
    assert session.client_reference_id == "42"
    assert session.customer_email == "ada@example.com"
    assert session.success_url == SUCCESS_URL
    assert session.payment_method_types == ["card"]
    assert session.payment_intent is None
    assert session.livemode is False
    assert session.expires_at == session.created + 24 * 3600
    assert session.url == f"{shop.stand_in.url}/c/pay/{session.id}"


def test_a_retrieved_session_is_the_one_that_was_made(shop: Shop) -> None:
    session = shop.open_session()

    assert shop.session(session.id).to_dict() == session.to_dict()


def test_lines_add_up_and_come_back_on_request(shop: Shop) -> None:
    line = order(250)["line_items"][0]
    session = shop.open_session(line_items=[{**line, "quantity": 3}, line], expand=["line_items"])

    assert session.amount_total == 1000
    assert session.line_items is not None
    assert [item.amount_total for item in session.line_items.data] == [750, 250]
    listed = shop.client.v1.checkout.sessions.line_items.list(session.id, {"limit": 1})
    assert listed.has_more
    assert listed.data[0].description == "Invoice INV-0042"


def test_a_paid_session_expands_its_payment_intent_and_charge(shop: Shop) -> None:
    paid = shop.paid_session()

    session = shop.client.v1.checkout.sessions.retrieve(
        paid.id, {"expand": ["payment_intent", "payment_intent.latest_charge"]}
    )

    payment = session.payment_intent
    assert isinstance(payment, stripe.PaymentIntent)
    assert (payment.status, payment.amount_received) == ("succeeded", 12_345)
    assert payment.metadata["invoiceId"] == "42"
    assert isinstance(payment.latest_charge, stripe.Charge)
    assert payment.latest_charge.paid


def test_what_cannot_be_expanded_is_refused(shop: Shop) -> None:
    session = shop.open_session()

    with pytest.raises(stripe.InvalidRequestError, match="This property cannot be expanded \\(line_item\\)"):
        shop.client.v1.checkout.sessions.retrieve(session.id, {"expand": ["line_item"]})


def test_an_open_session_expires_on_request_and_loses_its_url(shop: Shop) -> None:
    session = shop.open_session()

    expired = shop.client.v1.checkout.sessions.expire(session.id)

    assert (expired.status, expired.url) == ("expired", None)
    assert [event.type for event in shop.events_about(session.id)] == ["checkout.session.expired"]


@pytest.mark.parametrize("state", ["expired", "complete"])
def test_a_session_that_is_not_open_cannot_be_expired(shop: Shop, state: str) -> None:
    session = shop.paid_session() if state == "complete" else shop.open_session()
    if state == "expired":
        shop.client.v1.checkout.sessions.expire(session.id)

    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.client.v1.checkout.sessions.expire(session.id)

    assert refused.value.user_message == (
        'Only Checkout Sessions with a status in ["open"] can be expired. '
        f"This Checkout Session has a status of `{state}`."
    )


def test_a_session_whose_time_is_up_expires_by_itself(fresh_shop: Shop) -> None:
    early = fresh_shop.open_session(expires_at=int(time.time()) + 31 * 60)
    late = fresh_shop.open_session()

    assert fresh_shop.stand_in.control.advance_clock(32 * 60) == 1

    assert fresh_shop.session(early.id).status == "expired"
    assert fresh_shop.session(late.id).status == "open"
    assert [event.type for event in fresh_shop.events_about(early.id)] == ["checkout.session.expired"]


@pytest.mark.parametrize(
    ("seconds", "sentence"), [(29 * 60, "at least 30 minutes"), (24 * 3600 + 60, "less than 24 hours")]
)
def test_an_expiry_out_of_bounds_is_refused(shop: Shop, seconds: int, sentence: str) -> None:
    with pytest.raises(stripe.InvalidRequestError, match=sentence) as refused:
        shop.open_session(expires_at=int(time.time()) + seconds)

    assert refused.value.param == "expires_at"


@pytest.mark.parametrize(
    ("currency", "least", "shown"), [("aud", 50, "A$0.50"), ("jpy", 50, "¥50"), ("gbp", 30, "£0.30")]
)
def test_a_total_below_the_minimum_is_refused_and_the_minimum_is_taken(
    shop: Shop, currency: str, least: int, shown: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.open_session(least - 1, currency)

    assert refused.value.code == "amount_too_small"
    assert refused.value.user_message is not None
    assert refused.value.user_message.endswith(f"must add up to at least {shown} {currency}")
    assert shop.open_session(least, currency).amount_total == least


def test_a_total_of_nine_digits_is_refused(shop: Shop) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.open_session(100_000_000)

    assert refused.value.code == "amount_too_large"


@pytest.mark.parametrize(("currency", "good", "bad"), [("kwd", 12_340, 12_345), ("ugx", 500_000, 500_050)])
def test_an_amount_that_the_currency_cannot_hold_is_refused(
    shop: Shop, currency: str, good: int, bad: int
) -> None:
    assert shop.open_session(good, currency).amount_total == good
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.open_session(bad, currency)
    assert refused.value.param == "line_items[0][price_data][unit_amount]"


def test_lines_in_two_currencies_are_refused(shop: Shop) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="same currency"):
        shop.open_session(line_items=[*order(500)["line_items"], *order(500, "nzd")["line_items"]])


def test_a_direct_debit_is_offered_in_its_own_currency_only(shop: Shop) -> None:
    both = ["card", "au_becs_debit"]

    assert shop.open_session(allowed_payment_method_types=both).payment_method_types == both
    assert shop.open_session(500, "nzd", allowed_payment_method_types=both).payment_method_types == ["card"]
    with pytest.raises(stripe.InvalidRequestError, match="No valid payment method types"):
        shop.open_session(500, "nzd", allowed_payment_method_types=["au_becs_debit"])


def test_sessions_are_listed_by_state_and_payment_intent_newest_first(fresh_shop: Shop) -> None:
    paid = fresh_shop.paid_session()
    first, second = fresh_shop.open_session(), fresh_shop.open_session()
    listing = fresh_shop.client.v1.checkout.sessions

    assert [one.id for one in listing.list({"status": "open"}).data] == [second.id, first.id]
    assert [one.id for one in listing.list({"payment_intent": str(paid.payment_intent)}).data] == [paid.id]
    assert [one.id for one in listing.list({"limit": 1}).auto_paging_iter()] == [second.id, first.id, paid.id]


def test_two_sessions_for_one_invoice_can_both_be_paid(shop: Shop) -> None:
    one, other = shop.open_session(), shop.open_session()

    assert one.url is not None
    assert other.url is not None
    assert [pay(one.url).status_code, pay(other.url).status_code] == [303, 303]

    assert shop.session(one.id).payment_intent != shop.session(other.id).payment_intent
