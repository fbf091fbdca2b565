"""Secrets change under running functions: the next delivery, or the next try, is made with the new ones."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest

from devstack import ROOT, SECRETS_ID, Stack
from devstack.aws import REGION
from devstack.stripe import pay
from tests.conftest import sign_up
from tests.support.models import cube_stl
from tests.support.orders import checked_out, sliced


def secret(stack: Stack) -> dict[str, str]:
    found = stack.aws.client("secretsmanager").get_secret_value(SecretId=SECRETS_ID)["SecretString"]
    return dict(json.loads(found))


def questions(stack: Stack) -> int:
    """How often the webhook's function has asked for the secret."""
    return sum(
        (call["function"], call["action"]) == ("WebhookFunction", "GetSecretValue")
        for call in stack.aws.calls()
    )


@pytest.fixture
def rolled(stack: Stack) -> Iterator[str]:
    """Stripe signs with a new secret alone; the bundle's secret holds both. Afterwards Stripe signs as before."""
    before, new = secret(stack), f"whsec_{uuid4().hex}"
    stack.stripe.control.wait_until_delivered(20)
    stack.stripe.control.roll_secret(new, overlap_seconds=0)
    stack.aws.put_secret(SECRETS_ID, {**before, "STRIPE_WEBHOOK_SECRET": f"{new},{stack.webhook_secret}"})
    yield new
    # The secret keeps both: a process that has read it knows both, any other the old one.
    stack.stripe.set_webhook(f"{stack.api_url}/api/stripe/webhook")


def test_a_delivery_signed_with_a_rotated_secret_is_taken_without_a_wait_of_minutes(
    stack: Stack, rolled: str
) -> None:
    ada = sign_up(stack, "Ada Rotates")
    invoice = checked_out(ada, sliced(ada, "cube.stl", cube_stl(12)))
    page = httpx.get(invoice["payUrl"], timeout=35).headers["location"]
    assert pay(page).status_code == 303
    began = time.monotonic()
    stack.stripe.control.wait_until_delivered(30)
    assert ada.data("GET", f"invoices/{invoice['id']}")["status"] == "PAID"
    # At once, or ten seconds after the process read the secret, at Stripe's next try.
    assert time.monotonic() - began < 30


def test_forged_deliveries_do_not_make_the_function_ask_for_its_secret_each_time(stack: Stack) -> None:
    forged = {"stripe-signature": f"t={int(time.time())},v1={'0' * 64}"}
    asked = questions(stack)
    with httpx.Client() as http:
        for _ in range(100):
            answer = http.post(
                f"{stack.api_url}/api/stripe/webhook", content=b"{}", headers=forged, timeout=35
            )
            assert answer.status_code == 400
            assert answer.json()["error"]["code"] == "WEBHOOK_SIGNATURE_INVALID"
    # Two processes may start or be due in this while; a hundred questions would be one for each delivery.
    assert questions(stack) - asked <= 4


PROGRAM = """
import sys, time
from printshop.kernel.errors import Unavailable
from printshop.config.settings_provider import CAUSED_SECONDS
from printshop.services import get_services

get_services()
print("started", flush=True)
sys.stdin.readline()
time.sleep(CAUSED_SECONDS)
try:
    get_services().stripe.check_key()
except Unavailable as refusal:
    print("first", refusal.code)
print("second", get_services().stripe.check_key())
"""


@pytest.mark.full
def test_a_stripe_key_that_was_refused_is_replaced_before_the_next_try(stack: Stack) -> None:
    name, right = f"printshop/{uuid4()}", secret(stack)
    stack.aws.put_secret(name, {**right, "STRIPE_SECRET_KEY": "sk_test_rolled_away"})
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "layers" / "common"),
            "NEXT_PUBLIC_SUPABASE_URL": stack.supabase.url,
            "NEXT_PUBLIC_SUPABASE_ANON_KEY": stack.supabase.publishable_key,
            "STRIPE_API_BASE": stack.stripe.url,
            "SECRETS_ID": name,
            "AWS_ENDPOINT_URL": stack.aws.endpoint_url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "LOG_LEVEL": "ERROR",
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        stack.aws.put_secret(name, right)
        said, _ = process.communicate("on\n", timeout=60)
    assert said.splitlines() == ["first STRIPE_UNAVAILABLE", "second False"]
