from collections.abc import Iterator
from typing import Any

import pytest
import stripe

from devstack import Stack
from tests.conftest import Client, sign_up
from tests.integration.payments.stripe_side import StripeSide
from tests.support.invoices import written


@pytest.fixture(scope="module")
def ada(stack: Stack) -> Client:
    return sign_up(stack, "Ada Payer")


@pytest.fixture
def invoice(shop: Client, ada: Client) -> dict[str, Any]:
    """Of ada's, A$110.00."""
    return written(shop, ada.user["clientId"])


@pytest.fixture(scope="session")
def _account(stack: Stack) -> Iterator[StripeSide]:
    http = stripe.RequestsClient(timeout=10)
    client = stripe.StripeClient(
        stack.stripe_key, base_addresses={"api": stack.stripe.url}, http_client=http, max_network_retries=0
    )
    yield StripeSide(stack, client)
    http.close()  # type: ignore[no-untyped-call]


@pytest.fixture
def account(_account: StripeSide) -> Iterator[StripeSide]:
    """Stripe's side, with every switch off before the test and after it."""
    _account.calm()
    yield _account
    _account.calm()
    _account.delivered()
