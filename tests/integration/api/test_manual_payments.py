"""Payments that the shop books by hand, over HTTP: partial, whole, taken back; and four accounts of one amount."""

import io
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pypdf
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devstack import Stack
from devstack.stripe import pay
from printshop.kernel.money import format_money
from tests.conftest import Client, sign_up
from tests.support.invoices import actions, book, keyed, refused, written


@pytest.fixture(scope="module")
def ada(stack: Stack) -> Client:
    return sign_up(stack, "Ada Payer")


@pytest.fixture
def invoice(shop: Client, ada: Client) -> dict[str, Any]:
    """Of ada's, A$110.00."""
    return written(shop, ada.user["clientId"])


def amounts(invoice: dict[str, Any]) -> tuple[Any, ...]:
    return invoice["status"], invoice["paidCents"], invoice["balanceCents"]


def path(invoice: dict[str, Any], action: str = "payments") -> str:
    return f"invoices/{invoice['id']}/{action}"


def test_partial_payments_pay_an_invoice_and_queue_its_job(
    shop: Client, invoice: dict[str, Any], database: psycopg.Connection
) -> None:
    first = book(shop, invoice, 4000, method="BANK_TRANSFER", reference="4711", paidAt="2026-07-02T20:00:00Z")
    assert amounts(first) == ("PENDING", 4000, 7000)
    (payment,) = first["payments"]
    assert (payment["method"], payment["reference"], payment["date"]) == (
        "BANK_TRANSFER",
        "4711",
        "2026-07-03",
    )
    second = book(shop, invoice, 7000)
    assert amounts(second) == ("PAID", 11_000, 0)
    assert second["job"]["status"] == "QUEUED"
    assert actions(database, invoice["id"]) == [
        "INVOICE_CREATED", "PAYMENT_RECORDED", "PAYMENT_RECORDED", "INVOICE_PAID", "JOB_CREATED",
    ]  # fmt: skip


def test_a_payment_above_the_balance_is_refused_with_the_balance(
    shop: Client, invoice: dict[str, Any]
) -> None:
    book(shop, invoice, 1000)
    response = shop.post(path(invoice), {"amountCents": 10_001}, headers=keyed())
    assert refused(response) == (409, "EXCEEDS_BALANCE")
    assert response.json()["error"]["details"] == {"balanceCents": 10_000, "currency": "AUD"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"amountCents": 0}, "INVALID_REQUEST"),
        ({"amountCents": -5}, "INVALID_REQUEST"),
        ({"amountCents": 1.5}, "INVALID_REQUEST"),
        ({"amountCents": 1, "method": "STRIPE"}, "INVALID_REQUEST"),
        ({"amountCents": 1, "paidAt": "yesterday"}, "INVALID_REQUEST"),
        ({"amountCents": 1, "paidAt": "2026-07-02T20:00:00"}, "INVALID_REQUEST"),
        ({"amountCents": 1, "paidAt": "1999-07-02T20:00:00Z"}, "INVALID_REQUEST"),
        ({"amountCents": 1, "paidAt": "2999-07-02T20:00:00Z"}, "PAID_IN_FUTURE"),
        ({"amountCents": 1, "kind": "REFUND"}, "INVALID_REQUEST"),
        ({"amountCents": 1, "note": "x" * 2001}, "INVALID_REQUEST"),
    ],
)
def test_what_is_no_payment_is_refused(
    shop: Client, invoice: dict[str, Any], body: dict[str, Any], code: str
) -> None:
    assert refused(shop.post(path(invoice), body, headers=keyed())) == (422, code)


