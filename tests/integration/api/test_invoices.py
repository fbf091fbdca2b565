"""Invoices over HTTP: written, listed, edited, ended and deleted, each right by whom it is."""

from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from devstack import Stack
from tests.conftest import Client, sign_up
from tests.support.invoices import actions, book, invoice_request, keyed, new_client, refused, written
from tests.support.models import cube_stl
from tests.support.orders import sliced


@pytest.fixture(scope="module")
def ada(stack: Stack) -> Client:
    return sign_up(stack, "Ada Owner")


@pytest.fixture
def invoice(shop: Client, ada: Client) -> dict[str, Any]:
    """Of ada's, A$110.00."""
    return written(shop, ada.user["clientId"])


@pytest.fixture(scope="module")
def print_line(shop: Client) -> dict[str, Any]:
    """A line of a slice that the shop made."""
    status = sliced(shop, "shop cube.stl", cube_stl(13))
    return {"print": {"fileId": status["id"], "settingsHash": status["settingsHash"], "pieces": 2}}


def post(
    client: Client, invoice: dict[str, Any], action: str, body: Any = None, **headers: str
) -> httpx.Response:
    return client.post(f"invoices/{invoice['id']}/{action}", body, headers={**keyed(), **headers})


def act(client: Client, invoice: dict[str, Any], action: str, body: Any = None) -> dict[str, Any]:
    response = post(client, invoice, action, body)
    assert response.is_success, response.text
    data: dict[str, Any] = response.json()["data"]
    return data


# -- writing -------------------------------------------------------------------------------------------------------


def test_an_invoice_is_issued_today_and_due_by_its_clients_terms(
    shop: Client, ada: Client, database: psycopg.Connection
) -> None:
    client = new_client(database, "Terms")
    database.execute("update clients set payment_term = 'NET14' where id = %s", (client,))
    made = written(shop, client, 5000, 2500, notes="Thank you", shippingCents=1250, shippingLabel="Metro")
    days = "select issue_date = business_today() and due_date = issue_date + 14 from invoices where id = %s"
    assert database.execute(days, (made["id"],)).fetchone() == (True,)
    assert (made["subtotalCents"], made["shippingCents"], made["taxCents"], made["totalCents"]) == (
        7500,
        1250,
        875,
        9625,
    )
    assert (made["status"], made["balanceCents"], made["creditCents"], made["attachments"]) == (
        "PENDING",
        9625,
        0,
        0,
    )
    assert made["client"]["name"] == "Terms"
    assert made["payUrl"].startswith("http")
    assert "payToken" not in made
    assert actions(database, made["id"]) == ["INVOICE_CREATED"]
    assert shop.data("GET", f"invoices/{made['id']}") == made


@pytest.mark.parametrize(
    ("due", "days"),
    [({"paymentTerm": "NET30"}, 30), ({"paymentTerm": "COD"}, 0), ({"dueDate": "2099-12-31"}, None)],
)
def test_the_shop_names_the_term_or_the_day(
    shop: Client, ada: Client, database: psycopg.Connection, due: dict[str, str], days: int | None
) -> None:
    made = written(shop, ada.user["clientId"], **due)
    if days is None:
        assert made["dueDate"] == due["dueDate"]
    else:
        row = database.execute("select (business_today() + %s)::text", (days,)).fetchone()
        assert row == (made["dueDate"],)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"paymentTerm": "NET99"}, "UNKNOWN_PAYMENT_TERM"),
        ({"dueDate": "2000-01-01"}, "DUE_BEFORE_ISSUE"),
        ({"dueDate": "2030-13-01"}, "INVALID_REQUEST"),
        ({"dueDate": 20300101}, "INVALID_REQUEST"),
        ({"dueDate": "2030-01-01", "paymentTerm": "COD"}, "INVALID_REQUEST"),
        ({"clientId": 2**53}, "UNKNOWN_CLIENT"),
        ({"clientId": 2**60}, "INVALID_REQUEST"),
        ({"items": []}, "INVALID_REQUEST"),
        ({"status": "PAID"}, "INVALID_REQUEST"),
        ({"items": [{"description": "No price"}]}, "LINE_WITHOUT_PRICE"),
    ],
)
def test_what_cannot_be_invoiced_is_said_and_draws_no_number(
    shop: Client, ada: Client, database: psycopg.Connection, changes: dict[str, Any], code: str
) -> None:
    drawn = "select last_number from number_sequences where kind = 'invoice'"
    before = database.execute(drawn).fetchone()
    response = shop.post("invoices", {**invoice_request(ada.user["clientId"]), **changes})
    assert refused(response) == (422, code)
    assert database.execute(drawn).fetchone() == before


