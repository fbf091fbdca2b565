"""What stays the shop's own when clients read their invoices, quotes and files; and text that no UTF-8 holds."""

import base64
import json
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import Client
from tests.support.models import cube_stl
from tests.support.orders import sliced

LINE = {"description": "Design", "unitPriceCents": 9000}


def keyed() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid4())}


@pytest.fixture(scope="module")
def printed(shop: Client) -> dict[str, Any]:
    """A print line of the shop's own slice."""
    status = sliced(shop, "bracket.stl", cube_stl(6))
    return {"print": {"fileId": status["id"], "settingsHash": status["settingsHash"]}}


def test_the_activity_of_an_invoice_tells_its_client_nothing_of_the_workshop(
    shop: Client, customer: Client
) -> None:
    invoice = shop.data("POST", "invoices", {"clientId": customer.user["clientId"], "items": [LINE]})
    path = f"invoices/{invoice['id']}"
    paid = shop.data("POST", f"{path}/mark-paid", {"method": "CASH"}, headers=keyed())
    shop.data("PATCH", f"jobs/{paid['job']['id']}", {"title": "slow payer"})
    shop.data("POST", f"{path}/mark-unpaid")
    told = customer.data("GET", f"{path}/activity")
    assert [each["action"] for each in told] == [
        "INVOICE_UNPAID",
        "PAYMENT_DELETED",
        "INVOICE_PAID",
        "PAYMENT_RECORDED",
        "INVOICE_CREATED",
    ]
    assert "slow payer" not in json.dumps(told)
    assert {"JOB_CHANGED", "JOB_HELD"} <= {each["action"] for each in shop.data("GET", f"{path}/activity")}


def test_the_files_of_a_draft_are_seen_when_it_is_sent(
    shop: Client, customer: Client, printed: dict[str, Any]
) -> None:
    client = customer.user["clientId"]
    quote = shop.data("POST", "quotes", {"clientId": client, "items": [printed]})
    (file, *_) = shop.data("GET", f"quotes/{quote['id']}/files")
    assert customer.get(f"order-files/{file['id']}").status_code == 404
    assert customer.data("GET", f"clients/{client}/order-files") == []
    shop.data("POST", f"quotes/{quote['id']}/send", {}, headers=keyed())
    assert customer.get(f"order-files/{file['id']}").status_code == 200
    assert customer.data("GET", f"clients/{client}/order-files") != []


def test_a_line_tells_its_client_what_is_printed_and_not_what_it_costs_the_shop(
    shop: Client, customer: Client, nobody: Client, printed: dict[str, Any]
) -> None:
    quote = shop.data("POST", "quotes", {"clientId": customer.user["clientId"], "items": [printed]})
    assert quote["items"][0]["details"]["costPerKgCents"] == 3500
    sent = shop.data("POST", f"quotes/{quote['id']}/send", {}, headers=keyed())
    token = sent["publicUrl"].rpartition("/")[2]
    invoice = shop.data("POST", f"quotes/{quote['id']}/convert")
    read = [
        customer.data("GET", f"quotes/{quote['id']}"),
        nobody.data("GET", f"public/quotes/{token}"),
        customer.data("GET", f"invoices/{invoice['id']}"),
    ]
    for document in read:
        details = document["items"][0]["details"]
        assert details["material"] == "PLA"
        assert details["grams"] > 0
        assert not {"costPerKgCents", "contentHash", "settingsHash", "fileId"} & details.keys()


def test_a_review_keeps_what_its_client_asked_for_when_the_shop_prices_it(
    shop: Client, customer: Client
) -> None:
    status = sliced(customer, "part.stl", cube_stl(7))
    item = {"fileId": status["id"], "settingsHash": status["settingsHash"], "quantity": 3, "fastTrack": True}
    address = {"state": "TAS", "postcode": "7000"}
    body = {"items": [item], "shipping": address, "review": True}
    review = customer.data("POST", "quick-order/checkout", body, headers=keyed())
    line = {"description": review["items"][0]["description"], "unitPriceCents": 12_000}
    client = customer.user["clientId"]
    shop.data("PUT", f"quotes/{review['id']}", {"clientId": client, "items": [line]})
    priced = shop.data("GET", f"quotes/{review['id']}")
    assert priced["snapshot"]["shipping"] == address
    assert (priced["items"][0]["details"]["pieces"], priced["items"][0]["details"]["fastTrack"]) == (3, True)


@pytest.mark.parametrize("place", [["\ud800", 1], ["2026-01-01\ud80000:00:00+00:00", 1]])
def test_a_cursor_of_half_a_character_is_refused(shop: Client, place: list[Any]) -> None:
    cursor = base64.urlsafe_b64encode(json.dumps(place).encode()).decode()
    for path in (
        "clients?sort=name",
        "printers?sort=name",
        "invoices?sort=createdAt",
        "quotes?sort=createdAt",
    ):
        response = shop.get(f"{path}&cursor={cursor}")
        assert (response.status_code, response.json()["error"]["code"]) == (400, "CURSOR_INVALID")


def test_a_slice_named_by_half_a_character_is_refused(shop: Client, customer: Client) -> None:
    printed = {"fileId": 1, "settingsHash": "\ud800"}
    body = json.dumps({"clientId": customer.user["clientId"], "items": [{"print": printed}]})
    response = shop.request("POST", "quotes", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 422


def test_a_payment_in_no_time_zone_is_refused(shop: Client, customer: Client) -> None:
    invoice = shop.data("POST", "invoices", {"clientId": customer.user["clientId"], "items": [LINE]})
    body = {"amountCents": 1, "method": "CASH", "paidAt": "2026-10-01T18:35:38-22:52"}
    response = shop.post(f"invoices/{invoice['id']}/payments", body, headers=keyed())
    assert (response.status_code, response.json()["error"]["code"]) == (422, "VALUE_REFUSED")
