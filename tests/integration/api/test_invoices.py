"""Invoices over HTTP: written, listed, edited, ended and deleted, each right by whom it is."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from local.stack import Stack
from local.stripe_stand_in import pay
from tests.conftest import Client, sign_up
from tests.invoices import actions, book, invoice_request, keyed, new_client, refused, written
from tests.models import cube_stl
from tests.orders import sliced


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
    assert [file["fileType"] for file in files] == ["model", "model", "settings"]
    assert {file["clientId"] for file in files} == {client}
    fetched = ada.data("GET", f"order-files/{files[0]['id']}")
    assert (fetched["expiresInSeconds"], fetched["filename"]) == (300, "shop cube.stl")
    assert httpx.get(fetched["downloadUrl"], timeout=20).content == cube_stl(13)
    edited = shop.data("PUT", f"invoices/{made['id']}", request)
    assert edited["totalCents"] == made["totalCents"]
    again = ada.data("GET", f"invoices/{made['id']}/files")
    assert len(again) == 3
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


# -- the live payment page -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["edit", "void", "write-off", "mark-paid", "part payment", "delete"])
def test_a_change_expires_the_open_payment_page(
    shop: Client, ada: Client, invoice: dict[str, Any], change: str
) -> None:
    page = ada.data("POST", f"invoices/{invoice['id']}/stripe-session")
    match change:
        case "edit":
            assert put(shop, invoice, 9000).is_success
        case "part payment":
            book(shop, invoice, 100)
        case "delete":
            assert shop.request("DELETE", f"invoices/{invoice['id']}").status_code == 204
        case _:
            act(shop, invoice, change)
    assert pay(page["url"]).status_code != 303
    if change in {"edit", "part payment"}:
        assert ada.data("POST", f"invoices/{invoice['id']}/stripe-session")["sessionId"] != page["sessionId"]


def test_an_invoice_that_is_owed_again_gets_a_page_of_its_own(
    shop: Client, ada: Client, invoice: dict[str, Any]
) -> None:
    first = ada.data("POST", f"invoices/{invoice['id']}/stripe-session")
    act(shop, invoice, "mark-paid")
    act(shop, invoice, "mark-unpaid")
    second = ada.data("POST", f"invoices/{invoice['id']}/stripe-session")
    assert second["sessionId"] != first["sessionId"]
    assert httpx.get(second["url"]).status_code == 200


def test_a_silent_stripe_fails_no_change(
    stack: Stack, shop: Client, ada: Client, invoice: dict[str, Any]
) -> None:
    ada.data("POST", f"invoices/{invoice['id']}/stripe-session")
    stack.stripe.control.fail_next("server_error", times=10)
    try:
        assert act(shop, invoice, "void")["status"] == "VOID"
    finally:
        stack.stripe.control.clear_faults()


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
    assert len(stored(database, "order-files", f"{client}/")) == 3
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


# -- reading -------------------------------------------------------------------------------------------------------


def test_a_client_sees_no_credit_and_the_shop_does(
    shop: Client, ada: Client, invoice: dict[str, Any]
) -> None:
    book(shop, invoice, 11_000, note="in an envelope", reference="R1")
    put(shop, invoice, 5000)
    assert shop.data("GET", f"invoices/{invoice['id']}")["creditCents"] == 5500
    assert ada.data("GET", f"invoices/{invoice['id']}")["creditCents"] is None
    assert {row["creditCents"] for row in ada.data("GET", "invoices")} == {None}
    (seen,) = ada.data("GET", f"invoices/{invoice['id']}/payments")
    (kept,) = shop.data("GET", f"invoices/{invoice['id']}/payments")
    assert (kept["note"], kept["isFlagged"], kept["amountCents"]) == ("in an envelope", False, 11_000)
    assert (seen["note"], seen["isFlagged"], seen["reference"]) == (None, None, "R1")


def test_a_client_reads_what_happened_and_the_shop_who_did_it(
    shop: Client, ada: Client, invoice: dict[str, Any]
) -> None:
    for cents in (1, 2, 3):
        book(shop, invoice, cents)
    pages, cursor = [], ""
    while True:
        answer = ada.get(f"invoices/{invoice['id']}/activity?limit=3{cursor}").json()
        pages.append(answer["data"])
        if answer["nextCursor"] is None:
            break
        cursor = f"&cursor={answer['nextCursor']}"
    assert [len(page) for page in pages] == [3, 1]
    seen = [row for page in pages for row in page]
    assert [row["action"] for row in seen] == ["PAYMENT_RECORDED"] * 3 + ["INVOICE_CREATED"]
    assert {row["metadata"] is None for row in seen} == {True}
    kept = shop.data("GET", f"invoices/{invoice['id']}/activity")
    assert [row["id"] for row in kept] == [row["id"] for row in seen]
    assert all(row["metadata"]["userId"] for row in kept)


OWNERS = [("GET", path) for path in ("", "/payments", "/attachments", "/files", "/activity")]
ACTIONS = "mark-paid mark-unpaid void write-off revert send rotate-token payments attachments".split()
SHOPS: list[tuple[str, str]] = [
    ("PUT", ""),
    ("DELETE", ""),
    *(("POST", f"/{action}") for action in [*ACTIONS, "attachments/1/complete"]),
    ("DELETE", "/attachments/1"),
    ("DELETE", "/payments/1"),
]


def test_nobody_but_the_shop_and_the_owner_gets_in(
    shop: Client, ada: Client, other_customer: Client, nobody: Client, invoice: dict[str, Any]
) -> None:
    before = shop.data("GET", f"invoices/{invoice['id']}")
    bodies = {
        "": invoice_request(invoice["clientId"]),
        "/payments": {"amountCents": 1},
        "/attachments": {"filename": "a.pdf", "sizeBytes": 1},
    }
    for method, path in OWNERS:
        url = f"invoices/{invoice['id']}{path}"
        assert ada.request(method, url).status_code == 200
        assert other_customer.request(method, url).status_code == 404
        assert nobody.request(method, url).status_code == 401
    for method, url, body in [
        ("POST", "invoices", bodies[""]),
        *((method, f"invoices/{invoice['id']}{path}", bodies.get(path)) for method, path in SHOPS),
    ]:
        for who, status in ((ada, 403), (other_customer, 403), (nobody, 401)):
            assert who.request(method, url, json=body, headers=keyed()).status_code == status, (method, url)
    assert shop.data("GET", f"invoices/{invoice['id']}") == before


@pytest.mark.parametrize("contents", [b"", b"not json", b"[1]", b'{"items": 7}', b'{"items": [[]]}'])
@pytest.mark.parametrize("kind", ["application/json", "text/plain"])
def test_a_body_that_is_no_invoice_is_refused(shop: Client, contents: bytes, kind: str) -> None:
    for method, url in (("POST", "invoices"), ("PUT", "invoices/1")):
        response = shop.request(method, url, content=contents, headers={"content-type": kind})
        assert response.status_code in {400, 422}, response.text


@pytest.mark.parametrize(("method", "path"), [*OWNERS, *SHOPS])
def test_an_invoice_that_is_not_there_is_not_found(shop: Client, ada: Client, method: str, path: str) -> None:
    body = {"": invoice_request(ada.user["clientId"]), "/payments": {"amountCents": 1},
            "/attachments": {"filename": "a.pdf", "sizeBytes": 1}}.get(path)  # fmt: skip
    options: dict[str, Any] = {"json": body} if body and method in {"POST", "PUT"} else {}
    response = shop.request(method, f"invoices/{2**53}{path}", headers=keyed(), **options)
    assert response.status_code == 404
    assert response.json()["error"]["code"].endswith("_NOT_FOUND")


# -- lists ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many(stack: Stack, database: psycopg.Connection) -> Iterator[Client]:
    """A client with 23 invoices, of which some share a moment and a day."""
    client = sign_up(stack, "Many Papers")
    database.execute(
        "insert into invoices (number, client_id, status, issue_date, due_date, currency, subtotal_cents,"
        " tax_rate_bps, tax_cents, total_cents, created_at)"
        " select 'MANY-' || n, %s, (case n %% 3 when 0 then 'OVERDUE' else 'PENDING' end)::invoice_status,"
        " '2026-01-01', date '2026-02-01' + (n %% 5), 'AUD', 0, 0, 0, 0,"
        " timestamptz '2026-01-01' + make_interval(hours => n / 2) from generate_series(1, 23) n",
        (client.user["clientId"],),
    )
    yield client


def walk(client: Client, query: str, between: Any = None) -> list[dict[str, Any]]:
    """All pages of four."""
    rows: list[dict[str, Any]] = []
    cursor = ""
    while True:
        answer = client.get(f"invoices?limit=4{query}{cursor}").json()
        rows += answer["data"]
        if between:
            between()
        if answer["nextCursor"] is None:
            return rows
        cursor = f"&cursor={answer['nextCursor']}"


@pytest.mark.parametrize(
    ("sort", "key", "descending"),
    [("-createdAt", "createdAt", True), ("createdAt", "createdAt", False), ("dueDate", "dueDate", False)],
)
def test_every_order_is_walked_without_gap_or_twin(
    many: Client, sort: str, key: str, descending: bool
) -> None:
    rows = walk(many, f"&sort={sort}")
    assert len({row["id"] for row in rows}) == len(rows) == 23
    places = [(row[key], row["id"]) for row in rows]
    assert places == sorted(places, reverse=descending)
    overdue = walk(many, f"&sort={sort}&status=OVERDUE")
    assert [row["id"] for row in overdue] == [row["id"] for row in rows if row["status"] == "OVERDUE"]


def test_invoices_that_come_meanwhile_shift_no_page(many: Client, database: psycopg.Connection) -> None:
    before = [row["id"] for row in walk(many, "")]

    def another() -> None:
        database.execute(
            "insert into invoices (number, client_id, issue_date, due_date, currency, subtotal_cents, tax_rate_bps,"
            " tax_cents, total_cents) values (%s, %s, now(), now(), 'AUD', 0, 0, 0, 0)",
            (f"LATE-{uuid4()}", many.user["clientId"]),
        )

    try:
        assert [row["id"] for row in walk(many, "", another)] == before
    finally:
        database.execute("delete from invoices where number like 'LATE-%'")


@pytest.mark.parametrize("text", [",", ")", "(", "%", "*", '"', "_", "\\", "'", "a,b", "%_", "ß"])
def test_a_search_finds_its_text_literally(
    stack: Stack, shop: Client, database: psycopg.Connection, text: str
) -> None:
    mark = uuid4().hex[:8]
    hit = written(shop, new_client(database, f"{mark} x{text}y Ltd"))
    written(shop, new_client(database, f"{mark} x-y Ltd"))
    found = shop.get("invoices", params={"q": f"{mark} X{text}Y"}).json()["data"]
    assert [row["id"] for row in found] == [hit["id"]]


def test_a_search_finds_numbers_in_each_order(many: Client) -> None:
    for sort in ("-createdAt", "createdAt", "dueDate"):
        rows = walk(many, f"&sort={sort}&q=many-2")
        assert {row["number"] for row in rows} == {"MANY-2", *(f"MANY-2{n}" for n in range(4))}


@pytest.mark.parametrize(
    "query",
    ["sort=number", "limit=201", "limit=0", "status=GONE", "cursor=x", "cursor=WyJ4IiwxXQ", "q=" + "x" * 201],
)
def test_a_list_that_cannot_be_made_is_refused(shop: Client, query: str) -> None:
    assert shop.get(f"invoices?{query}").status_code in {400, 422}


def test_every_list_runs_on_an_index(database: psycopg.Connection, many: Client) -> None:
    with database.transaction(force_rollback=True):
        database.execute(
            "insert into invoices (number, client_id, status, issue_date, due_date, currency, subtotal_cents,"
            " tax_rate_bps, tax_cents, total_cents)"
            " select 'PLAN-' || n, %s, (case n %% 50 when 0 then 'OVERDUE' else 'PENDING' end)::invoice_status,"
            " now(), now()::date + n %% 300, 'AUD', 0, 0, 0, 0 from generate_series(1, 5000) n",
            (new_client(database, "Plans"),),
        )
        database.execute("analyze invoices")
        for where in ("true", f"client_id = {many.user['clientId']}", "status = 'OVERDUE'"):
            for key, direction in (("created_at", "desc"), ("created_at", "asc"), ("due_date", "asc")):
                assert "Seq Scan" not in plan(database, where, f"{key} {direction}, id {direction}")
        # At this size a search may well read the table; it must be able not to.
        database.execute("set local enable_seqscan = off")
        assert "invoices_by_text" in plan(database, "search_text like '%plan-4999%'")


def plan(database: psycopg.Connection, where: str, order: str = "") -> str:
    query = f"explain select i from invoices i where {where}" + (
        f" order by {order} limit 51" if order else ""
    )
    return "\n".join(line for (line,) in database.execute(query.encode()).fetchall())


# -- numbers -------------------------------------------------------------------------------------------------------


FAILING = """
create function fail_late() returns trigger language plpgsql as $$
begin
  if new.notes = 'fail late' then
    raise exception 'refused at the commit' using errcode = 'PT409', hint = 'TEST';
  end if;
  return null;
