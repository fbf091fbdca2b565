"""The shop's cards of its clients, through the gateway."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from devstack import Stack
from tests.conftest import Client, sign_up
from tests.integration.api.refusals import refused
from tests.integration.schema.shop import Customer, Shop, checkout

ADA = {
    "name": "Ada Lovelace",
    "company": "Analytical Engines Pty Ltd",
    "email": "ada@example.com",
    "phone": "+61 2 5550 1234",
    "abn": "51 824 753 556",
    "address": {
        "line1": "1 George Street",
        "line2": "",
        "suburb": "Sydney",
        "state": "NSW",
        "postcode": "2000",
        "country": "AU",
    },
    "paymentTerm": "NET14",
}
STL = {
    "storageKey": "",
    "fileType": "model",
    "filename": "bunny.stl",
    "mimeType": "model/stl",
    "sizeBytes": 684,
    "metadata": {},
}


@pytest.fixture(scope="module")
def office(stack: Stack) -> Iterator[Shop]:
    """The database's functions, for what other routes would make."""
    with Shop(stack.postgres.url) as opened:
        yield opened


@pytest.fixture(scope="module")
def regular(stack: Stack) -> Client:
    """A client whom the tests of this module share."""
    return sign_up(stack, "Regular")


def as_customer(client: Client) -> Customer:
    return Customer(client.user["id"], client.user["clientId"])


def actions(database: psycopg.Connection, client_id: int) -> list[tuple[str, Any]]:
    rows = database.execute(
        "select action, metadata from activity_logs where client_id = %s order by id", (client_id,)
    )
    return [(row[0], row[1]) for row in rows]


def test_a_new_client_reads_as_it_was_written(shop: Client) -> None:
    made = shop.data("POST", "clients", ADA)
    assert made["abn"] == "51824753556"
    assert made | {"abn": ADA["abn"]} == made | ADA
    assert (made["totals"], made["notes"], made["users"]) == ([], [], [])
    assert [entry["action"] for entry in made["activity"]] == ["CLIENT_CREATED"]
    assert shop.data("GET", f"clients/{made['id']}") == made


def test_a_put_replaces_the_whole_card_and_says_what_changed(
    shop: Client, database: psycopg.Connection
) -> None:
    made = shop.data("POST", "clients", ADA)
    changed = shop.data("PUT", f"clients/{made['id']}", {"name": "Ada King"})
    assert (changed["name"], changed["company"], changed["address"]) == ("Ada King", "", None)
    assert (changed["abn"], changed["paymentTerm"]) == (None, None)
    action, metadata = actions(database, made["id"])[-1]
    assert action == "CLIENT_CHANGED"
    assert metadata["userId"] == shop.data("GET", "auth/me")["id"]
    assert {"name", "company", "abn", "postcode", "payment_term"} <= set(metadata["changed"])


def test_an_address_of_a_state_alone_is_kept(shop: Client) -> None:
    made = shop.data("POST", "clients", {"name": "Ada", "address": {"state": "TAS"}})
    assert made["address"]["state"] == "TAS"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "   "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"email": "ada"}, "email"),
        ({"phone": "1" * 51}, "phone"),
        ({"abn": "51 824 753 557"}, "abn"),
        ({"abn": "123"}, "abn"),
        ({"address": {"country": "Australia"}}, "address.country"),
        ({"address": {"planet": "Mars"}}, "address.planet"),
        ({"paymentTerm": "NEVER"}, "paymentTerm"),
        ({"notes": "no field of a card"}, "notes"),
        ({"id": 1}, "id"),
    ],
)
def test_a_bad_field_is_named_and_nothing_is_made(shop: Client, change: dict[str, Any], field: str) -> None:
    word = uuid4().hex
    response = shop.post("clients", {"name": word, "company": word, **change})
    assert response.status_code == 422, response.text
    assert field in [fault["field"] for fault in response.json()["error"]["details"]]
    assert shop.data("GET", f"clients?q={word}") == []


def test_a_term_that_the_settings_lack_is_refused_on_a_change_too(shop: Client) -> None:
    made = shop.data("POST", "clients", ADA)
    response = shop.request("PUT", f"clients/{made['id']}", json={**ADA, "paymentTerm": "LATER"})
    refused(response, 422, "UNKNOWN_PAYMENT_TERM")
    assert shop.data("GET", f"clients/{made['id']}")["paymentTerm"] == "NET14"


def test_a_card_and_its_rows_carry_the_same_totals(shop: Client, office: Shop, regular: Client) -> None:
    office.invoice(as_customer(regular))
    card = shop.data("GET", f"clients/{regular.user['clientId']}")
    assert card["totals"] == [
        {
            "currency": "AUD",
            "openInvoices": 1,
            "outstandingCents": 12_375,
            "billedCents": 12_375,
            "paidCents": 0,
            "creditCents": 0,
        }
    ]
    rows = shop.data("GET", "clients", params={"q": regular.email})
    assert [(row["id"], row["totals"]) for row in rows] == [(card["id"], card["totals"])]
    assert [user["email"] for user in card["users"]] == [regular.email]


@pytest.mark.parametrize("text", ["a,b", "a)b", "a%b", "a*b", 'a"b', "a_b", "a\\b", "a'b", "A:b", "ä b"])
def test_search_finds_its_text_literally(shop: Client, text: str) -> None:
    word = uuid4().hex
    shop.data("POST", "clients", {"name": f"{word} axb"})
    wanted = shop.data("POST", "clients", {"name": word, "company": f"{text} Ltd"})
    found = shop.data("GET", "clients", params={"q": f"{word.upper()} {text}"})
    assert [row["id"] for row in found] == [wanted["id"]]


