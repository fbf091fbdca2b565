"""A webhook endpoint that keeps what it is sent and answers as it is told."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import stripe

PATIENCE_SECONDS = 8.0


@dataclass(frozen=True)
class Received:
    """One request to the endpoint, byte for byte."""

    body: bytes
    signature: str
    content_type: str

    def event(self, secret: str) -> stripe.Event:
        """The event, verified by the SDK itself; SignatureVerificationError if it is not genuine."""
        return stripe.Webhook.construct_event(self.body, self.signature, secret, api_key="sk_test_receiver")  # type: ignore[no-any-return]


@dataclass
class Receiver:
    url: str
    answer: Callable[[Received], int] = field(default=lambda _: 200)
    received: list[Received] = field(default_factory=list)

    def wait_for(self, count: int) -> list[Received]:
        """The first `count` requests or more; TimeoutError if they do not come."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(self.received) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(self.received)} of {count} webhooks came")
            time.sleep(0.01)
        return list(self.received)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a free port of 127.0.0.1."""
    server = _Server(("127.0.0.1", 0), _Handler)
    receiver = Receiver(f"http://127.0.0.1:{server.server_port}/api/stripe/webhook")
    server.receiver = receiver  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    # The default of 5 makes a burst of deliveries wait a second for its connections.
    request_queue_size = 256


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        received = Received(body, self.headers["Stripe-Signature"], self.headers["Content-Type"])
        receiver: Receiver = self.server.receiver  # type: ignore[attr-defined]
        status = receiver.answer(received)
        receiver.received.append(received)
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        return
