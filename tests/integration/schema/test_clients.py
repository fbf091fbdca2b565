"""Clients in the database: totals from the ledger, pages that hold, and deletion only of what nothing belongs to."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.integration.schema.shop import Shop, call, checkout

CLIENT = {
    "name": "Ada",
    "company": "",
    "email": "",
    "phone": "",
    "abn": None,
    "address": None,
    "paymentTerm": None,
}


def made(shop: Shop, **changes: Any) -> int:
    client = shop.call("create_client", p_user_id=shop.customer().user_id, p_client={**CLIENT, **changes})
    return int(client["id"])


def test_totals_follow_the_ledger_a_currency_each(shop: Shop) -> None:
    customer = shop.customer()
    open_one, paid, void, partly, credit = (shop.invoice(customer)["id"] for _ in range(5))

    def pay(invoice: int, cents: int) -> None:
        shop.rows.execute(
            "insert into payments (invoice_id, method, amount_cents) values (%s, 'CASH', %s)",
            (invoice, cents),
        )

    pay(paid, 12_375)
    pay(partly, 2_000)
    pay(credit, 13_000)
    for invoice, status in ((paid, "PAID"), (credit, "PAID"), (void, "VOID"), (partly, "OVERDUE")):
        shop.rows.execute("update invoices set status = %s where id = %s", (status, invoice))
    shop.rows.execute("update invoices set currency = 'NZD' where id = %s", (open_one,))
    totals = shop.call("get_client", p_client_id=customer.client_id)["totals"]
    assert totals == [
        {
            "currency": "AUD",
            "openInvoices": 1,
            "outstandingCents": 10_375,
            "billedCents": 3 * 12_375,
            "paidCents": 12_375 + 2_000 + 13_000,
            "creditCents": 625,
        },
        {
            "currency": "NZD",
            "openInvoices": 1,
            "outstandingCents": 12_375,
            "billedCents": 12_375,
            "paidCents": 0,
            "creditCents": 0,
        },
    ]


def test_what_a_partial_refund_left_is_not_asked_for_again(shop: Shop) -> None:
    customer = shop.customer()
    invoice = shop.invoice(customer)["id"]
    with shop.rows.transaction():
        payment = shop.value(
            "insert into payments (invoice_id, method, amount_cents) values (%s, 'CASH', 12375) returning id",
            invoice,
        )
        shop.rows.execute(
            "insert into payments (invoice_id, kind, method, amount_cents, parent_payment_id)"
            " values (%s, 'REFUND', 'CASH', -1000, %s)",
            (invoice, payment),
        )
        shop.rows.execute("update invoices set status = 'PAID' where id = %s", (invoice,))
    (totals,) = shop.call("get_client", p_client_id=customer.client_id)["totals"]
    assert (totals["outstandingCents"], totals["openInvoices"], totals["paidCents"]) == (0, 0, 11_375)


@pytest.mark.parametrize("sort", ["-createdAt", "createdAt", "name"])
def test_pages_in_any_order_hold_while_clients_are_added(shop: Shop, sort: str) -> None:
    word = uuid4().hex[:8]
    names = [f"{letter} {word}" for letter in ("b", "A", "c", "a", "B")]
    ids = [made(shop, name=name) for name in names]
    order: dict[str, Callable[[int], Any]] = {
        "-createdAt": lambda n: -ids[n],
        "createdAt": lambda n: ids[n],
        "name": lambda n: (names[n].lower(), ids[n]),
    }
    expected = [ids[n] for n in sorted(range(5), key=order[sort])]
    seen: list[int] = []
    last: dict[str, Any] = {"createdAt": None, "name": None, "id": None}
    while len(seen) < 5:
        page = shop.call(
            "list_clients",
            p_query=word,
            p_sort=sort,
            p_limit=2,
            p_after_created=last["createdAt"],
            p_after_name=last["name"],
            p_after_id=last["id"],
        )
        seen += [row["id"] for row in page]
        last = page[-1]
        if sort == "-createdAt":
            made(shop, name=f"z {word}")
    assert seen[:5] == expected


def test_a_client_of_whom_nothing_hangs_is_deleted_and_remembered(shop: Shop) -> None:
    client, actor = made(shop, name="Gone & Co"), shop.customer().user_id
    shop.call("add_client_note", p_user_id=actor, p_client_id=client, p_body="Moved away.", p_limit=10)
    assert shop.call("delete_client", p_user_id=actor, p_client_id=client) == {"id": client}
    row = shop.rows.execute(
        "select message, metadata from activity_logs where action = 'CLIENT_DELETED' order by id desc limit 1"
    ).fetchone()
    assert row == ("Client Gone & Co was deleted", {"userId": actor, "clientId": client})


@pytest.mark.parametrize("times", range(10))
def test_a_client_is_deleted_or_gets_an_invoice_never_both(shop: Shop, times: int) -> None:
    client, customer = made(shop), shop.customer()

    def act(connection: psycopg.Connection, number: int) -> str:
        if number:
            answer = call(connection, "delete_client", p_user_id=customer.user_id, p_client_id=client)
        else:
            answer = call(connection, "checkout_quick_order", **checkout(customer, p_client_id=client))
        return str(answer["error"]["code"]) if "error" in answer else "DONE"

    invoiced, deleted = shop.at_once(2, act)
    assert (invoiced, deleted) in {("DONE", "CLIENT_IN_USE"), ("UNKNOWN_CLIENT", "DONE")}
    left = shop.value("select count(*) from invoices where client_id = %s", client)
    assert left == (1 if invoiced == "DONE" else 0)


def test_notes_are_bounded_also_when_many_write_at_once(shop: Shop) -> None:
    client, actor = made(shop), shop.customer().user_id
    answers = shop.at_once(
        6,
        lambda connection, number: call(
            connection, "add_client_note", p_user_id=actor, p_client_id=client, p_body=str(number), p_limit=3
        ),
    )
    assert sorted("error" in answer for answer in answers) == [False] * 3 + [True] * 3
    assert shop.value("select count(*) from client_notes where client_id = %s", client) == 3


def plan(shop: Shop, query: str) -> str:
    with shop.rows.transaction(force_rollback=True):
        # A table of a few rows is read whole, whatever indexes there are.
        shop.rows.execute("set local enable_seqscan = off")
        return "\n".join(row[0] for row in shop.rows.execute(f"explain {query}".encode()))


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("select * from clients c order by c.created_at desc, c.id desc limit 3", "clients_by_created"),
        ("select * from clients c order by c.created_at, c.id limit 3", "clients_by_created"),
        ("select * from clients c order by lower(c.name), c.id limit 3", "clients_by_name"),
        ("select * from users u order by u.created_at desc, u.id desc limit 3", "users_by_created"),
        (
            "select sum(balance_cents) from invoices where client_id = 1 group by currency",
            "invoices_by_client_money",
        ),
    ],
)
def test_a_list_has_an_index_for_each_order(shop: Shop, query: str, index: str) -> None:
    found = plan(shop, query)
    assert index in found
    assert "Sort" not in found
