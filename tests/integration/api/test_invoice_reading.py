"""Who sees what of invoices, and their lists: in order, by page, by text, each on an index."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from devstack import Stack
from tests.conftest import Client, sign_up
from tests.support.invoices import book, invoice_request, keyed, new_client, written


@pytest.fixture(scope="module")
def ada(stack: Stack) -> Client:
    return sign_up(stack, "Ada Owner")


@pytest.fixture
def invoice(shop: Client, ada: Client) -> dict[str, Any]:
    """Of ada's, A$110.00."""
    return written(shop, ada.user["clientId"])


# -- reading -------------------------------------------------------------------------------------------------------


def test_a_client_sees_no_credit_and_the_shop_does(
    shop: Client, ada: Client, invoice: dict[str, Any]
) -> None:
    book(shop, invoice, 11_000, note="in an envelope", reference="R1")
    shop.data("PUT", f"invoices/{invoice['id']}", invoice_request(invoice["clientId"], 5000))
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