def test_one_key_books_once(shop: Client, invoice: dict[str, Any]) -> None:
    key = keyed()
    first = shop.data("POST", path(invoice), {"amountCents": 10}, headers=key)
    assert shop.data("POST", path(invoice), {"amountCents": 10}, headers=key) == first
    assert refused(shop.post(path(invoice), {"amountCents": 11}, headers=key)) == (
        422,
        "IDEMPOTENCY_KEY_REUSED",
    )
    assert refused(shop.post(path(invoice), {"amountCents": 11})) == (400, "IDEMPOTENCY_KEY_MISSING")
    # The other route has keys of its own.
    assert shop.data("POST", path(invoice, "mark-paid"), headers=key)["status"] == "PAID"
    assert len(shop.data("GET", path(invoice))) == 2


def test_mark_paid_books_the_balance_once(shop: Client, invoice: dict[str, Any]) -> None:
    book(shop, invoice, 1000)
    paid = shop.data(
        "POST", path(invoice, "mark-paid"), {"method": "CASH", "reference": "till"}, headers=keyed()
    )
    assert amounts(paid) == ("PAID", 11_000, 0)
    assert (paid["payments"][1]["amountCents"], paid["payments"][1]["method"]) == (10_000, "CASH")
    again = shop.post(path(invoice, "mark-paid"), headers=keyed())
    assert refused(again) == (409, "ALREADY_PAID")


def test_a_deleted_payment_is_owed_again_and_deleted_once(
    shop: Client, invoice: dict[str, Any], database: psycopg.Connection
) -> None:
    paid = book(shop, invoice, 11_000)
    url = path(invoice, f"payments/{paid['payments'][0]['id']}")
    assert shop.request("DELETE", url).status_code == 204
    assert amounts(shop.data("GET", f"invoices/{invoice['id']}")) == ("PENDING", 0, 11_000)
    assert refused(shop.request("DELETE", url)) == (409, "PAYMENT_DELETED")
    assert actions(database, invoice["id"])[-2:] == ["PAYMENT_DELETED", "INVOICE_UNPAID"]


def test_an_invoice_past_its_day_is_overdue_when_its_payment_goes(
    shop: Client, invoice: dict[str, Any], database: psycopg.Connection
) -> None:
    paid = book(shop, invoice, 11_000)
    database.execute(
        "update invoices set issue_date = '2026-01-01', due_date = '2026-01-02' where id = %s",
        (invoice["id"],),
    )
    shop.request("DELETE", path(invoice, f"payments/{paid['payments'][0]['id']}"))
    assert shop.data("GET", f"invoices/{invoice['id']}")["status"] == "OVERDUE"


def test_a_payment_of_another_invoice_is_not_found(
    shop: Client, ada: Client, invoice: dict[str, Any]
) -> None:
    other = book(shop, written(shop, ada.user["clientId"]), 100)
    url = path(invoice, f"payments/{other['payments'][0]['id']}")
    assert refused(shop.request("DELETE", url)) == (404, "PAYMENT_NOT_FOUND")


def test_a_card_payment_is_not_taken_back_by_hand(
    stack: Stack, shop: Client, ada: Client, invoice: dict[str, Any], database: psycopg.Connection
) -> None:
    book(shop, invoice, 1000)
    pay(ada.data("POST", path(invoice, "stripe-session"))["url"])
    stack.stripe.control.wait_until_delivered(20)
    before = shop.data("GET", f"invoices/{invoice['id']}")
    assert amounts(before) == ("PAID", 11_000, 0)
    assert refused(shop.post(path(invoice, "mark-unpaid"))) == (409, "USE_REFUND")
    (card,) = [payment for payment in before["payments"] if payment["method"] == "STRIPE"]
    assert refused(shop.request("DELETE", path(invoice, f"payments/{card['id']}"))) == (409, "USE_REFUND")
    assert shop.data("GET", f"invoices/{invoice['id']}") == before