end $$;
create constraint trigger fail_late after insert on invoices deferrable initially deferred
  for each row execute function fail_late();
"""


def test_a_hundred_at_once_leave_no_gap_though_twenty_fail_with_their_number_drawn(
    shop: Client, ada: Client, database: psycopg.Connection
) -> None:
    timeout = database.execute(
        "select 'statement_timeout=8s' = any (rolconfig) from pg_roles where rolname = 'authenticator'"
    )
    assert timeout.fetchone() == (True,)
    last = database.execute("select last_number from number_sequences where kind = 'invoice'").fetchone()
    assert last is not None
    database.execute(FAILING.encode())
    try:

        def create(n: int) -> httpx.Response:
            notes = "fail late" if n % 5 == 0 else ""
            return shop.post("invoices", invoice_request(ada.user["clientId"], notes=notes))

        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(create, range(100)))
    finally:
        database.execute("drop function fail_late() cascade")
    assert [answer.status_code for answer in answers] == [409 if n % 5 == 0 else 201 for n in range(100)]
    numbers = sorted(
        int(answer.json()["data"]["number"].removeprefix("INV-")) for answer in answers if answer.is_success
    )
    assert numbers == list(range(last[0] + 1, last[0] + 81))


def test_number_ten_thousand_has_five_digits(shop: Client, ada: Client, database: psycopg.Connection) -> None:
    last = database.execute("select last_number from number_sequences where kind = 'invoice'").fetchone()
    assert last is not None
    database.execute("update number_sequences set last_number = 9999 where kind = 'invoice'")
    made = None
    try:
        made = written(shop, ada.user["clientId"])
        assert made["number"] == "INV-10000"
    finally:
        if made:
            shop.request("DELETE", f"invoices/{made['id']}")
        database.execute("update number_sequences set last_number = %s where kind = 'invoice'", last)
