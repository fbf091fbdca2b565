"""Whose deliveries the gateway believes: the raw bytes, signed with a secret that is in use, and lately."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from stripe import WebhookSignature

from printshop.adapters.stripe import WEBHOOK_TOLERANCE_SECONDS, StripeGateway
from printshop.config.settings import load_settings
from printshop.kernel.errors import BadRequest, NotFound

SECRET = "whsec_in_use"
OLD_SECRET = "whsec_going_out_of_use"
EVENT = {
    "id": "evt_1",
    "object": "event",
    "type": "checkout.session.completed",
    "data": {"object": {"id": "cs_1", "object": "checkout.session", "metadata": {"name": "Zoë 🐇"}}},
}
BODY = json.dumps(EVENT, indent=2, ensure_ascii=False).encode()
"""Indented, as Stripe sends it: parsed and dumped again it has other bytes."""


def gateway(secrets: str = SECRET) -> StripeGateway:
    environment = {
        "NEXT_PUBLIC_SUPABASE_URL": "https://project.supabase.co",
        "NEXT_PUBLIC_SUPABASE_ANON_KEY": "sb_publishable_a",
        "SUPABASE_SERVICE_ROLE_KEY": "sb_secret_b",
        "STRIPE_SECRET_KEY": "sk_test_c",
        "STRIPE_WEBHOOK_SECRET": secrets,
    }
    return StripeGateway(load_settings(environment))


def signed(body: bytes = BODY, secret: str = SECRET, seconds_ago: float = 0) -> str:
    header: str = WebhookSignature.generate_signature_header(
        body.decode(), secret, int(time.time() - seconds_ago)
    )
    return header


def refusal(body: bytes, signature: str | None, secrets: str = SECRET) -> str:
    with pytest.raises(BadRequest) as refused:
        gateway(secrets).read_event(body, signature)
    return refused.value.code


def test_a_genuine_delivery_is_read_as_it_was_sent() -> None:
    assert gateway().read_event(BODY, signed()) == EVENT


def test_a_late_delivery_is_taken_within_the_tolerance() -> None:
    assert gateway().read_event(BODY, signed(seconds_ago=WEBHOOK_TOLERANCE_SECONDS - 5)) == EVENT


def test_a_replayed_delivery_is_refused_past_the_tolerance() -> None:
    assert refusal(BODY, signed(seconds_ago=WEBHOOK_TOLERANCE_SECONDS + 1)) == "WEBHOOK_SIGNATURE_INVALID"


def test_a_replay_does_not_get_younger_by_a_new_time() -> None:
    _, old = signed(seconds_ago=WEBHOOK_TOLERANCE_SECONDS + 1).split(",")
    assert refusal(BODY, f"t={int(time.time())},{old}") == "WEBHOOK_SIGNATURE_INVALID"


def test_a_sender_whose_clock_is_ahead_is_believed() -> None:
    """As by Stripe's own libraries: who can sign can sign for any time, and clocks differ."""
    assert gateway().read_event(BODY, signed(seconds_ago=-600)) == EVENT


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "v1=",
        "t=,v1=",
        "t=now,v1=abc",
        "nonsense",
        f"t={10**30},v1=abc",
        "t=1,v1=\u00e9",
    ],
)
def test_a_header_that_is_no_signature_is_refused(header: str | None) -> None:
    assert refusal(BODY, header).startswith("WEBHOOK_")


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(lambda: signed().replace("v1=", "v0="), id="the test scheme"),
        pytest.param(lambda: signed().split(",")[0], id="no signature"),
        pytest.param(lambda: signed().split(",")[1], id="no time"),
        pytest.param(lambda: signed(secret="whsec_of_a_forger"), id="a forged one"),
        pytest.param(lambda: signed(secret=OLD_SECRET), id="by a secret out of use"),
        pytest.param(lambda: signed(b"{}"), id="of another body"),
    ],
)
def test_what_the_secret_did_not_sign_is_refused(header: Callable[[], str]) -> None:
    """Signed when the test runs: a signature from collection would be refused for its age."""
    assert refusal(BODY, header()).startswith("WEBHOOK_")


@pytest.mark.parametrize(
    "body",
    [
        BODY[:-1],
        BODY[: len(BODY) // 2],
        b"",
        BODY + b"\n",
        b"\xef\xbb\xbf" + BODY,
        json.dumps(json.loads(BODY)).encode(),
        json.dumps(json.loads(BODY), indent=2).encode(),
        BODY.decode().encode("utf-16"),
        BODY.decode().replace("cs_1", "cs_2").encode(),
    ],
    ids=[
        "a byte short", "cut in half", "empty", "a byte more", "with a BOM", "dumped again", "escaped",
        "in another encoding", "altered",
    ],
)  # fmt: skip
def test_a_body_of_other_bytes_than_were_signed_is_refused(body: bytes) -> None:
    assert refusal(body, signed()).startswith("WEBHOOK_")


NO_EVENTS: list[Any] = [
    {}, [], 1, None, "evt_1", EVENT | {"id": None}, EVENT | {"type": 1}, EVENT | {"data": {}},
    EVENT | {"data": {"object": "cs_1"}}, EVENT | {"object": "v2.core.event"},
]  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [b"", b"no json", BODY[:-1], "\ufeff{}".encode(), *(json.dumps(one).encode() for one in NO_EVENTS)],
)
def test_a_signed_body_that_is_no_event_is_refused(body: bytes) -> None:
    assert refusal(body, signed(body)) == "WEBHOOK_BODY_INVALID"


@pytest.mark.parametrize("secrets", [f"{SECRET},{OLD_SECRET}", f" {OLD_SECRET} , {SECRET} ", f"{SECRET},"])
def test_each_secret_in_use_is_believed_while_one_replaces_the_other(secrets: str) -> None:
    both = {SECRET: True, OLD_SECRET: OLD_SECRET in secrets}
    for secret, known in both.items():
        if known:
            assert gateway(secrets).read_event(BODY, signed(secret=secret)) == EVENT
        else:
            assert refusal(BODY, signed(secret=secret), secrets) == "WEBHOOK_SIGNATURE_INVALID"
    assert refusal(BODY, signed(secret=secrets), secrets) == "WEBHOOK_SIGNATURE_INVALID"


@pytest.mark.parametrize("secrets", [SECRET, OLD_SECRET])
def test_stripe_signs_with_both_secrets_and_one_is_enough(secrets: str) -> None:
    rolled = f"{signed(secret=SECRET)},{signed(secret=OLD_SECRET).split(',')[1]}"
    assert gateway(secrets).read_event(BODY, rolled) == EVENT


@pytest.mark.parametrize("secrets", ["", " ", ",", " , "])
def test_without_a_secret_there_is_no_route_though_anybody_can_sign_with_an_empty_one(secrets: str) -> None:
    for secret in {"", secrets}:
        with pytest.raises(NotFound) as refused:
            gateway(secrets).read_event(BODY, signed(secret=secret))
        assert refused.value.code == "ROUTE_NOT_FOUND"


def test_a_refused_delivery_says_nothing_of_the_secret() -> None:
    with pytest.raises(BadRequest) as refused:
        gateway().read_event(BODY, signed(secret="whsec_of_a_forger"))
    told: Any = refused.value.message
    assert SECRET not in told
    assert "v1=" not in told
