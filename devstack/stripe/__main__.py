"""python -m devstack.stripe --port 4242 --state-dir .local/stripe --webhook-url http://127.0.0.1:3000/…"""

import argparse
import os
from pathlib import Path

import stripe
import uvicorn

from devstack.stripe import endpoints
from devstack.stripe.app import build
from devstack.stripe.connections import Connection
from devstack.stripe.merchant import Merchant
from devstack.stripe.store import Store
from devstack.stripe.webhook_sender import RETRY_SECONDS


def _pauses(text: str) -> tuple[float, ...]:
    return tuple(float(pause) for pause in text.split(",") if pause)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m devstack.stripe", description="Stripe's API and Checkout on one machine."
    )
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state-dir", type=Path, required=True, help="where its state is stored")
    parser.add_argument("--webhook-url", help="where events go; can also be set later")
    parser.add_argument(
        "--webhook-secret", default=os.environ.get("STRIPE_WEBHOOK_SECRET"), help="signs the events (whsec_…)"
    )
    parser.add_argument(
        "--secret-key",
        default=os.environ.get("STRIPE_SECRET_KEY", "sk_test_standin"),
        help="the API key to accept",
    )
    parser.add_argument(
        "--api-version", default=stripe.api_version, help="the account's version (default: the SDK's own)"
    )
    parser.add_argument(
        "--retry-seconds", type=_pauses, default=RETRY_SECONDS, help="pauses between attempts, by comma"
    )
    arguments = parser.parse_args()
    if arguments.webhook_url and not arguments.webhook_secret:
        parser.error("--webhook-url needs --webhook-secret (or STRIPE_WEBHOOK_SECRET)")
    return arguments


def main() -> None:
    arguments = _arguments()
    merchant = Merchant(
        store=Store(arguments.state_dir / "stripe.sqlite3"),
        secret_key=arguments.secret_key,
        base_url=f"http://127.0.0.1:{arguments.port}",
        api_version=arguments.api_version,
    )
    if arguments.webhook_url:
        endpoints.set_own(
            merchant,
            url=arguments.webhook_url,
            secret=arguments.webhook_secret,
            api_version=None,
            enabled_events=["*"],
        )
    uvicorn.run(
        build(merchant, arguments.retry_seconds),
        host="127.0.0.1",
        port=arguments.port,
        http=Connection,
        loop="asyncio",
        ws="none",
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=1,
    )


if __name__ == "__main__":
    main()
