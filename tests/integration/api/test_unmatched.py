"""What of Stripe's events is booked, flagged to the shop or left for it to sort out; and the list of these."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from stripe import WebhookSignature

from devstack import ROOT, Stack
from printshop.adapters.stripe import API_VERSION
from tests.conftest import Client, sign_up
from tests.support.invoices import refused, written
from tests.support.stripe_history import new_id

CENTS = 11_000


@pytest.fixture(scope="module")
def ada(stack: Stack) -> Client:
    return sign_up(stack, "Ada Payer")


@pytest.fixture
def invoice(shop: Client, ada: Client) -> dict[str, Any]:
    """Of ada's, A$110.00."""
    return written(shop, ada.user["clientId"])


def page_of(payer: Client, invoice: dict[str, Any]) -> str:
    """A payment page of the invoice; its session."""
    session: str = payer.data("POST", f"invoices/{invoice['id']}/stripe-session")["sessionId"]
    return session


def paid(invoice: dict[str, Any], session: str, **changes: Any) -> dict[str, Any]:
    """checkout.session.completed of an invoice's page; `changes` are the session's."""
    shown = {
        "id": session,
        "object": "checkout.session",
        "amount_total": CENTS,
        "currency": "aud",
        "metadata": {"invoiceId": str(invoice["id"]), "invoiceNumber": invoice["number"]},
        "payment_intent": new_id("pi"),
        "payment_status": "paid",
        "status": "complete",
        **changes,
    }
    return {
        "id": new_id("evt"),
        "object": "event",
        "api_version": API_VERSION,
        "created": 1_767_225_600,
        "data": {"object": shown},
        "livemode": False,
        "type": "checkout.session.completed",
    }


@dataclass
class Post:
    """Delivers to the webhook; what it made the shop look at."""

    stack: Stack
    flagged: list[str] = field(default_factory=list)

    def deliver(self, event: dict[str, Any]) -> str:
        url = self.stack.api_url
        returns = {"success_url": f"{url}/paid", "cancel_url": f"{url}/cancelled"}
        body = json.dumps({**event, "data": {"object": returns | event["data"]["object"]}})
        headers = {
            "Stripe-Signature": WebhookSignature.generate_signature_header(body, self.stack.webhook_secret)
        }
        answer = Client(self.stack.api_url).request("POST", "stripe/webhook", content=body, headers=headers)
        assert answer.status_code == 200, answer.text
        outcome: str = answer.json()["data"]["outcome"]
        if outcome in ("FLAGGED", "UNMATCHED"):
            self.flagged.insert(0, event["id"])
        return outcome


@pytest.fixture
def post(stack: Stack) -> Post:
    return Post(stack)


def listed(shop: Client, event: dict[str, Any]) -> dict[str, Any] | None:
    """The event as the shop's newest page shows it."""
    rows = shop.data("GET", "stripe/unmatched")
    return next((row for row in rows if row["stripeEventId"] == event["id"]), None)


def flags(shop: Client, event: dict[str, Any]) -> list[str]:
    row = listed(shop, event)
    assert row is not None
    assert row["outcome"] == "FLAGGED"
    found: list[str] = row["flags"]
    return found


def booked(shop: Client, invoice: dict[str, Any]) -> int:
    cents: int = shop.data("GET", f"invoices/{invoice['id']}")["paidCents"]
    return cents


def test_a_payment_as_it_was_asked_for_is_booked_and_nobody_has_to_look(
    shop: Client, ada: Client, invoice: dict[str, Any], post: Post
) -> None:
    event = paid(invoice, page_of(ada, invoice))
    assert [post.deliver(event) for _ in range(2)] == ["APPLIED", "DUPLICATE"]
    assert listed(shop, event) is None
    assert booked(shop, invoice) == CENTS


