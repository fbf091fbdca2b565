"""The product against Stripe's stand-in, on the wire: one shop for all tests, its webhooks on request."""

from collections.abc import Iterator

import pytest

from devstack.testing.stripe_shop import Shop, open_shop
from devstack.testing.webhooks import Receiver, receiving


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with open_shop(tmp_path_factory.mktemp("stripe")) as opened:
        yield opened


@pytest.fixture
def webhook(shop: Shop) -> Iterator[Receiver]:
    """The shop's webhook endpoint, which gets every event from now on."""
    with receiving() as receiver:
        shop.stand_in.set_webhook(receiver.url)
        yield receiver
        shop.stand_in.control.set_webhook(None)
