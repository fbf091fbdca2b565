import re

import httpx
import pytest
import stripe

from devstack.stripe import pay
from devstack.testing.stripe_shop import Shop


def _page(url: str | None) -> httpx.Response:
    assert url is not None
    return httpx.get(url, trust_env=False)


def test_the_page_shows_what_is_paid_for_and_needs_no_script(shop: Shop) -> None:
    session = shop.open_session()

    page = _page(session.url)

    assert page.status_code == 200
    assert "Invoice INV-0042" in page.text
    assert "Ada Lovelace" in page.text
    assert "A$123.45" in page.text
    assert 'href="http://127.0.0.1:3000/cancelled"' in page.text
    assert "<script" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_text_of_the_shop_cannot_become_markup(shop: Shop) -> None:
    line = {
        "price_data": {
            "currency": "aud",
            "product_data": {"name": "<script>alert(1)</script>"},
            "unit_amount": 500,
        },
        "quantity": 1,
    }

    assert "<script" not in _page(shop.open_session(line_items=[line]).url).text


def test_the_form_on_the_page_pays_and_leads_to_the_success_url(shop: Shop) -> None:
    session = shop.open_session()
    fields = dict(re.findall(r'name="(\w+)"[^>]* value="([^"]*)"', _page(session.url).text))

    answer = httpx.post(str(session.url), data=fields, trust_env=False)

    assert answer.status_code == 303
    assert answer.headers["location"] == f"http://127.0.0.1:3000/paid?session={session.id}"
    paid = shop.session(session.id)
    assert (paid.status, paid.payment_status, paid.url) == ("complete", "paid", None)
    assert paid.customer_details is not None
    assert paid.customer_details.email == "ada@example.com"


def test_a_second_press_of_the_button_pays_nothing_more(shop: Shop) -> None:
    session = shop.open_session()

    answers = [pay(str(session.url)), pay(str(session.url))]

    assert [answer.status_code for answer in answers] == [303, 303]
    payment = str(shop.session(session.id).payment_intent)
    assert len(shop.client.v1.charges.list({"payment_intent": payment}).data) == 1


def test_a_paid_session_shows_that_it_is_done(shop: Shop) -> None:
    url = shop.open_session().url
    pay(str(url))

    page = _page(url)

    assert page.status_code == 200
    assert "all done here" in page.text
    assert "<form" not in page.text


def test_an_expired_session_is_gone_and_takes_no_money(shop: Shop) -> None:
    session = shop.open_session()
    shop.client.v1.checkout.sessions.expire(session.id)

    assert _page(session.url).status_code == 410
    assert pay(str(session.url)).status_code == 410
    assert shop.session(session.id).payment_status == "unpaid"


def test_an_unknown_session_is_not_found(shop: Shop) -> None:
    assert _page(f"{shop.stand_in.url}/c/pay/cs_test_nothing").status_code == 404


def test_a_declined_card_leaves_the_session_open_for_another(shop: Shop) -> None:
    session = shop.open_session()

    refused = pay(str(session.url), card="4000 0000 0000 0002")

    assert refused.status_code == 402
    assert "Your card was declined." in refused.text
    tried = shop.client.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
    assert tried.status == "open"
    assert isinstance(tried.payment_intent, stripe.PaymentIntent)
    assert tried.payment_intent.status == "requires_payment_method"
    assert tried.payment_intent.last_payment_error is not None
    assert tried.payment_intent.last_payment_error.decline_code == "generic_decline"
    assert pay(str(session.url)).status_code == 303
    charges = shop.client.v1.charges.list({"payment_intent": tried.payment_intent.id}).data
    assert [charge.status for charge in charges] == ["succeeded", "failed"]
    assert shop.session(session.id).payment_intent == tried.payment_intent.id


def test_a_number_that_is_no_test_card_is_refused(shop: Shop) -> None:
    assert pay(str(shop.open_session().url), card="1234").status_code == 402


def test_a_payment_method_that_is_not_offered_is_refused(shop: Shop) -> None:
    session = shop.open_session()

    assert pay(str(session.url), method="au_becs_debit").status_code == 400
    assert shop.session(session.id).status == "open"


@pytest.mark.parametrize(
    ("succeeded", "status", "last"),
    [
        (True, "paid", "checkout.session.async_payment_succeeded"),
        (False, "unpaid", "checkout.session.async_payment_failed"),
    ],
)
def test_a_direct_debit_completes_unpaid_and_is_settled_later(
    shop: Shop, succeeded: bool, status: str, last: str
) -> None:
    session = shop.open_session(allowed_payment_method_types=["au_becs_debit"])

    assert pay(str(session.url), method="au_becs_debit").status_code == 303
    waiting = shop.session(session.id)
    assert (waiting.status, waiting.payment_status) == ("complete", "unpaid")
    shop.stand_in.control.settle_payment(session.id, succeeded=succeeded)

    assert shop.session(session.id).payment_status == status
    events = shop.events_about(session.id)
    assert [event.type for event in events] == ["checkout.session.completed", last]
    assert [event.data.object["payment_status"] for event in events] == ["unpaid", status]
    with pytest.raises(ValueError, match="has no payment that waits"):
        shop.stand_in.control.settle_payment(
            waiting.id if succeeded else shop.open_session().id, succeeded=True
        )
