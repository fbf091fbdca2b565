"""Stripe, as far as the bureau needs it. The only module that imports `stripe`."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import stripe

from printshop.errors import ApiError, BadRequest, Conflict, NotFound, Unavailable
from printshop.log import get_logger
from printshop.rotation import current
from printshop.settings import Settings

API_VERSION = "2026-10-28.endive"
TIMEOUT_SECONDS = 12
"""The SDK's own 80 s would outlive the gateway's 30."""
WEBHOOK_TOLERANCE_SECONDS = 300

MINIMUM_CHARGE = {"AUD": 50, "USD": 50, "NZD": 50, "CAD": 50, "EUR": 50, "GBP": 30, "JPY": 50}
"""Stripe's published minimum per charge, in minor units; 50 is assumed for the others."""

log = get_logger()


class StripeFinalError(Exception):
    """Stripe answered with an error that it replays for this idempotency key; another try needs another key.

    `is_outage` tells its own failure (500) from a request that it refuses.
    """

    def __init__(self, message: str, *, is_outage: bool = False) -> None:
        super().__init__(message)
        self.is_outage = is_outage


class StripeBusyError(Exception):
    """Another request with this idempotency key is under way; its session is there in a moment."""


@dataclass(frozen=True, slots=True)
class CheckoutInvoice:
    """What a payment page is made of. `attempt` makes the idempotency key of each try its own."""

    invoice_id: int
    number: str
    client_name: str
    client_email: str | None
    currency: str
    amount_cents: int
    attempt: int


@dataclass(frozen=True, slots=True)
class CheckoutSession:
    """A hosted payment page; `url` takes the customer there."""

    id: str
    url: str
    amount_cents: int
    expires_at: datetime


class StripeGateway:
    """The configured account. Raises Conflict STRIPE_NOT_CONFIGURED where there is none."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: stripe.StripeClient | None = None
        if settings.stripe_key:
            self._client = stripe.StripeClient(
                settings.stripe_key,
                stripe_version=API_VERSION,
                base_addresses={"api": settings.stripe_api_base},
                http_client=stripe.HTTPXClient(timeout=TIMEOUT_SECONDS, allow_sync_methods=True),
                max_network_retries=1,
            )

    @property
    def client(self) -> stripe.StripeClient:
        if self._client is None:
            raise Conflict("STRIPE_NOT_CONFIGURED", "The shop takes no card payments here; pay it directly.")
        return self._client

    def minimum_cents(self, currency: str) -> int:
        return MINIMUM_CHARGE.get(currency.upper(), 50)

    def create_session(self, invoice: CheckoutInvoice) -> CheckoutSession:
        """Make the payment page of an invoice's balance. Raises Unavailable, StripeBusyError, StripeFinalError."""
        metadata = {"invoiceId": str(invoice.invoice_id), "invoiceNumber": invoice.number}
        app_url = self._settings.next_public_app_url
        params: dict[str, Any] = {
            "mode": "payment",
            "allowed_payment_method_types": ["card"],
            "line_items": [
                {
                    "price_data": {
                        "currency": invoice.currency.lower(),
                        "product_data": {
                            "name": f"Invoice {invoice.number}",
                            "description": invoice.client_name,
                        },
                        "unit_amount": invoice.amount_cents,
                    },
                    "quantity": 1,
                }
            ],
            "metadata": metadata,
            "payment_intent_data": {"metadata": metadata},
            "client_reference_id": str(invoice.invoice_id),
            "success_url": self._settings.stripe_success_url or f"{app_url}/paid",
            "cancel_url": self._settings.stripe_cancel_url or f"{app_url}/cancelled",
        }
        if invoice.client_email:
            params["customer_email"] = invoice.client_email
        key = f"invoice-{invoice.invoice_id}-{invoice.attempt}"
        try:
            session = self.client.v1.checkout.sessions.create(params, {"idempotency_key": key})  # type: ignore[arg-type]
        except (stripe.InvalidRequestError, stripe.IdempotencyError, stripe.CardError) as error:
            if error.http_status == 409:
                raise StripeBusyError(str(error)) from error
            log.error(scope="stripe.session", error=error, data={"invoiceId": invoice.invoice_id})
            raise StripeFinalError(str(error)) from error
        except stripe.StripeError as error:
            if error.http_status == 500:
                raise StripeFinalError(str(error), is_outage=True) from error
            raise unavailable(error) from error
        log.info(scope="stripe.session", data={"invoiceId": invoice.invoice_id, "sessionId": session.id})
        return CheckoutSession(
            id=session.id,
            url=session.url or "",
            amount_cents=session.amount_total or 0,
            expires_at=datetime.fromtimestamp(session.expires_at, UTC),
        )

    def expire_session(self, session_id: str) -> None:
        """Make sure nobody pays a retired page any more. One that is no longer open is left as it is."""
        try:
            self.client.v1.checkout.sessions.expire(session_id)
        except stripe.InvalidRequestError as error:
            log.info(scope="stripe.expire", data={"sessionId": session_id, "answer": error.code})
        except stripe.StripeError as error:
            raise unavailable(error) from error

    def check_key(self) -> bool:
        """Prove the key by a call; the balance shows whether it is a live one."""
        try:
            return bool(self.client.v1.balance.retrieve().livemode)
        except stripe.StripeError as error:
            raise unavailable(error) from error

    def read_event(self, body: bytes, signature: str | None) -> dict[str, Any]:
        """A webhook's event, if one of the configured secrets signed it within the tolerance.

        `STRIPE_WEBHOOK_SECRET` may hold two secrets, parted by a comma, while one replaces the other. An empty one
        means that the route does not exist: anybody can sign with an empty key.
        """
        secrets = [
            secret.strip() for secret in (self._settings.webhook_secret or "").split(",") if secret.strip()
        ]
        if not secrets:
            raise NotFound("ROUTE_NOT_FOUND", "No webhook is configured here.")
        for secret in secrets:
            try:
                stripe.Webhook.construct_event(body, signature or "", secret, WEBHOOK_TOLERANCE_SECONDS)
            except stripe.SignatureVerificationError:
                continue
            except (ValueError, KeyError, TypeError) as error:
                raise BadRequest("WEBHOOK_BODY_INVALID", "The body is not a Stripe event.") from error
            return dict(json.loads(body))
        log.warn(scope="stripe.webhook", message="The signature does not fit")
        raise BadRequest(
            "WEBHOOK_SIGNATURE_INVALID", "The Stripe-Signature header does not fit the body or is too old."
        )


def unavailable(error: Exception) -> ApiError:
    """What the caller hears when Stripe cannot be reached."""
    log.warn(scope="stripe.unavailable", error=error)
    if isinstance(error, stripe.AuthenticationError):
        current.renew()  # the key may have been rotated: the next try has the new one
    return Unavailable(
        "STRIPE_UNAVAILABLE", "The payment service did not answer; try again in a moment.", retry_after=5
    )
