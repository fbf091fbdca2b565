"""A webhook endpoint that records requests and answers with a given status."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import stripe

from devstack.testing.serving import QuietHandler, serving

PATIENCE_SECONDS = 8.0


@dataclass(frozen=True)
class Received:
    """One request to the endpoint, byte for byte."""

    body: bytes
    signature: str
    content_type: str

    def event(self, secret: str) -> stripe.Event:
        """The event, verified by the SDK itself; SignatureVerificationError if the signature is wrong."""
        return stripe.Webhook.construct_event(self.body, self.signature, secret, api_key="sk_test_receiver")  # type: ignore[no-any-return]


@dataclass
class Receiver:
    url: str
    answer: Callable[[Received], int] = field(default=lambda _: 200)
    received: list[Received] = field(default_factory=list)

    def wait_for(self, count: int) -> list[Received]:
        """Wait for `count` requests and return all; TimeoutError if they do not come."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(self.received) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(self.received)} of {count} webhooks came")
            time.sleep(0.01)
        return list(self.received)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Yields a receiver on a free port of 127.0.0.1."""
    receiver = Receiver("")

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            received = Received(self.body(), self.headers["Stripe-Signature"], self.headers["Content-Type"])
            status = receiver.answer(received)
            receiver.received.append(received)
            self.answer(status)

    with serving(Handler) as url:
        receiver.url = f"{url}/api/stripe/webhook"
        yield receiver
