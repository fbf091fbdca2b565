"""Messages through the gateway: whose thread, who reads, who is reached."""

from typing import Any

import httpx
import psycopg
import pytest

from devstack import Stack
from tests.conftest import Client, sign_up


def invoice_of(database: psycopg.Connection, client_id: int) -> int:
    """An invoice of one line, past the API."""
    with database.transaction():
        row = database.execute(
            "insert into invoices (number, client_id, issue_date, due_date, currency, subtotal_cents, tax_rate_bps,"
            " tax_cents, total_cents) values ('M-' || gen_random_uuid(), %s, current_date, current_date, 'AUD', 100,"
            " 1000, 10, 110) returning id",
            (client_id,),
        ).fetchone()
        assert row is not None
        database.execute(
            "insert into invoice_items (invoice_id, position, description, quantity_milli, unit_price_cents,"
            " total_cents) values (%s, 1, 'Print', 1000, 100, 100)",
            (row[0],),
        )
    return int(row[0])


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def pages(client: Client, path: str, limit: int) -> list[dict[str, Any]]:
    """Every row, page by page."""
    seen: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        query = {"limit": limit} | ({"cursor": cursor} if cursor else {})
        page = client.get(path, params=query).json()
        seen += page["data"]
        cursor = page["nextCursor"]
        if cursor is None:
            return seen


def test_a_client_and_the_shop_write_to_each_other(customer: Client, shop: Client) -> None:
    asked = customer.data("POST", "messages", {"body": " Is it ready? "})
    assert asked["body"] == "Is it ready?"
    assert asked["sender"] == {"id": customer.user["id"], "role": "CLIENT", "name": "Test Customer"}
    answered = shop.data("POST", "messages", {"body": "Tomorrow.", "userId": customer.user["id"]})
    assert answered["sender"]["role"] == "ADMIN"
    assert answered["sender"]["name"] == "3D Print Bureau"
    thread = customer.get("messages").json()
    assert [message["id"] for message in thread["data"]] == [answered["id"], asked["id"]]
    assert thread["nextCursor"] is None
    assert shop.data("GET", f"admin/users/{customer.user['id']}/messages")[0]["id"] == answered["id"]


def test_reading_marks_what_the_other_side_wrote_and_shows_it_as_new_once(
    customer: Client, shop: Client
) -> None:
    customer.data("POST", "messages", {"body": "One"})
    thread = f"admin/users/{customer.user['id']}/messages"
    shop.data("POST", thread, {"body": "Two"})
    assert [message["readAt"] for message in customer.data("GET", "messages")] == [None, None]
    two, one = customer.data("GET", "messages")
    assert two["readAt"] is not None
    assert one["readAt"] is None, "their own message waits for the shop"
    assert shop.data("GET", thread)[1]["readAt"] is None
    assert shop.data("GET", thread)[1]["readAt"] is not None


def test_only_what_stood_on_the_page_is_read(customer: Client, shop: Client) -> None:
    thread = f"admin/users/{customer.user['id']}/messages"
    for number in range(3):
        customer.data("POST", "messages", {"body": f"Message {number}"})
    shop.get(thread, params={"limit": 1})
    row = next(t for t in shop.data("GET", "messages") if t["userId"] == customer.user["id"])
    assert row["unread"] == 2
    assert row["latest"]["body"] == "Message 2"


def test_the_shop_lists_one_row_a_thread_the_latest_first(stack: Stack, shop: Client) -> None:
    first, second = sign_up(stack, "First"), sign_up(stack, "Second")
    first.data("POST", "messages", {"body": "a"})
    second.data("POST", "messages", {"body": "b"})
    first.data("POST", "messages", {"body": "c"})
    rows = shop.data("GET", "messages")
    assert [(row["userId"], row["unread"], row["latest"]["body"]) for row in rows[:2]] == [
        (first.user["id"], 2, "c"),
        (second.user["id"], 1, "b"),
    ]
    assert rows[0]["clientName"] == "First"
    walked = [row["userId"] for row in pages(shop, "messages", 1)]
    assert walked[:2] == [first.user["id"], second.user["id"]]
    assert len(walked) == len(set(walked))


def test_a_thread_is_walked_without_gap_or_double_while_it_grows(customer: Client, shop: Client) -> None:
    thread = f"admin/users/{customer.user['id']}/messages"
    written = [shop.data("POST", thread, {"body": str(number)})["id"] for number in range(7)]
    page = customer.get("messages", params={"limit": 3}).json()
    seen = [message["id"] for message in page["data"]]
    customer.data("POST", "messages", {"body": "in between"})
    while page["nextCursor"]:
        page = customer.get("messages", params={"limit": 3, "cursor": page["nextCursor"]}).json()
        seen += [message["id"] for message in page["data"]]
    assert seen == written[::-1]
    assert code(customer.get("messages", params={"cursor": "e30"})) == (400, "CURSOR_INVALID")