@pytest.mark.parametrize("sort", ["-createdAt", "createdAt", "name"])
def test_every_order_is_walked_by_its_cursor(shop: Client, sort: str) -> None:
    word = uuid4().hex
    # The longest name there can be still fits into a cursor.
    names = [f"{letter} {word}" for letter in "bac"] + ["😀" * (199 - len(word)) + f" {word}"]
    ids = [shop.data("POST", "clients", {"name": name})["id"] for name in names]
    seen, cursor = [], None
    for _ in names:
        params = {"q": word, "sort": sort, "limit": 1} | ({"cursor": cursor} if cursor else {})
        page = shop.get("clients", params=params).json()
        seen += [row["id"] for row in page["data"]]
        cursor = page["nextCursor"]
    assert cursor is None
    expected = {"-createdAt": ids[::-1], "createdAt": ids, "name": [ids[1], ids[0], ids[2], ids[3]]}
    assert seen == expected[sort]


def test_an_order_or_cursor_that_is_none_is_refused(shop: Client) -> None:
    assert shop.get("clients", params={"sort": "email"}).status_code == 422
    assert shop.get("clients", params={"limit": 201}).status_code == 422
    refused(shop.get("clients", params={"cursor": "made up"}), 400, "CURSOR_INVALID")
    page = shop.get("clients", params={"sort": "name", "limit": 1}).json()
    refused(shop.get("clients", params={"cursor": page["nextCursor"]}), 400, "CURSOR_INVALID")


def test_a_note_is_dated_signed_and_the_shops_alone(
    shop: Client, regular: Client, database: psycopg.Connection
) -> None:
    client_id, secret = regular.user["clientId"], f"secret {uuid4().hex}"
    first = shop.data("POST", f"clients/{client_id}/notes", {"body": "Called twice."})
    second = shop.data("POST", f"clients/{client_id}/notes", {"body": secret})
    assert (second["body"], second["author"]) == (secret, shop.email)
    notes = shop.data("GET", f"clients/{client_id}")["notes"]
    assert [note["id"] for note in notes[:2]] == [second["id"], first["id"]]
    assert actions(database, client_id)[-1][0] == "CLIENT_NOTE_ADDED"
    for path in ("auth/me", "client/dashboard", "client/invoices", "client/jobs", "client/preferences"):
        assert secret not in regular.get(path).text
    for path in (f"clients/{client_id}", "clients"):
        refused(regular.get(path), 403, "ADMIN_ONLY")


@pytest.mark.parametrize("body", ["", "  ", "x" * 2001])
def test_a_note_has_1_to_2000_characters(shop: Client, regular: Client, body: str) -> None:
    response = shop.post(f"clients/{regular.user['clientId']}/notes", {"body": body})
    refused(response, 422, "INVALID_REQUEST")


def test_a_client_that_nothing_belongs_to_is_deleted(shop: Client) -> None:
    made = shop.data("POST", "clients", ADA)
    assert shop.request("DELETE", f"clients/{made['id']}").status_code == 204
    refused(shop.get(f"clients/{made['id']}"), 404, "CLIENT_NOT_FOUND")
    refused(shop.request("DELETE", f"clients/{made['id']}"), 404, "CLIENT_NOT_FOUND")


def test_a_client_in_use_stays_and_the_answer_says_by_what(
    shop: Client, office: Shop, customer: Client
) -> None:
    path = f"clients/{customer.user['clientId']}"
    error = refused(shop.request("DELETE", path), 409, "CLIENT_IN_USE")
    assert error["details"] == {"users": 1}
    assert "admin/users" in error["message"]
    office.invoice(as_customer(customer))
    error = refused(shop.request("DELETE", path), 409, "CLIENT_IN_USE")
    assert error["details"] == {"invoices": 1, "users": 1}
    assert shop.get(path).status_code == 200


def test_order_files_are_the_owners_and_the_shops(
    shop: Client, office: Shop, customer: Client, other_customer: Client
) -> None:
    files = [{**STL, "storageKey": f"test/{uuid4()}", "filename": f"{n}.stl"} for n in range(3)]
    for file in files:
        office.call("checkout_quick_order", **checkout(as_customer(customer), p_files=[file]))
    path = f"clients/{customer.user['clientId']}/order-files"
    names, cursor = [], None
    for _ in range(2):
        page = customer.get(path, params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        names += [file["filename"] for file in page["data"]]
        cursor = page["nextCursor"]
    assert (names, cursor) == (["2.stl", "1.stl", "0.stl"], None)
    assert [file["filename"] for file in shop.data("GET", path)] == names
    refused(other_customer.get(path), 404, "CLIENT_NOT_FOUND")
    refused(shop.get(f"clients/{2**53}/order-files"), 404, "CLIENT_NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "clients"),
        ("POST", "clients"),
        ("GET", "clients/{own}"),
        ("PUT", "clients/{own}"),
        ("DELETE", "clients/{own}"),
        ("POST", "clients/{own}/notes"),
        ("GET", "admin/users"),
        ("POST", "admin/users"),
        ("DELETE", "admin/users/{user}"),
    ],
)
def test_a_client_and_nobody_are_kept_from_the_shops_routes(
    regular: Client, nobody: Client, method: str, path: str
) -> None:
    target = path.format(own=regular.user["clientId"], user=regular.user["id"])
    body = {"json": {"name": "Mine"}} if method in {"POST", "PUT"} else {}
    refused(regular.request(method, target, **body), 403, "ADMIN_ONLY")
    refused(nobody.request(method, target, **body), 401, "NO_TOKEN")
