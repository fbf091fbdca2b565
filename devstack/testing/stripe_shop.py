"""A merchant who uses the real SDK against the stand-in, and their customers."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import stripe
from stripe.checkout import Session

from devstack.stripe import StripeStandIn, pay

SECRET_KEY = "sk_test_51StandIn"
WEBHOOK_SECRET = "whsec_stand_in_test"
RETRY_SECONDS = (0.02, 0.05, 0.1, 0.2)
SUCCESS_URL = "http://127.0.0.1:3000/paid?session={CHECKOUT_SESSION_ID}"


def order(amount: int = 12_345, currency: str = "aud", **more: Any) -> Any:
    """The parameters of a Checkout session for one invoice, as the product sends them."""
    return {
        "mode": "payment",
        "allowed_payment_method_types": ["card"],
        "line_items": [
            {
                "price_data": {
                    "currency": currency,
                    "product_data": {"name": "Invoice INV-0042", "description": "Ada Lovelace"},
                    "unit_amount": amount,
                },
                "quantity": 1,
            }
        ],
        "metadata": {"invoiceId": "42", "invoiceNumber": "INV-0042"},
        "payment_intent_data": {"metadata": {"invoiceId": "42", "invoiceNumber": "INV-0042"}},
        "client_reference_id": "42",
        "customer_email": "ada@example.com",
        "success_url": SUCCESS_URL,
        "cancel_url": "http://127.0.0.1:3000/cancelled",
        **more,
    }


@dataclass(frozen=True)
class Shop:
    stand_in: StripeStandIn
    client: stripe.StripeClient

    def open_session(self, amount: int = 12_345, currency: str = "aud", **more: Any) -> Session:
        return self.client.v1.checkout.sessions.create(order(amount, currency, **more))

    def session(self, identifier: str) -> Session:
        return self.client.v1.checkout.sessions.retrieve(identifier)

    def paid_session(self, amount: int = 12_345, currency: str = "aud", **card: str) -> Session:
        """A session that a customer has paid by card."""
        session = self.open_session(amount, currency)
        assert session.url is not None
        assert pay(session.url, **card).status_code == 303
        return self.session(session.id)

    def paid_charge(self, amount: int = 12_345, **card: str) -> stripe.Charge:
        session = self.paid_session(amount, **card)
        return self.client.v1.charges.list({"payment_intent": str(session.payment_intent)}).data[0]

    def events_about(self, identifier: str) -> list[stripe.Event]:
        """The events about an object, oldest first."""
        found = self.client.v1.events.list({"limit": 100}).data
        return [event for event in reversed(found) if event.data.object["id"] == identifier]

    def post(self, path: str, content: str, **headers: str) -> httpx.Response:
        """A raw API request, for what the SDK would not send."""
        headers = {
            "Authorization": f"Bearer {SECRET_KEY}",
            "Content-Type": "application/x-www-form-urlencoded",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        return httpx.post(self.stand_in.url + path, content=content, headers=headers, trust_env=False)


@contextmanager
def open_shop(run_dir: Path) -> Iterator[Shop]:
    """A shop with a stand-in of its own, which stops with the block."""
    stand_in = StripeStandIn(
        run_dir,
        webhook_url=None,
        secret_key=SECRET_KEY,
        webhook_secret=WEBHOOK_SECRET,
        retry_seconds=RETRY_SECONDS,
    )
    stand_in.start()
    http = stripe.RequestsClient(timeout=5)
    client = stripe.StripeClient(
        SECRET_KEY, base_addresses={"api": stand_in.url}, http_client=http, max_network_retries=0
    )
    try:
        yield Shop(stand_in, client)
    finally:
        http.close()  # type: ignore[no-untyped-call]
        stand_in.stop()