@pytest.mark.parametrize(
    ("changes", "flag", "cents"),
    [
        ({"amount_total": CENTS - 1}, ["AMOUNT", "SHORT"], CENTS - 1),
        ({"amount_total": CENTS + 1}, ["AMOUNT", "EXCESS"], CENTS + 1),
        ({"amount_total": 0}, ["AMOUNT"], 0),
        ({"amount_total": None}, ["AMOUNT"], 0),
        ({"currency": "usd"}, ["CURRENCY"], 0),
        ({"currency": None}, ["CURRENCY"], 0),
    ],
)
def test_a_payment_of_something_else_than_the_page_asked_for_is_flagged(
    shop: Client, ada: Client, invoice: dict[str, Any], post: Post, changes: Any, flag: list[str], cents: int
) -> None:
    event = paid(invoice, page_of(ada, invoice), **changes)
    assert post.deliver(event) == "FLAGGED"
    assert flags(shop, event) == flag
    assert booked(shop, invoice) == cents


def test_money_of_a_page_that_was_not_made_here_is_booked_and_flagged(
    shop: Client, invoice: dict[str, Any], post: Post
) -> None:
    event = paid(invoice, new_id("cs_test"))
    assert post.deliver(event) == "FLAGGED"
    assert flags(shop, event) == ["SESSION"]
    assert booked(shop, invoice) == CENTS


def test_money_of_a_page_that_returns_to_another_shop_is_kept_for_a_person(
    shop: Client, invoice: dict[str, Any], post: Post
) -> None:
    """Others may use the account, and number their invoices as we do."""
    event = paid(invoice, new_id("cs_test"), success_url="https://other.example/paid")
    assert post.deliver(event) == "UNMATCHED"
    assert booked(shop, invoice) == 0


def test_money_of_another_invoices_page_is_booked_and_flagged(
    shop: Client, ada: Client, invoice: dict[str, Any], post: Post
) -> None:
    other = written(shop, ada.user["clientId"])
    event = paid(invoice, page_of(ada, other))
    assert post.deliver(event) == "FLAGGED"
    assert flags(shop, event) == ["SESSION"]
    assert (booked(shop, invoice), booked(shop, other)) == (CENTS, 0)


def test_a_second_payment_is_credit_and_flagged(
    shop: Client, ada: Client, invoice: dict[str, Any], post: Post
) -> None:
    session = page_of(ada, invoice)
    assert post.deliver(paid(invoice, session)) == "APPLIED"
    second = paid(invoice, session)
    assert post.deliver(second) == "FLAGGED"
    assert flags(shop, second) == ["EXCESS", "STATUS_PAID"]
    after = shop.data("GET", f"invoices/{invoice['id']}")
    assert (after["status"], after["creditCents"]) == ("PAID", CENTS)


@pytest.mark.parametrize("livemode", [True, None])
def test_an_event_of_the_other_mode_is_flagged_and_books_nothing(
    shop: Client, ada: Client, invoice: dict[str, Any], post: Post, livemode: bool | None
) -> None:
    event = {**paid(invoice, page_of(ada, invoice)), "livemode": livemode}
    assert post.deliver(event) == "FLAGGED"
    assert flags(shop, event) == ["LIVEMODE"]
    assert booked(shop, invoice) == 0


@pytest.mark.parametrize("version", ["2020-08-27", None])
def test_an_event_of_another_version_is_applied_and_flagged(
    shop: Client, ada: Client, invoice: dict[str, Any], post: Post, version: str | None
) -> None:
    event = {**paid(invoice, page_of(ada, invoice)), "api_version": version}
    assert post.deliver(event) == "FLAGGED"
    assert flags(shop, event) == ["API_VERSION"]
    assert booked(shop, invoice) == CENTS


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {},
        {"invoiceNumber": "INV-0001"},
        {"invoiceId": "none of ours"},
        {"invoiceId": "-1"},
        {"invoiceId": "{id}", "invoiceNumber": "OTHER-SHOP-1"},
    ],
)
def test_a_payment_that_names_no_invoice_of_ours_is_kept_for_the_shop(
    shop: Client, invoice: dict[str, Any], post: Post, metadata: dict[str, str] | None
) -> None:
    named = metadata and {key: value.format(id=invoice["id"]) for key, value in metadata.items()}
    event = paid(invoice, new_id("cs_test"), metadata=named)
    assert post.deliver(event) == "UNMATCHED"
    row, session = listed(shop, event), event["data"]["object"]
    assert row is not None
    assert (
        row
        | {
            "type": "checkout.session.completed",
            "outcome": "UNMATCHED",
            "flags": [],
            "amountCents": CENTS,
            "currency": "AUD",
            "sessionId": session["id"],
            "paymentIntent": session["payment_intent"],
            "invoiceId": None,
            "invoiceNumber": None,
        }
        == row
    )
    assert booked(shop, invoice) == 0


