from collections.abc import Iterator
from pathlib import Path

import pytest

from devstack.testing.stripe_shop import Shop, open_shop
from devstack.testing.webhooks import Receiver, receiving


@pytest.fixture(scope="session")
def _shared_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with open_shop(tmp_path_factory.mktemp("stripe")) as shop:
        yield shop


@pytest.fixture
def shop(_shared_shop: Shop) -> Iterator[Shop]:
    """The shared shop, with normal delivery, no faults and no webhook."""
    control = _shared_shop.stand_in.control
    control.set_webhook(None)
    control.set_delivery()
    control.clear_faults()
    yield _shared_shop
    control.set_webhook(None)


@pytest.fixture
def fresh_shop(tmp_path: Path) -> Iterator[Shop]:
    """A shop with its own stand-in, which the test may kill or whose clock it may move."""
    with open_shop(tmp_path / "stripe") as shop:
        yield shop


@pytest.fixture
def webhook(shop: Shop) -> Iterator[Receiver]:
    """The shared shop's webhook endpoint, which gets every event from now on."""
    with receiving() as receiver:
        shop.stand_in.set_webhook(receiver.url)
        yield receiver
        shop.stand_in.control.set_webhook(None)
