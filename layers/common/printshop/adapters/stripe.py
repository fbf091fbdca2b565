"""Stripe, as far as the bureau needs it. The only module that imports `stripe`."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import stripe

from printshop.config.settings import Settings
from printshop.config.settings_provider import current
from printshop.kernel.currency import stripe_amount
from printshop.kernel.errors import ApiError, BadRequest, Conflict, NotFound, Unavailable
from printshop.kernel.log import get_logger

API_VERSION = "2026-10-28.endive"
TIMEOUT_SECONDS = 12
"""The SDK's own 80 s would outlive the gateway's 30."""
WEBHOOK_TOLERANCE_SECONDS = 300

HANDLED_EVENTS = (
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
    "charge.refunded",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
    "charge.dispute.closed",
)
"""What the webhook endpoint subscribes to; any other event type is recorded and changes nothing."""

MISSING = "resource_missing"
PAGE = 100
"""Stripe's largest page of a list."""

log = get_logger()


class StripeFinalError(Exception):
    """Stripe answered with an error that it replays for this idempotency key; another try needs another key.

    `is_outage` tells its own failure (500) from a request that it refuses.
    """

    def __init__(self, error: stripe.StripeError) -> None:
        super().__init__(error.user_message or str(error))
        self.is_outage = error.http_status == 500
        self.is_about_email = getattr(error, "param", None) == "customer_email"
        self.is_too_small = error.code == "amount_too_small"


class StripeBusyError(Exception):
    """Another request with this idempotency key is under way; its session is there in a moment."""


@dataclass(frozen=True, slots=True)
class CheckoutInvoice:
    """What a payment page is made of. `key` is the idempotency key, of each try its own."""

    invoice_id: int
    number: str
    client_name: str
    client_email: str | None
    currency: str
    amount_cents: int
    key: str


@dataclass(frozen=True, slots=True)
class CheckoutSession:
    """A hosted payment page; `url` takes the customer there."""

    id: str
    url: str
    expires_at: str = ""


@dataclass(frozen=True, slots=True)
class RefundOrder:
    """A refund to make. `request_id` finds it again; `key` is the idempotency key."""

    request_id: int
    invoice_id: int
    payment_intent: str
    amount_cents: int
    currency: str
    reason: str | None
    key: str