def test_a_printed_line_brings_its_files_and_an_edit_replaces_them(
    shop: Client, ada: Client, database: psycopg.Connection, print_line: dict[str, Any]
) -> None:
    client = ada.user["clientId"]
    request = {"clientId": client, "items": [print_line]}
    made = shop.data("POST", "invoices", request)
    (line,) = made["items"]
    assert line["details"]["pieces"] == 2
    files = ada.data("GET", f"invoices/{made['id']}/files")
    assert [file["fileType"] for file in files] == ["model", "model", "model", "settings"]
    assert {file["clientId"] for file in files} == {client}
    fetched = ada.data("GET", f"order-files/{files[0]['id']}")
    assert (fetched["expiresInSeconds"], fetched["filename"]) == (300, "shop cube.stl")
    assert httpx.get(fetched["downloadUrl"], timeout=20).content == cube_stl(13)
    edited = shop.data("PUT", f"invoices/{made['id']}", request)
    assert edited["totalCents"] == made["totalCents"]
    again = ada.data("GET", f"invoices/{made['id']}/files")
    assert len(again) == 4
    assert not {file["id"] for file in files} & {file["id"] for file in again}
    assert stored(database, "order-files", f"{client}/") == {file["storageKey"] for file in again}


def test_a_refused_edit_leaves_no_copy_of_a_print(
    shop: Client, database: psycopg.Connection, print_line: dict[str, Any]
) -> None:
    client = new_client(database)
    made = written(shop, client)
    act(shop, made, "void")
    response = shop.request("PUT", f"invoices/{made['id']}", json={"clientId": client, "items": [print_line]})
    assert refused(response) == (409, "NOT_EDITABLE")
    assert stored(database, "order-files", f"{client}/") == set()


def stored(database: psycopg.Connection, bucket: str, prefix: str) -> set[str]:
    rows = database.execute(
        "select name from storage.objects where bucket_id = %s and starts_with(name, %s)", (bucket, prefix)
    ).fetchall()
    return {name for (name,) in rows}


# -- editing -------------------------------------------------------------------------------------------------------


def put(shop: Client, invoice: dict[str, Any], *prices: int, **changes: Any) -> httpx.Response:
    body = invoice_request(invoice["clientId"], *prices, **changes)
    return shop.request("PUT", f"invoices/{invoice['id']}", json=body)


def test_an_edit_keeps_payments_and_the_balance_follows(
    shop: Client, invoice: dict[str, Any], database: psycopg.Connection
) -> None:
    book(shop, invoice, 5500)
    higher = put(shop, invoice, 20_000).json()["data"]
    assert (higher["totalCents"], higher["paidCents"], higher["balanceCents"]) == (22_000, 5500, 16_500)
    assert (higher["number"], higher["issueDate"]) == (invoice["number"], invoice["issueDate"])
    lower = put(shop, invoice, 4000).json()["data"]
    assert (lower["status"], lower["balanceCents"], lower["creditCents"]) == ("PAID", 0, 1100)
    assert lower["job"]["status"] == "QUEUED"
    owed = put(shop, invoice, 10_000).json()["data"]
    assert (owed["status"], owed["balanceCents"], owed["paidAt"]) == ("PENDING", 5500, None)
    assert actions(database, invoice["id"]) == [
        "INVOICE_CREATED", "PAYMENT_RECORDED", "INVOICE_EDITED", "INVOICE_EDITED", "INVOICE_PAID", "JOB_CREATED",
        "INVOICE_EDITED", "INVOICE_UNPAID",
    ]  # fmt: skip


def test_an_edit_replaces_everything_but_the_client(
    shop: Client, invoice: dict[str, Any], database: psycopg.Connection
) -> None:
    changed = put(shop, invoice, 1000, 2000, notes="New", terms="Now", paymentTerm="NET7").json()["data"]
    assert [item["totalCents"] for item in changed["items"]] == [1000, 2000]
    assert (changed["notes"], changed["terms"]) == ("New", "Now")
    assert put(shop, invoice).json()["data"]["notes"] == ""
    other = put(shop, {**invoice, "clientId": new_client(database)})
    assert refused(other) == (409, "CLIENT_FIXED")


def test_a_print_that_comes_back_as_a_plain_line_keeps_what_priced_it(
    shop: Client, ada: Client, print_line: dict[str, Any]
) -> None:
    client = ada.user["clientId"]
    made = shop.data("POST", "invoices", {"clientId": client, "items": [print_line]})
    (line,) = made["items"]
    plain = {key: line[key] for key in ("description", "quantity", "unitPriceCents")}
    edited = shop.data("PUT", f"invoices/{made['id']}", {"clientId": client, "items": [plain], "notes": "x"})
    assert edited["items"][0]["details"] == line["details"]