def test_a_message_about_an_invoice_stands_with_the_invoice(
    customer: Client, shop: Client, other_customer: Client, database: psycopg.Connection
) -> None:
    invoice = invoice_of(database, customer.user["clientId"])
    asked = customer.data("POST", f"invoices/{invoice}/messages", {"body": "A question"})
    customer.data("POST", "messages", {"body": "Of something else"})
    about = customer.data("POST", "messages", {"body": "Another", "invoiceId": invoice})
    answered = shop.data("POST", f"invoices/{invoice}/messages", {"body": "An answer"})
    assert answered["userId"] == customer.user["id"]
    for reader in (customer, shop):
        rows = reader.data("GET", f"invoices/{invoice}/messages")
        assert [row["id"] for row in rows] == [answered["id"], about["id"], asked["id"]]
    assert {row["invoiceId"] for row in rows} == {invoice}
    assert rows[0]["invoiceNumber"].startswith("M-")
    for response in (
        other_customer.get(f"invoices/{invoice}/messages"),
        other_customer.post(f"invoices/{invoice}/messages", {"body": "x"}),
        other_customer.post("messages", {"body": "x", "invoiceId": invoice}),
        shop.get("invoices/999999999/messages"),
        shop.post("invoices/999999999/messages", {"body": "x"}),
        shop.post("messages", {"body": "x", "userId": customer.user["id"], "invoiceId": 999999999}),
    ):
        assert code(response) == (404, "INVOICE_NOT_FOUND")
    wrong = {"body": "x", "userId": other_customer.user["id"], "invoiceId": invoice}
    assert code(shop.post("messages", wrong)) == (422, "INVOICE_OF_ANOTHER_CLIENT")
    logged = database.execute(
        "select action, metadata from activity_logs where invoice_id = %s order by id", (invoice,)
    ).fetchall()
    assert [action for action, _ in logged] == ["MESSAGE_WRITTEN"] * 3
    assert logged[0][1]["userId"] == customer.user["id"]


def test_about_an_invoice_the_shop_reaches_the_login_who_last_wrote_or_the_first(
    stack: Stack, shop: Client, database: psycopg.Connection
) -> None:
    first, colleague = sign_up(stack, "First"), sign_up(stack, "Colleague")
    database.execute(
        "update users set client_id = %s where id = %s", (first.user["clientId"], colleague.user["id"])
    )
    invoice = invoice_of(database, first.user["clientId"])
    path = f"invoices/{invoice}/messages"
    assert shop.data("POST", path, {"body": "To the first"})["userId"] == first.user["id"]
    colleague.data("POST", "messages", {"body": "I take over"})
    assert shop.data("POST", path, {"body": "To the one who wrote"})["userId"] == colleague.user["id"]
    # Each login sees its own thread.
    assert len(shop.data("GET", path)) == 2
    assert [row["body"] for row in first.data("GET", path)] == ["To the first"]


def test_a_client_without_a_login_is_not_reached(shop: Client, database: psycopg.Connection) -> None:
    row = database.execute("insert into clients (name) values ('By phone') returning id").fetchone()
    assert row is not None
    invoice = invoice_of(database, row[0])
    assert code(shop.post(f"invoices/{invoice}/messages", {"body": "x"})) == (409, "NO_LOGIN")


def test_a_thread_is_its_users_and_the_shops(
    nobody: Client, customer: Client, other_customer: Client, shop: Client
) -> None:
    thread = f"admin/users/{customer.user['id']}/messages"
    assert code(nobody.get("messages"))[0] == code(nobody.post("messages", {"body": "x"}))[0] == 401
    assert code(customer.get(thread)) == code(customer.post(thread, {"body": "x"})) == (403, "ADMIN_ONLY")
    stranger = {"body": "x", "userId": customer.user["id"]}
    assert code(other_customer.post("messages", stranger)) == (404, "USER_NOT_FOUND")
    assert customer.data("GET", "messages") == []
    assert code(shop.get("admin/users/999999999/messages")) == (404, "USER_NOT_FOUND")
    assert code(shop.post("admin/users/999999999/messages", {"body": "x"})) == (404, "USER_NOT_FOUND")
    me = shop.data("GET", "auth/me")
    admin = me.get("user", me)["id"]
    assert code(shop.post(f"admin/users/{admin}/messages", {"body": "x"})) == (404, "USER_NOT_FOUND")
    assert code(shop.post("messages", {"body": "to whom?"})) == (422, "USER_MISSING")


@pytest.mark.parametrize(
    "body", [{}, {"body": ""}, {"body": "  "}, {"body": "x" * 5001}, {"body": 1}, {"body": "a\0b"},
             {"body": "x", "invoiceId": 0}, {"body": "x", "invoiceId": 2**53 + 1}, {"body": "x", "other": 1}]
)  # fmt: skip
def test_a_message_has_1_to_5000_characters_and_nothing_unknown(
    other_customer: Client, body: dict[str, Any]
) -> None:
    assert code(other_customer.post("messages", body)) == (422, "INVALID_REQUEST")


def test_the_systems_message_has_no_sender_and_opens_a_thread(
    customer: Client, shop: Client, database: psycopg.Connection
) -> None:
    database.execute(
        "insert into user_messages (user_id, body) values (%s, 'From the system')", (customer.user["id"],)
    )
    row = next(t for t in shop.data("GET", "messages") if t["userId"] == customer.user["id"])
    assert (row["unread"], row["latest"]["sender"]) == (0, None)
    assert customer.data("GET", "messages")[0]["sender"] is None
    assert customer.data("GET", "messages")[0]["readAt"] is not None
    assert customer.data("POST", "messages", {"body": "ü" * 5000})["body"] == "ü" * 5000