class StripeGateway:
    """The configured account. Raises Conflict STRIPE_NOT_CONFIGURED where there is none."""

    api_version = API_VERSION

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
            raise Conflict("STRIPE_NOT_CONFIGURED")
        return self._client

    @property
    def livemode(self) -> bool:
        """Whether the key moves real money."""
        return (self._settings.stripe_key or "").startswith(("sk_live_", "rk_live_"))

    def is_of_mode(self, session_id: str) -> bool:
        """Whether a page was made in the key's own mode, test or live, which its id tells."""
        return session_id.startswith("cs_live_" if self.livemode else "cs_test_")

    def create_session(self, invoice: CheckoutInvoice) -> CheckoutSession:
        """Make the payment page of an invoice's balance. Raises Unavailable, StripeBusyError, StripeFinalError."""
        metadata = {"invoiceId": str(invoice.invoice_id), "invoiceNumber": invoice.number}
        success_url, cancel_url = self._return_urls()
        params: dict[str, Any] = {
            "mode": "payment",
            "adaptive_pricing": {"enabled": False},  # the invoice's currency, and no other
            "allowed_payment_method_types": ["card"],
            "line_items": [
                {
                    "price_data": {
                        "currency": invoice.currency.lower(),
                        "product_data": {
                            "name": f"Invoice {invoice.number}",
                            "description": invoice.client_name,
                        },
                        "unit_amount": stripe_amount(invoice.amount_cents, invoice.currency),
                    },
                    "quantity": 1,
                }
            ],
            "metadata": metadata,
            "payment_intent_data": {"metadata": metadata},
            "client_reference_id": str(invoice.invoice_id),
            "success_url": success_url,
            "cancel_url": cancel_url,
        }
        if invoice.client_email:
            params["customer_email"] = invoice.client_email
        with _errors({"invoiceId": invoice.invoice_id}):
            session = self.client.v1.checkout.sessions.create(params, {"idempotency_key": invoice.key})  # type: ignore[arg-type]
        log.info(scope="stripe.session", data={"invoiceId": invoice.invoice_id, "sessionId": session.id})
        expires_at = datetime.fromtimestamp(session.expires_at, UTC)
        return CheckoutSession(session.id, session.url or "", expires_at.isoformat())

    def end_session(self, session_id: str) -> dict[str, Any] | None:
        """Expire a page, and answer the session as it now is: expired, or complete when somebody was faster; None for
        one that Stripe does not know. Raises Unavailable."""
        try:
            return self.client.v1.checkout.sessions.expire(session_id).to_dict(for_json=True)
        except stripe.InvalidRequestError as error:
            log.info(scope="stripe.expire", data={"sessionId": session_id, "answer": error.code})
        except stripe.StripeError as error:
            raise unavailable(error) from error
        session = self.read_session(session_id)
        if session and session["status"] == "open":
            raise unavailable(RuntimeError(f"{session_id} stays open"))
        return session

    def read_session(self, session_id: str) -> dict[str, Any] | None:
        """A session with its payment intent in full; None for one that Stripe does not know. Raises Unavailable."""
        try:
            session = self.client.v1.checkout.sessions.retrieve(session_id, {"expand": ["payment_intent"]})
        except stripe.StripeError as error:
            if error.code == MISSING:
                _warn_of_unknown(session_id)
                return None
            raise unavailable(error) from error
        return session.to_dict(for_json=True)

    def open_sessions(self, since: datetime) -> Iterator[dict[str, Any]]:
        """The pages that can be paid and were made for this shop since then, whoever remembers them. Raises
        Unavailable."""
        found = self._all(
            self.client.v1.checkout.sessions.list,
            {"status": "open", "created": {"gte": int(since.timestamp())}},
        )
        for session in found:
            if self.is_ours(session):
                yield session

    def is_ours(self, session: dict[str, Any]) -> bool:
        """Whether a session looks as if it was made here: others may use the same account."""
        urls = (session.get("success_url"), session.get("cancel_url"))
        return "invoiceId" in (session.get("metadata") or {}) and urls == self._return_urls()

    def undelivered_events(self, since: datetime) -> Iterator[dict[str, Any]]:
        """Events of the types that are handled, which an endpoint has not taken since then. Raises Unavailable."""
        return self._all(
            self.client.v1.events.list,
            {
                "delivery_success": False,
                "types": list(HANDLED_EVENTS),
                "created": {"gte": int(since.timestamp())},
            },
        )

    def create_refund(self, order: RefundOrder) -> str:
        """Give money back; the refund's id. Raises StripeFinalError, and Unavailable, also for a payment that Stripe
        does not know: it told us of it, so only the key can be of another account or mode."""
        params: dict[str, Any] = {
            "payment_intent": order.payment_intent,
            "amount": stripe_amount(order.amount_cents, order.currency),
            "metadata": {"invoiceId": str(order.invoice_id), "refundRequestId": str(order.request_id)},
        }
        if order.reason:
            params["reason"] = order.reason
        with _errors({"invoiceId": order.invoice_id, "refundRequestId": order.request_id}):
            try:
                made = self.client.v1.refunds.create(params, {"idempotency_key": order.key})  # type: ignore[arg-type]
            except stripe.InvalidRequestError as error:
                if error.code != MISSING:
                    raise
                _warn_of_unknown(order.payment_intent)
                raise unavailable(error) from error
        log.info(scope="stripe.refund", data={"invoiceId": order.invoice_id, "refundId": made.id})
        return made.id

    def find_refund(self, order: RefundOrder) -> str | None:
        """The refund that an earlier try of the same order made. Raises Unavailable."""
        wanted = str(order.request_id)
        for made in self._all(self.client.v1.refunds.list, {"payment_intent": order.payment_intent}):
            if (made["metadata"] or {}).get("refundRequestId") == wanted:
                return str(made["id"])
        return None

    def read_refund(self, refund_id: str) -> dict[str, Any] | None:
        """A refund; None for one that Stripe does not know. Raises Unavailable."""
        try:
            return self.client.v1.refunds.retrieve(refund_id).to_dict(for_json=True)
        except stripe.StripeError as error:
            if error.code == MISSING:
                _warn_of_unknown(refund_id)
                return None
            raise unavailable(error) from error

    def _all(self, listed: Callable[..., Any], params: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Every object of a list, a page a request."""
        try:
            for found in listed({"limit": PAGE, **params}).auto_paging_iter():
                yield found.to_dict(for_json=True)
        except stripe.StripeError as error:
            raise unavailable(error) from error

    def _return_urls(self) -> tuple[str, str]:
        """Where Checkout sends a customer who has paid, and one who has not."""
        app_url = self._settings.next_public_app_url
        return (
            self._settings.stripe_success_url or f"{app_url}/paid",
            self._settings.stripe_cancel_url or f"{app_url}/cancelled",
        )

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
                return _event(json.loads(body))
            except stripe.SignatureVerificationError:
                continue
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise BadRequest("WEBHOOK_BODY_INVALID") from error
        log.warn(scope="stripe.webhook", message="The signature does not fit")
        raise BadRequest("WEBHOOK_SIGNATURE_INVALID")


def _event(body: Any) -> dict[str, Any]:
    """The event, if it has what is read of every one: the SDK takes any object."""
    if not (
        isinstance(body["id"], str)
        and isinstance(body["type"], str)
        and isinstance(body["data"]["object"], dict)
    ):
        raise TypeError(body)
    return dict(body)


def _warn_of_unknown(made_id: str) -> None:
    log.warn(
        scope="stripe.unknown",
        message="Stripe does not know what it made; see whether the key is of another account or mode.",
        data={"id": made_id},
    )


@contextmanager
def _errors(about: dict[str, Any]) -> Iterator[None]:
    """Tells what Stripe will answer to this key again from what another try may heal."""
    try:
        yield
    except (stripe.InvalidRequestError, stripe.IdempotencyError, stripe.CardError) as error:
        log.error(scope="stripe.refused", error=error, data=about)
        raise StripeFinalError(error) from error
    except stripe.StripeError as error:
        if error.http_status == 409:
            raise StripeBusyError(str(error)) from error
        if error.http_status == 500:
            raise StripeFinalError(error) from error
        raise unavailable(error) from error


def unavailable(error: Exception) -> ApiError:
    """What the caller hears when Stripe cannot be reached."""
    log.warn(scope="stripe.unavailable", error=error)
    if isinstance(error, stripe.AuthenticationError):
        current.renew()  # the key may have been rotated: the next try has the new one
    return Unavailable("STRIPE_UNAVAILABLE", retry_after=5)