def test_a_paid_currency_does_not_change(
    shop: Client, invoice: dict[str, Any], database: psycopg.Connection
) -> None:
    book(shop, invoice, 100)
    database.execute("update settings set currency = 'USD'")
    try:
        assert refused(put(shop, invoice)) == (409, "CURRENCY_FIXED")
    finally:
        database.execute("update settings set currency = null")
    assert put(shop, invoice).status_code == 200


@pytest.mark.parametrize("status", ["VOID", "WRITTEN_OFF", "REFUNDED"])
def test_a_closed_invoice_changes_no_more(
    shop: Client, invoice: dict[str, Any], database: psycopg.Connection, status: str
) -> None:
    database.execute("update invoices set status = %s where id = %s", (status, invoice["id"]))
    assert refused(put(shop, invoice)) == (409, "NOT_EDITABLE")
    for action in ("void", "write-off", "send", "mark-unpaid"):
        assert refused(post(shop, invoice, action)) == (409, "INVOICE_CLOSED")
    for action, body in (("mark-paid", None), ("payments", {"amountCents": 1})):
        assert refused(post(shop, invoice, action, body)) == (409, "NOT_PAYABLE")


# -- endings -------------------------------------------------------------------------------------------------------


def test_a_void_invoice_keeps_its_number_and_cancels_its_job(
    shop: Client, ada: Client, database: psycopg.Connection
) -> None:
    database.execute("update settings set job_policy = 'ON_INVOICE'")
    try:
        queued, started = (written(shop, ada.user["clientId"]) for _ in range(2))
    finally:
        database.execute("update settings set job_policy = 'ON_PAYMENT'")
    assert queued["job"]["status"] == "QUEUED"
    database.execute("update jobs set status = 'PRINTING' where invoice_id = %s", (started["id"],))
    void = act(shop, queued, "void")
    assert (void["status"], void["balanceCents"], void["payUrl"]) == ("VOID", 0, None)
    assert (void["number"], void["job"]["status"]) == (queued["number"], "CANCELLED")
    assert act(shop, started, "void")["job"]["status"] == "PRINTING"
    held = database.execute("select held_reason from jobs where invoice_id = %s", (started["id"],)).fetchone()
    assert held == ("its invoice is void",)
    assert actions(database, queued["id"])[-2:] == ["INVOICE_VOIDED", "JOB_MOVED"]
    assert actions(database, started["id"])[-2:] == ["INVOICE_VOIDED", "JOB_HELD"]


def test_nothing_paid_is_void_or_reverted_or_deleted(shop: Client, invoice: dict[str, Any]) -> None:
    book(shop, invoice, 1)
    assert refused(post(shop, invoice, "void")) == (409, "HAS_PAYMENTS")
    assert refused(shop.request("DELETE", f"invoices/{invoice['id']}")) == (409, "HAS_PAYMENTS")
    act(shop, invoice, "mark-unpaid")
    assert refused(shop.request("DELETE", f"invoices/{invoice['id']}")) == (409, "HAS_PAYMENTS")
    assert act(shop, invoice, "void")["status"] == "VOID"


def test_a_write_off_keeps_what_was_owed(shop: Client, invoice: dict[str, Any]) -> None:
    book(shop, invoice, 1000)
    off = act(shop, invoice, "write-off")
    assert (off["status"], off["writtenOffCents"], off["balanceCents"], off["paidCents"]) == (
        "WRITTEN_OFF", 10_000, 0, 1000,
    )  # fmt: skip


def test_a_paid_invoice_is_not_written_off(shop: Client, invoice: dict[str, Any]) -> None:
    act(shop, invoice, "mark-paid")
    assert refused(post(shop, invoice, "write-off")) == (409, "ALREADY_PAID")


@pytest.fixture
def converted(
    shop: Client, ada: Client, invoice: dict[str, Any], database: psycopg.Connection
) -> dict[str, Any]:
    """An invoice that came from a quote, as its conversion leaves it."""
    row = database.execute(
        "insert into quotes (number, client_id, status, issue_date, valid_until, currency, subtotal_cents,"
        " tax_rate_bps, tax_cents, total_cents, converted_invoice_id)"
        " values (%s, %s, 'CONVERTED', now(), now(), 'AUD', 0, 0, 0, 0, %s) returning id",
        (f"QT-{uuid4()}", ada.user["clientId"], invoice["id"]),
    ).fetchone()
    assert row is not None
    database.execute("update invoices set quote_id = %s where id = %s", (row[0], invoice["id"]))
    return {**invoice, "quoteId": row[0]}


