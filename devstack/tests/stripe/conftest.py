from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import stripe

from devstack.stripe import StripeStandIn
from devstack.tests.stripe.receiver import Receiver, receiving
from devstack.tests.stripe.shop import RETRY_SECONDS, SECRET_KEY, WEBHOOK_SECRET, Shop


@contextmanager
def open_shop(run_dir: Path) -> Iterator[Shop]:
    stand_in = StripeStandIn(
        run_dir,
        webhook_url=None,
        secret_key=SECRET_KEY,
        webhook_secret=WEBHOOK_SECRET,
        retry_seconds=RETRY_SECONDS,
    )
    stand_in.start()
    http = stripe.RequestsClient(timeout=5)
    client = stripe.StripeClient(
        SECRET_KEY, base_addresses={"api": stand_in.url}, http_client=http, max_network_retries=0
    )
    try:
        yield Shop(stand_in, client)
    finally:
        http.close()  # type: ignore[no-untyped-call]
        stand_in.stop()


@pytest.fixture(scope="session")
def _shared_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with open_shop(tmp_path_factory.mktemp("stripe")) as shop:
        yield shop


@pytest.fixture
def shop(_shared_shop: Shop) -> Iterator[Shop]:
    """A shop whose stand-in other tests have used, with every switch off and no webhook."""
    control = _shared_shop.stand_in.control
    control.set_webhook(None)
    control.set_mail()
    control.clear_faults()
    yield _shared_shop
    control.set_webhook(None)


@pytest.fixture
def fresh_shop(tmp_path: Path) -> Iterator[Shop]:
    """A shop with a stand-in of its own, to be killed or sent into the future."""
    with open_shop(tmp_path / "stripe") as shop:
        yield shop


@pytest.fixture
def webhook(shop: Shop) -> Iterator[Receiver]:
    """The shared shop's webhook endpoint, which gets every event from now on."""
    with receiving() as receiver:
        shop.stand_in.set_webhook(receiver.url)
        yield receiver
        shop.stand_in.control.set_webhook(None)
