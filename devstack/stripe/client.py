"""A typed client of the control API, and a customer at the payment page."""

import ssl
import time
from typing import Any, Self

import httpx
from pydantic import BaseModel

from devstack.stripe import cards
from devstack.stripe.switches import DeliverySettings, FaultKind

_PATIENCE_SECONDS = 10.0

# The stand-in speaks plain HTTP; loading the machine's certificates would cost 20 ms a client.
_NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Attempt(BaseModel):
    at: float
    status: int | None
    """The answer's HTTP status; None if there was no answer, and `error` says why."""

    error: str | None
    milliseconds: float


class Delivery(BaseModel):
    """One copy of an event to one endpoint."""

    seq: int
    event_id: str
    event_type: str
    endpoint_id: str
    copy_number: int
    state: str
    """pending · held · dropped · delivered · failed (given up)"""

    attempts: list[Attempt]


class ApiRequest(BaseModel):
    """One API call as the stand-in saw it."""

    request_id: str
    at: float
    method: str
    path: str
    stripe_version: str | None
    idempotency_key: str | None
    replayed: bool
    status: int | None
    fault: str | None


def pay(
    url: str, *, card: str = cards.GOOD, method: str = "card", email: str = "customer@example.com"
) -> httpx.Response:
    """Pay on a Checkout page; returns the page's response without following a redirect.

    `method` "au_becs_debit" authorises a direct debit, which `Control.settle_payment` settles.
    """
    form = {"method": method, "card": card, "email": email}
    return httpx.post(url, data=form, timeout=_PATIENCE_SECONDS, trust_env=False, verify=_NO_CERTIFICATES)


class Control:
    """The control API of a running stand-in."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(
            base_url=f"{url}/_control", timeout=_PATIENCE_SECONDS, trust_env=False, verify=_NO_CERTIFICATES
        )

    def answers(self) -> bool:
        """Whether the stand-in answers."""
        try:
            return self._http.get("/health", timeout=1).is_success
        except httpx.TransportError:
            return False

    @property
    def closed(self) -> bool:
        return self._http.is_closed

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- webhook endpoint

    def set_webhook(
        self,
        url: str | None,
        secret: str | None = None,
        api_version: str | None = None,
        enabled_events: tuple[str, ...] = ("*",),
    ) -> str | None:
        """Set the URL of the launcher's own endpoint (None disables it); returns its id."""
        order = {
            "url": url,
            "secret": secret,
            "api_version": api_version,
            "enabled_events": list(enabled_events),
        }
        answer: str | None = self._send("PUT", "/webhook", order)["endpoint"]
        return answer

    def roll_secret(self, secret: str | None = None, overlap_seconds: float = 3600) -> str:
        """Sign with a new secret, and for `overlap_seconds` with the old one too; returns the new one."""
        answer: str = self._send(
            "POST", "/webhook/roll", {"secret": secret, "overlap_seconds": overlap_seconds}
        )["secret"]
        return answer

    # ---- webhook delivery

    def set_delivery(
        self, *, copies: int = 1, delay_seconds: float = 0, hold: bool = False, drop: tuple[str, ...] = ()
    ) -> None:
        """Duplicate, delay, hold or lose events that happen from now on; without arguments, deliver normally."""
        wanted = DeliverySettings(copies=copies, delay_seconds=delay_seconds, hold=hold, drop=list(drop))
        self._send("PUT", "/delivery", wanted.model_dump())

    def release(self, seed: int | None = None) -> list[str]:
        """Deliver held events one by one, shuffled by `seed`; returns the event ids in the order of delivery."""
        answer: list[str] = self._send("POST", "/release", {"seed": seed})["events"]
        return answer

    def deliver_again(self, event_id: str, **order: Any) -> int:
        """Deliver an event whatever the delivery settings; returns the number of deliveries.

        `order` has the fields of outbox.Resend: times, livemode, api_version, signed_seconds_ago, secret.
        """
        answer: int = self._send("POST", f"/events/{event_id}/deliver", order)["deliveries"]
        return answer

    def set_livemode(self, event_id: str, livemode: bool) -> None:
        """Forge an event's livemode, in the event and in its object."""
        self._send("POST", f"/events/{event_id}/livemode", {"livemode": livemode})

    # ---- failures of the API

    def fail_next(
        self,
        kind: FaultKind,
        times: int = 1,
        *,
        method: str | None = None,
        path: str = "/v1/",
        seconds: float = 30,
    ) -> None:
        """Make the next `times` matching API calls fail; switches.FaultKind explains the kinds."""
        order = {"kind": kind, "times": times, "method": method, "path": path, "seconds": seconds}
        self._send("POST", "/faults", order)

    def clear_faults(self) -> None:
        self._send("DELETE", "/faults")

    # ---- time and banks

    def advance_clock(self, seconds: int) -> int:
        """Move Stripe's clock (negative: back) and expire due sessions; returns how many expired."""
        answer: int = self._send("POST", "/clock", {"seconds": seconds})["expired"]
        return answer

    def settle_payment(self, session_id: str, *, succeeded: bool) -> None:
        """Decide a direct debit, as the bank does."""
        self._send("POST", f"/sessions/{session_id}/settle", {"succeeded": succeeded})

    def settle_refund(self, refund_id: str) -> None:
        """Let a pending refund succeed."""
        self._send("POST", f"/refunds/{refund_id}/settle", {"status": "succeeded"})

    def fail_refund(self, refund_id: str, reason: str = "lost_or_stolen_card") -> None:
        """Let a refund fail, as the bank does."""
        self._send("POST", f"/refunds/{refund_id}/settle", {"status": "failed", "failure_reason": reason})

    def open_dispute(self, charge_id: str, *, amount: int | None = None, reason: str = "fraudulent") -> str:
        """Open a dispute of a charge and withdraw its funds; returns the dispute's id."""
        answer: str = self._send(
            "POST", "/disputes", {"charge": charge_id, "amount": amount, "reason": reason}
        )["id"]
        return answer

    def close_dispute(self, dispute_id: str, *, won: bool) -> None:
        """Close a dispute; a won one returns the funds to the merchant."""
        self._send("POST", f"/disputes/{dispute_id}/close", {"won": won})

    # ---- records

    def deliveries(self, state: str | None = None) -> list[Delivery]:
        """Every delivery with its attempts, oldest first."""
        rows = self._send("GET", "/deliveries", params={"state": state} if state else {})
        return [Delivery.model_validate(row) for row in rows]

    def requests(self) -> list[ApiRequest]:
        """Every API call, oldest first."""
        return [ApiRequest.model_validate(row) for row in self._send("GET", "/requests")]

    def counters(self) -> dict[str, int]:
        """How often each fault and setting took effect: `fault.<kind>`, `delivery.<duplicated|dropped|…>`."""
        answer: dict[str, int] = self._send("GET", "/counters")
        return answer

    def wait_until_delivered(self, timeout: float = _PATIENCE_SECONDS) -> None:
        """Return when nothing waits to be delivered; TimeoutError after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while self.deliveries("pending"):
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"{len(self.deliveries('pending'))} webhooks still wait after {timeout:g} s"
                )
            time.sleep(0.02)

    def _send(self, method: str, path: str, order: Any = None, params: dict[str, Any] | None = None) -> Any:
        answer = self._http.request(method, path, json=order, params=params)
        if answer.is_error:
            raise ValueError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json()