def test_a_revert_voids_the_invoice_and_opens_its_quote_again(
    shop: Client, converted: dict[str, Any], database: psycopg.Connection
) -> None:
    assert refused(shop.request("DELETE", f"invoices/{converted['id']}")) == (409, "USE_REVERT")
    assert act(shop, converted, "revert")["status"] == "VOID"
    quote = database.execute(
        "select status::text, converted_invoice_id from quotes where id = %s", (converted["quoteId"],)
    ).fetchone()
    assert quote == ("ACCEPTED", None)
    assert refused(post(shop, converted, "revert")) == (409, "INVOICE_CLOSED")
    assert actions(database, converted["id"])[-2:] == ["INVOICE_VOIDED", "INVOICE_REVERTED"]


def test_a_revert_needs_a_quote_and_no_payment(shop: Client, ada: Client, converted: dict[str, Any]) -> None:
    book(shop, converted, 1)
    assert refused(post(shop, converted, "revert")) == (409, "HAS_PAYMENTS")
    plain = written(shop, ada.user["clientId"])
    assert refused(post(shop, plain, "revert")) == (409, "NOT_FROM_A_QUOTE")


# -- deleting ------------------------------------------------------------------------------------------------------


def test_a_deleted_invoice_takes_its_files_and_leaves_its_number(
    stack: Stack, shop: Client, ada: Client, database: psycopg.Connection, print_line: dict[str, Any]
) -> None:
    client = new_client(database)
    made = shop.data("POST", "invoices", {"clientId": client, "items": [print_line]})
    assert shop.get(f"invoices/{made['id']}/pdf").status_code == 200
    assert len(stored(database, "order-files", f"{client}/")) == 4
    assert stored(database, "pdfs", f"invoice-{made['number']}") != set()
    assert shop.request("DELETE", f"invoices/{made['id']}").status_code == 204
    assert stored(database, "order-files", f"{client}/") == set()
    assert stored(database, "pdfs", f"invoice-{made['number']}") == set()
    assert shop.get(f"invoices/{made['id']}").status_code == 404
    log = database.execute(
        "select client_id, invoice_id, message from activity_logs where action = 'INVOICE_DELETED' order by id desc"
    ).fetchone()
    assert log == (client, None, f"Invoice {made['number']} was deleted")
    following = written(shop, client)
    assert int(following["number"].removeprefix("INV-")) == int(made["number"].removeprefix("INV-")) + 1


def test_a_sent_invoice_and_one_whose_job_has_begun_stay(
    shop: Client, ada: Client, invoice: dict[str, Any], database: psycopg.Connection
) -> None:
    act(shop, invoice, "send")
    assert refused(shop.request("DELETE", f"invoices/{invoice['id']}")) == (409, "ALREADY_SENT")
    other = written(shop, ada.user["clientId"])
    database.execute("select ensure_job(%s, '{}')", (other["id"],))
    database.execute("update jobs set status = 'PRINTING' where invoice_id = %s", (other["id"],))
    assert refused(shop.request("DELETE", f"invoices/{other['id']}")) == (409, "JOB_STARTED")
    database.execute("update jobs set status = 'QUEUED' where invoice_id = %s", (other["id"],))
    assert shop.request("DELETE", f"invoices/{other['id']}").status_code == 204


# -- sending -------------------------------------------------------------------------------------------------------


def test_an_invoice_is_sent_once_per_key(
    shop: Client, invoice: dict[str, Any], database: psycopg.Connection
) -> None:
    key = keyed()
    path = f"invoices/{invoice['id']}/send"
    first = shop.data("POST", path, {"message": "Hello"}, headers=key)
    assert first["sentAt"]
    assert shop.data("POST", path, {"message": "Hello"}, headers=key) == first
    assert refused(shop.post(path, {"message": "Other"}, headers=key)) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert refused(shop.post(path, {})) == (400, "IDEMPOTENCY_KEY_MISSING")
    again = act(shop, invoice, "send")
    assert again["sentAt"] == first["sentAt"]
    assert actions(database, invoice["id"]).count("INVOICE_SENT") == 2


def test_a_new_pay_link_ends_the_old_one(shop: Client, invoice: dict[str, Any]) -> None:
    changed = act(shop, invoice, "rotate-token")
    assert changed["payUrl"] != invoice["payUrl"]
    assert httpx.get(invoice["payUrl"]).status_code == 404
    assert httpx.get(changed["payUrl"]).status_code == 303
