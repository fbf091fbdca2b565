"""Stripe's side of a card payment, past printshop: what the account shows its owner, and what strikes on the way."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import stripe
from stripe.checkout import Session

from devstack import Stack
from devstack.stripe import pay
from tests.conftest import Client

SECONDS = 20
"""How long the last webhook may take."""


@dataclass(frozen=True)
class StripeSide:
    """The shop's account, by the real SDK, and the switches of the stand-in that keeps it."""

    stack: Stack
    client: stripe.StripeClient

    @property
    def control(self) -> Any:
        return self.stack.stripe.control

    def calm(self) -> None:
        """Every switch off, and the webhook where the stack put it."""
        self.control.set_delivery()
        self.control.clear_faults()
        self.control.set_webhook(f"{self.stack.api_url}/api/stripe/webhook", self.stack.webhook_secret)

    def delivered(self) -> None:
        self.control.wait_until_delivered(SECONDS)

    def striking(self, counter: str, times: int | None = None) -> AbstractContextManager[None]:
        """The block in which a fault has to strike: `times`, or at least once."""
        return striking(self.stack, counter, times)

    # -- what Stripe has

    def session(self, session_id: str) -> Session:
        return self.client.v1.checkout.sessions.retrieve(session_id)

    def pages(self, invoice: dict[str, Any], status: str | None = None) -> list[Session]:
        """Every payment page of an invoice, whoever made it."""
        params: Any = {"limit": 100, **({"status": status} if status else {})}
        found = self.client.v1.checkout.sessions.list(params).auto_paging_iter()
        wanted = str(invoice["id"])
        return [
            page for page in found if page.metadata and page.metadata.to_dict().get("invoiceId") == wanted
        ]

    def intent(self, session_id: str) -> str:
        """The payment intent of a page that was paid."""
        intent = self.session(session_id).payment_intent
        assert isinstance(intent, str)
        return intent

    def charge(self, session_id: str) -> stripe.Charge:
        (charge,) = self.client.v1.charges.list({"payment_intent": self.intent(session_id)}).data
        return charge

    def refunds(self, session_id: str) -> list[stripe.Refund]:
        return self.client.v1.refunds.list({"payment_intent": self.intent(session_id), "limit": 100}).data

    def kept_cents(self, invoice: dict[str, Any]) -> int:
        """What the account has of an invoice's money, reckoned from charges, refunds and disputes alone."""
        kept = 0
        for page in self.pages(invoice, "complete"):
            charge = self.charge(page.id)
            kept += charge.amount_captured - charge.amount_refunded
            for dispute in self.client.v1.disputes.list({"charge": charge.id}).data:
                kept -= dispute.amount if dispute.status != "won" else 0
        return kept

    # -- what is done there without printshop

    def open_page(
        self, invoice: dict[str, Any], cents: int, *, idempotency_key: str | None = None, **more: Any
    ) -> Session:
        """A second page, as a crash or a race would leave one: printshop's own metadata, unknown to printshop."""
        metadata = {"invoiceId": str(invoice["id"]), "invoiceNumber": invoice["number"]}
        params: Any = {
            "mode": "payment",
            "allowed_payment_method_types": ["card"],
            "line_items": [
                {
                    "price_data": {
                        "currency": invoice["currency"].lower(),
                        "product_data": {"name": f"Invoice {invoice['number']}"},
                        "unit_amount": cents,
                    },
                    "quantity": 1,
                }
            ],
            "metadata": metadata,
            "payment_intent_data": {"metadata": metadata},
            "success_url": f"{self.stack.api_url}/paid",
            "cancel_url": f"{self.stack.api_url}/cancelled",
            **more,
        }
        options: Any = {"idempotency_key": idempotency_key} if idempotency_key else {}
        return self.client.v1.checkout.sessions.create(params, options)

    def give_back(self, session_id: str, cents: int) -> stripe.Refund:
        """A refund from Stripe's dashboard."""
        return self.client.v1.refunds.create({"payment_intent": self.intent(session_id), "amount": cents})

    @contextmanager
    def clock(self, seconds: int) -> Iterator[None]:
        """Stripe's clock put forward, or back, for a while."""
        self.control.advance_clock(seconds)
        try:
            yield
        finally:
            self.control.advance_clock(-seconds)


@contextmanager
def striking(stack: Stack, counter: str, times: int | None = None) -> Iterator[None]:
    """The block in which a fault has to strike: `times`, or at least once."""
    before = stack.stripe.control.counters().get(counter, 0)
    yield
    struck = stack.stripe.control.counters().get(counter, 0) - before
    assert struck == times if times is not None else struck > 0, f"{counter} struck {struck} times"


def page_of(client: Client, invoice: dict[str, Any], **query: str) -> dict[str, Any]:
    """The payment page that printshop gives its owner: `sessionId` and `url`."""
    response = client.post(f"invoices/{invoice['id']}/stripe-session", params=query)
    assert response.is_success, response.text
    page: dict[str, Any] = response.json()["data"]
    return page


def paid_by_card(client: Client, invoice: dict[str, Any], **card: str) -> str:
    """Pay an invoice on its page; the session's id. Its webhooks may still be on their way."""
    page = page_of(client, invoice)
    assert pay(page["url"], **card).status_code == 303
    return str(page["sessionId"])


def click(invoice: dict[str, Any]) -> httpx.Response:
    """Follow the invoice's pay link as far as Stripe."""
    return httpx.get(invoice["payUrl"], timeout=35)