def test_marked_unpaid_is_owed_whole_and_holds_the_job(
    shop: Client, invoice: dict[str, Any], database: psycopg.Connection
) -> None:
    book(shop, invoice, 1000)
    shop.data("POST", path(invoice, "mark-paid"), headers=keyed())
    unpaid = shop.data("POST", path(invoice, "mark-unpaid"))
    assert (amounts(unpaid), unpaid["payments"]) == (("PENDING", 0, 11_000), [])
    held = database.execute("select held_reason from jobs where invoice_id = %s", (invoice["id"],)).fetchone()
    assert held == ("marked unpaid",)
    assert refused(shop.post(path(invoice, "mark-unpaid"))) == (409, "NOT_PAID")
    assert actions(database, invoice["id"])[-5:] == [
        "INVOICE_MARKED_UNPAID", "PAYMENT_DELETED", "PAYMENT_DELETED", "INVOICE_UNPAID", "JOB_HELD",
    ]  # fmt: skip


def test_two_who_mark_paid_at_once_book_one_payment(shop: Client, invoice: dict[str, Any]) -> None:
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: shop.post(path(invoice, "mark-paid"), headers=keyed()), range(2)))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert len(shop.data("GET", path(invoice))) == 1


# -- one amount everywhere -----------------------------------------------------------------------------------------

PRICES = st.integers(0, 10**6)
DISCOUNTS = st.one_of(
    st.just({}),
    st.builds(lambda bps: {"discountType": "PERCENT", "discountBps": bps}, st.integers(0, 9000)),
    st.builds(lambda cents: {"discountType": "FIXED", "discountFixedCents": cents}, st.integers(0, 5000)),
)
LINES = st.builds(
    lambda n, milli, cents, discount: {
        "description": f"Part {n}", "quantity": milli / 1000, "unitPriceCents": cents, **discount
    },
    st.integers(1, 99), st.integers(1, 20_000), PRICES, DISCOUNTS,
)  # fmt: skip
DOCUMENTS = st.builds(
    lambda lines, shipping, bps, discount, paid: (
        {"items": lines, "shippingCents": shipping, "taxRateBps": bps, **discount}, paid
    ),
    st.lists(LINES, min_size=1, max_size=4), st.integers(100, 10_000), st.integers(0, 3000), DISCOUNTS,
    st.integers(1, 99),
)  # fmt: skip


@given(document=DOCUMENTS)
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_answer_database_stripe_and_paper_agree_to_the_cent(
    stack: Stack,
    shop: Client,
    ada: Client,
    database: psycopg.Connection,
    document: tuple[dict[str, Any], int],
) -> None:
    request, part = document
    made = shop.data("POST", "invoices", {"clientId": ada.user["clientId"], **request})
    invoice = book(shop, made, part)
    keys = (
        "totalCents",
        "taxCents",
        "subtotalCents",
        "discountCents",
        "shippingCents",
        "paidCents",
        "balanceCents",
    )
    shown = tuple(invoice[key] for key in keys)
    row = database.execute(
        "select total_cents, tax_cents, subtotal_cents, discount_cents, shipping_cents, paid_cents, balance_cents"
        " from invoices where id = %s",
        (invoice["id"],),
    ).fetchone()
    assert row == shown
    lines = database.execute(
        "select total_cents from invoice_items where invoice_id = %s order by position", (invoice["id"],)
    ).fetchall()
    assert [line for (line,) in lines] == [item["totalCents"] for item in invoice["items"]]
    page = pypdf.PdfReader(io.BytesIO(shop.get(path(invoice, "pdf")).content))
    text = " ".join(" ".join(part.extract_text() for part in page.pages).split())
    for cents in (*shown[:3], *shown[4:], *(item["totalCents"] for item in invoice["items"])):
        assert format_money(cents, "AUD") in text, (cents, text)
    if invoice["balanceCents"] >= 50:
        session = ada.data("POST", path(invoice, "stripe-session"))
        asked = httpx.get(
            f"{stack.stripe.url}/v1/checkout/sessions/{session['sessionId']}",
            auth=(stack.stripe_key, ""),
            timeout=10,
        ).json()
        assert (asked["amount_total"], asked["currency"]) == (invoice["balanceCents"], "aud")