@pytest.mark.parametrize(
    "kind", ["payment_intent.succeeded", "customer.created", "charge.captured", "invoice.paid", "of.tomorrow"]
)
def test_an_event_that_is_not_handled_is_recorded_and_answered_200(
    shop: Client, ada: Client, invoice: dict[str, Any], post: Post, kind: str
) -> None:
    event = {
        **paid(invoice, page_of(ada, invoice)),
        "type": kind,
        "livemode": True,
        "api_version": "2020-08-27",
    }
    assert [post.deliver(event) for _ in range(2)] == ["RECORDED", "DUPLICATE"]
    assert listed(shop, event) is None
    assert booked(shop, invoice) == 0


@pytest.mark.parametrize("encoded", [True, False], ids=["base64", "plain"])
def test_a_delivery_is_verified_however_the_gateway_hands_it_over(
    stack: Stack, ada: Client, invoice: dict[str, Any], encoded: bool
) -> None:
    delivery = json.loads((ROOT / "events" / "stripe-webhook.json").read_text())
    body = json.dumps(paid(invoice, page_of(ada, invoice)), ensure_ascii=False, indent=2)
    delivery["body"] = base64.b64encode(body.encode()).decode() if encoded else body
    delivery["isBase64Encoded"] = encoded
    delivery["headers"]["content-length"] = str(len(body.encode()))
    signature = WebhookSignature.generate_signature_header(body, stack.webhook_secret)
    delivery["headers"]["stripe-signature"] = signature
    answer = stack.gateway.invoke("WebhookFunction", delivery)
    assert (answer["statusCode"], json.loads(answer["body"])["data"]["outcome"]) == (200, "APPLIED")


# -- the list ------------------------------------------------------------------------------------------------------


@pytest.fixture
def newest(database: psycopg.Connection) -> Iterator[int]:
    """The last event that was recorded before the test."""
    row = database.execute("select coalesce(max(id), 0) from webhook_events").fetchone()
    assert row is not None
    yield int(row[0])


def test_the_list_holds_exactly_what_has_to_be_looked_at_newest_first_by_pages(
    shop: Client, ada: Client, invoice: dict[str, Any], post: Post, newest: int
) -> None:
    session = page_of(ada, invoice)
    for event in (
        paid(invoice, session, amount_total=100),
        paid(invoice, session, payment_status="unpaid"),
        {**paid(invoice, session), "type": "payment_intent.succeeded"},
        paid(invoice, session, metadata={}),
        {**paid(invoice, session, metadata={}), "type": "checkout.session.expired"},
        paid(invoice, session, currency="eur"),
        {**paid(invoice, session), "livemode": True},
        paid(invoice, session),
    ):
        post.deliver(event)
    assert len(post.flagged) == 5
    found: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": 2}
    while len(found) < len(post.flagged):
        page = shop.get("stripe/unmatched", params=query).json()
        assert 1 <= len(page["data"]) <= 2
        found += page["data"]
        query["cursor"] = page.get("nextCursor")
        if query["cursor"] is None:
            break
    mine = [row["stripeEventId"] for row in found if row["id"] > newest]
    assert mine == post.flagged
    assert {
        row["invoiceNumber"] for row in found if row["outcome"] == "FLAGGED" and row["flags"] != ["LIVEMODE"]
    } == {invoice["number"]}


@pytest.mark.parametrize("cursor", ["e30", "WyJhIl0", "W251bGxd", "WzEsMl0"])
def test_a_cursor_that_is_no_place_in_the_list_is_refused(shop: Client, cursor: str) -> None:
    assert refused(shop.get("stripe/unmatched", params={"cursor": cursor})) == (400, "CURSOR_INVALID")


def test_the_list_is_the_admins_alone(nobody: Client, ada: Client) -> None:
    assert nobody.get("stripe/unmatched").status_code == 401
    assert ada.get("stripe/unmatched").status_code == 403
