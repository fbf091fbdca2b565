import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import stripe

from devstack.testing.stripe_shop import WEBHOOK_SECRET, Shop, order
from devstack.testing.webhooks import receiving

ROOT = Path(__file__).parents[3]


def test_a_killed_stand_in_comes_back_with_everything_it_has_answered(fresh_shop: Shop) -> None:
    control = fresh_shop.stand_in.control
    session = fresh_shop.open_session()
    made = fresh_shop.client.v1.checkout.sessions.create(order(), {"idempotency_key": "kept"})
    charge = fresh_shop.paid_charge()
    control.set_delivery(copies=2)
    control.fail_next("rate_limited", path="/v1/account")
    control.advance_clock(1000)
    events = [event.id for event in fresh_shop.client.v1.events.list({"limit": 100}).data]

    fresh_shop.stand_in.kill()
    fresh_shop.stand_in.start()

    client = fresh_shop.client.v1
    assert client.checkout.sessions.retrieve(session.id).url == session.url
    assert client.checkout.sessions.create(order(), {"idempotency_key": "kept"}).id == made.id
    assert client.charges.retrieve(charge.id).to_dict() == charge.to_dict()
    assert [event.id for event in client.events.list({"limit": 100}).data] == events
    try:
        client.accounts.retrieve_current()
    except stripe.RateLimitError as limited:
        assert limited.http_status == 429
    else:
        raise AssertionError("the fault that was ordered before the kill was forgotten")
    assert fresh_shop.open_session().created > session.created + 900


def test_webhooks_that_wait_when_it_is_killed_are_delivered_after_the_restart(fresh_shop: Shop) -> None:
    with receiving() as receiver:
        receiver.answer = lambda _: 500
        fresh_shop.stand_in.set_webhook(receiver.url)
        session = fresh_shop.paid_session()
        receiver.wait_for(4)
        fresh_shop.stand_in.kill()
        receiver.received.clear()
        receiver.answer = lambda _: 200

        fresh_shop.stand_in.start()

        received = receiver.wait_for(4)
        assert session.id in {one.event(WEBHOOK_SECRET).data.object["id"] for one in received}


def test_the_stand_in_ends_with_the_program_that_started_it(tmp_path: Path) -> None:
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from devstack.stripe import StripeStandIn\n"
        "keys = {'secret_key': 'sk_test_1', 'webhook_secret': 'whsec_1'}\n"
        "stripe = StripeStandIn(Path(sys.argv[1]), webhook_url=None, **keys)\n"
        "stripe.start()\n"
        "print(stripe.url, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
    ) as parent:
        assert parent.stdout is not None
        url = parent.stdout.readline().strip()
        assert httpx.get(f"{url}/_control/health", trust_env=False).json()["ok"]

        parent.kill()

    deadline = time.monotonic() + 5
    while _answers(url):
        assert time.monotonic() < deadline, "the stand-in outlived its parent"
        time.sleep(0.05)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/_control/health", trust_env=False, timeout=1).is_success
    except httpx.TransportError:
        return False
