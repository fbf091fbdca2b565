"""The live payment page of an invoice: whatever changes what is owed takes it out of use."""

from typing import Any

import httpx
import pytest

from devstack import Stack
from devstack.stripe import pay
from tests.conftest import Client, sign_up
from tests.integration.payments.stripe_side import striking
from tests.support.invoices import book, invoice_request, keyed, written


@pytest.fixture(scope="module")
def ada(stack: Stack) -> Client:
    return sign_up(stack, "Ada Owner")


@pytest.fixture
def invoice(shop: Client, ada: Client) -> dict[str, Any]:
    """Of ada's, A$110.00."""
    return written(shop, ada.user["clientId"])


def ended(shop: Client, invoice: dict[str, Any], action: str) -> dict[str, Any]:
    after: dict[str, Any] = shop.data("POST", f"invoices/{invoice['id']}/{action}", headers=keyed())
    return after


@pytest.mark.parametrize("change", ["edit", "void", "write-off", "mark-paid", "part payment", "delete"])
def test_a_change_expires_the_open_payment_page(
    shop: Client, ada: Client, invoice: dict[str, Any], change: str
) -> None:
    page = ada.data("POST", f"invoices/{invoice['id']}/stripe-session")
    match change:
        case "edit":
            assert shop.data("PUT", f"invoices/{invoice['id']}", invoice_request(invoice["clientId"], 9000))
        case "part payment":
            book(shop, invoice, 100)
        case "delete":
            assert shop.request("DELETE", f"invoices/{invoice['id']}").status_code == 204
        case _:
            ended(shop, invoice, change)
    assert pay(page["url"]).status_code != 303
    if change in {"edit", "part payment"}:
        assert ada.data("POST", f"invoices/{invoice['id']}/stripe-session")["sessionId"] != page["sessionId"]


def test_an_invoice_that_is_owed_again_gets_a_page_of_its_own(
    shop: Client, ada: Client, invoice: dict[str, Any]
) -> None:
    first = ada.data("POST", f"invoices/{invoice['id']}/stripe-session")
    ended(shop, invoice, "mark-paid")
    ended(shop, invoice, "mark-unpaid")
    second = ada.data("POST", f"invoices/{invoice['id']}/stripe-session")
    assert second["sessionId"] != first["sessionId"]
    assert httpx.get(second["url"]).status_code == 200


def test_a_silent_stripe_fails_no_change(
    stack: Stack, shop: Client, ada: Client, invoice: dict[str, Any]
) -> None:
    ada.data("POST", f"invoices/{invoice['id']}/stripe-session")
    stack.stripe.control.fail_next("server_error", times=10)
    try:
        with striking(stack, "fault.server_error"):
            assert ended(shop, invoice, "void")["status"] == "VOID"
    finally:
        stack.stripe.control.clear_faults()
