"""`make stripe-webhook` creates the endpoint that the product needs, and updates it on later runs."""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import stripe

from devstack.testing.stripe_shop import SECRET_KEY, WEBHOOK_SECRET, Shop, open_shop
from devstack.testing.webhooks import receiving
from printshop.adapters.stripe import API_VERSION, HANDLED_EVENTS
from scripts.stripe_webhook import ROOT, ensure_endpoint

OLDER = "2026-09-30.endive"


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """This module's own account: its endpoints would get other tests' events."""
    with open_shop(tmp_path_factory.mktemp("stripe")) as shop:
        yield shop


@pytest.fixture
def url(account: Shop) -> Iterator[str]:
    """A URL that no endpoint has yet; nothing is sent to it after the test."""
    address = f"http://127.0.0.1:9/{uuid4().hex}"
    yield address
    account.stand_in.control.set_webhook(None)
    for one in at(account, address):
        account.client.v1.webhook_endpoints.update(
            one.id, {"disabled": True, "url": "http://127.0.0.1:9/done"}
        )


def at(account: Shop, url: str) -> list[stripe.WebhookEndpoint]:
    everything = account.client.v1.webhook_endpoints.list({"limit": 100}).data
    return [one for one in everything if one.url == url]


def run(account: Shop, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scripts.stripe_webhook", *arguments],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "layers" / "common"),
            "STRIPE_SECRET_KEY": SECRET_KEY,
            "STRIPE_API_BASE": account.stand_in.url,
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_endpoint_is_created_with_the_pinned_version_and_the_handled_events(
    account: Shop, url: str
) -> None:
    outcome = ensure_endpoint(account.client, url)
    (made,) = at(account, url)
    assert (made.api_version, made.status) == (API_VERSION, "enabled")
    assert set(made.enabled_events) == set(HANDLED_EVENTS)
    assert outcome.right
    assert (outcome.secret or "").startswith("whsec_")


def test_a_second_run_changes_nothing_and_shows_no_secret(account: Shop, url: str) -> None:
    ensure_endpoint(account.client, url)
    (before,) = at(account, url)
    outcome = ensure_endpoint(account.client, url)
    assert outcome.right
    assert outcome.secret is None
    assert [one.to_dict() for one in at(account, url)] == [before.to_dict()]
    assert "nothing was changed" in outcome.lines[0]


@pytest.mark.parametrize(
    "wrong", [{"enabled_events": ["*"]}, {"enabled_events": ["charge.refunded"]}, {"disabled": True}]
)
def test_an_endpoint_with_other_events_or_disabled_is_corrected(account: Shop, url: str, wrong: Any) -> None:
    ensure_endpoint(account.client, url)
    (made,) = at(account, url)
    account.client.v1.webhook_endpoints.update(made.id, wrong)
    outcome = ensure_endpoint(account.client, url)
    (again,) = at(account, url)
    assert (again.id, again.status) == (made.id, "enabled")
    assert set(again.enabled_events) == set(HANDLED_EVENTS)
    assert outcome.right
    assert made.id in outcome.lines[0]


@pytest.mark.parametrize(("version", "named"), [(OLDER, OLDER), (None, "of the account")])
def test_an_endpoint_of_another_version_is_left_and_the_output_says_what_to_do(
    account: Shop, url: str, version: str | None, named: str
) -> None:
    account.stand_in.control.set_webhook(url, WEBHOOK_SECRET, api_version=version)
    (before,) = at(account, url)
    outcome = ensure_endpoint(account.client, url)
    assert not outcome.right
    assert outcome.secret is None
    assert [one.to_dict() for one in at(account, url)] == [before.to_dict()]
    assert f"version {named}" in outcome.lines[0]
    assert any("BESIDE=1" in line for line in outcome.lines)
    assert any("both secrets" in line for line in outcome.lines)


def test_beside_creates_ours_and_names_the_one_of_another_version(account: Shop, url: str) -> None:
    old = account.stand_in.control.set_webhook(url, WEBHOOK_SECRET, api_version=OLDER)
    outcome = ensure_endpoint(account.client, url, beside=True)
    assert outcome.secret
    assert {one.api_version for one in at(account, url)} == {OLDER, API_VERSION}
    assert str(old) in outcome.lines[1]
    again = ensure_endpoint(account.client, url, beside=True)
    assert (again.right, again.secret, len(at(account, url))) == (True, None, 2)
    assert str(old) in again.lines[1]


def test_two_endpoints_with_the_same_url_and_version_are_reported(account: Shop, url: str) -> None:
    ensure_endpoint(account.client, url)
    (first,) = at(account, url)
    wanted: Any = {"url": url, "api_version": API_VERSION, "enabled_events": list(HANDLED_EVENTS)}
    account.client.v1.webhook_endpoints.create(wanted)
    outcome = ensure_endpoint(account.client, url)
    assert not outcome.right
    assert any(first.id in line and "delete it" in line for line in outcome.lines)


def test_the_printed_secret_verifies_what_the_endpoint_sends(account: Shop) -> None:
    with receiving() as receiver:
        command = run(account, NEXT_PUBLIC_APP_URL=receiver.url.removesuffix("/api/stripe/webhook"))
        assert command.returncode == 0, command.stderr
        (secret,) = (word for word in command.stdout.split() if word.startswith("whsec_"))
        account.paid_session()
        (received, *_) = receiver.wait_for(1)
        event = received.event(secret)
        assert (event.type, event.api_version) == ("checkout.session.completed", API_VERSION)
        with pytest.raises(stripe.SignatureVerificationError):
            received.event(WEBHOOK_SECRET)
        again = run(account, "--url", receiver.url)
        assert (again.returncode, "whsec_" in again.stdout) == (0, False)
        (made,) = at(account, receiver.url)
        account.client.v1.webhook_endpoints.update(made.id, {"disabled": True})


@pytest.mark.parametrize(
    ("environment", "arguments", "says"),
    [
        ({"STRIPE_SECRET_KEY": ""}, ["--url", "https://shop.example/x"], "Set STRIPE_SECRET_KEY"),
        ({"STRIPE_SECRET_KEY": "sk_live_1"}, ["--url", "https://shop.example/x"], "LIVE=1"),
        ({"STRIPE_SECRET_KEY": "rk_live_1"}, ["--url", "https://shop.example/x"], "LIVE=1"),
        ({}, ["--url", "https://shop.example/x", "--live"], "is a test one"),
        ({}, [], "URL=https://shop.example/api/stripe/webhook"),
    ],
)
def test_wrong_arguments_are_rejected_before_any_request_to_stripe(
    account: Shop, environment: dict[str, str], arguments: list[str], says: str
) -> None:
    before = len(account.stand_in.control.requests())
    command = run(account, *arguments, **environment)
    assert command.returncode == 2
    assert says in command.stderr
    assert len(account.stand_in.control.requests()) == before


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"STRIPE_API_BASE": "http://127.0.0.1:9"}, "Stripe does not answer"),
        ({"STRIPE_SECRET_KEY": "sk_test_of_another_account"}, "Stripe answers with an error"),
    ],
)
def test_an_error_of_stripe_is_reported_without_a_traceback(
    account: Shop, environment: dict[str, str], says: str
) -> None:
    command = run(account, "--url", "https://shop.example/x", **environment)
    assert command.returncode == 1
    assert says in command.stderr
    assert "Traceback" not in command.stderr


def test_make_passes_on_a_url_with_shell_characters(account: Shop) -> None:
    address = "http://127.0.0.1:9/$(id)`id`?a='b';$$;"
    done = subprocess.run(
        ["make", "--silent", "-o", "setup", "stripe-webhook", f"URL={address}"],
        cwd=ROOT,
        env={**os.environ, "STRIPE_SECRET_KEY": SECRET_KEY, "STRIPE_API_BASE": account.stand_in.url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"to {address}, in version {API_VERSION}" in done.stdout, done.stderr
