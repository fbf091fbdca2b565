"""`make stripe-webhook URL=…`: creates or updates the webhook endpoint at Stripe.

The endpoint gets the events that the product handles, in the API version that the product reads. A second run changes
nothing, or brings the events up to date. Reads STRIPE_SECRET_KEY, STRIPE_API_BASE and, for the URL's default,
NEXT_PUBLIC_APP_URL from the environment. Exit status: 0 if the endpoint is right, 1 if a person has to decide or
Stripe answers with an error, 2 for wrong arguments.
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import stripe

from printshop.adapters.stripe import API_VERSION, HANDLED_EVENTS, TIMEOUT_SECONDS

ROOT = Path(__file__).resolve().parents[1]
ROUTE = "/api/stripe/webhook"
DESCRIPTION = "printshop"


@dataclass(frozen=True)
class Outcome:
    """The result, line by line; `secret` is a new endpoint's signing secret, which Stripe shows only once."""

    right: bool
    lines: Sequence[str]
    secret: str | None = None


def ensure_endpoint(client: stripe.StripeClient, url: str, *, beside: bool = False) -> Outcome:
    """Create the endpoint of `url`, or update its events. Raises stripe.StripeError.

    `beside` creates one with the product's version in addition to one of another version.
    """
    here = [
        one for one in client.v1.webhook_endpoints.list({"limit": 100}).auto_paging_iter() if one.url == url
    ]
    ours = [one for one in here if one.api_version == API_VERSION]
    others = [one for one in here if one.api_version != API_VERSION]
    if ours:
        lines = _bring_up_to_date(client, ours[0])
        lines += [
            f"{one.id} has the same URL and version, and sends everything twice: delete it."
            for one in ours[1:]
        ]
        lines += [f"{one.id} of version {_version(one)} sends here too: {_FINISH}" for one in others]
        return Outcome(right=len(ours) == 1, lines=lines)
    if others and not beside:
        return Outcome(right=False, lines=_another_version(others))
    return _create(client, url, others)


def _create(client: stripe.StripeClient, url: str, others: Sequence[stripe.WebhookEndpoint]) -> Outcome:
    wanted = {
        "url": url,
        "api_version": API_VERSION,
        "enabled_events": list(HANDLED_EVENTS),
        "description": DESCRIPTION,
    }
    made = client.v1.webhook_endpoints.create(wanted)  # type: ignore[arg-type]
    lines = [f"{made.id} sends {len(HANDLED_EVENTS)} types of event to {url}, in version {API_VERSION}."]
    if others:
        lines.append(f"{', '.join(one.id for one in others)} sends here too: {_FINISH}")
    return Outcome(right=True, lines=lines, secret=made.secret)


def _bring_up_to_date(client: stripe.StripeClient, endpoint: stripe.WebhookEndpoint) -> list[str]:
    changes: dict[str, object] = {}
    lines = []
    if set(endpoint.enabled_events) != set(HANDLED_EVENTS):
        changes["enabled_events"] = list(HANDLED_EVENTS)
        lines.append(f"{endpoint.id} now sends the {len(HANDLED_EVENTS)} types of event that are handled.")
    if endpoint.status != "enabled":
        changes["disabled"] = False
        lines.append(f"{endpoint.id} was disabled, and sends again.")
    if not changes:
        return [f"{endpoint.id} is as it should be; nothing was changed."]
    client.v1.webhook_endpoints.update(endpoint.id, changes)  # type: ignore[arg-type]
    return lines


_FINISH = (
    "once nothing of its waits, delete it in the dashboard and take its secret out of STRIPE_WEBHOOK_SECRET."
)


def _another_version(others: Sequence[stripe.WebhookEndpoint]) -> list[str]:
    return [
        *(
            f"{one.id} has this URL and speaks version {_version(one)}; this code reads {API_VERSION}."
            for one in others
        ),
        "Stripe cannot change the version of an endpoint. Nothing was changed; so:",
        "  1. make stripe-webhook BESIDE=1 makes another one, and shows its secret;",
        "  2. put both secrets into STRIPE_WEBHOOK_SECRET, a comma between, while both send;",
        "  3. delete the old one in Stripe's dashboard, and take its secret out again.",
    ]


def _version(endpoint: stripe.WebhookEndpoint) -> str:
    return endpoint.api_version or "of the account"


def _argument_error(environment: Mapping[str, str], url: str, *, live: bool) -> str | None:
    key = environment.get("STRIPE_SECRET_KEY", "")
    if not key:
        return "Set STRIPE_SECRET_KEY to the account's secret key."
    is_live = "_live_" in key[:8]
    if is_live and not live:
        return "This key takes real money. If that is meant: make stripe-webhook LIVE=1"
    if live and not is_live:
        return "LIVE=1 is given, and the key is a test one; set STRIPE_SECRET_KEY to the live one."
    if not url.startswith(("https://", "http://")):
        return f"Say where the API is: make stripe-webhook URL=https://shop.example{ROUTE}"
    return None


def _arguments() -> argparse.Namespace:
    app_url = os.environ.get("NEXT_PUBLIC_APP_URL", "").rstrip("/")
    parser = argparse.ArgumentParser(prog="make stripe-webhook")
    parser.add_argument("--url", default=f"{app_url}{ROUTE}", help="where the events go")
    parser.add_argument("--live", action="store_true", help="the key takes real money")
    parser.add_argument(
        "--beside", action="store_true", help="create one in addition to one of another version"
    )
    return parser.parse_args()


def main() -> int:
    arguments = _arguments()
    error_text = _argument_error(os.environ, arguments.url, live=arguments.live)
    if error_text:
        print(error_text, file=sys.stderr)
        return 2
    client = stripe.StripeClient(
        os.environ["STRIPE_SECRET_KEY"],
        stripe_version=API_VERSION,
        base_addresses={"api": os.environ.get("STRIPE_API_BASE") or "https://api.stripe.com"},
        http_client=stripe.HTTPXClient(timeout=TIMEOUT_SECONDS, allow_sync_methods=True),
        max_network_retries=1,
    )
    try:
        outcome = ensure_endpoint(client, arguments.url, beside=arguments.beside)
    except stripe.APIConnectionError:
        print("Stripe does not answer; try again in a moment, or correct STRIPE_API_BASE.", file=sys.stderr)
        return 1
    except stripe.StripeError as error:
        print(f"Stripe answers with an error: {error.user_message or error}", file=sys.stderr)
        return 1
    print("\n".join(outcome.lines))
    if outcome.secret:
        keep = os.environ.get("SECRETS_ID") or "that SECRETS_ID names"
        print(f"Its signing secret, shown this once: {outcome.secret}")
        print(f"Put it as STRIPE_WEBHOOK_SECRET into the secret {keep}.")
    return 0 if outcome.right else 1


if __name__ == "__main__":
    sys.exit(main())
