"""Document numbers without gap or twin, and a ledger that nobody can write past."""

from collections.abc import Callable

import psycopg
import pytest

from tests.integration.schema.shop import Shop, call


def draw(connection: psycopg.Connection, kind: str = "invoice") -> str:
    return str(call(connection, "next_document_number", kind=kind, default_prefix="X-"))


def drawn(numbers: list[str]) -> list[int]:
    return sorted(int(number.rpartition("-")[2]) for number in numbers)


def test_concurrent_draws_leave_no_gap_and_no_twin(shop: Shop) -> None:
    before = shop.value("select last_number from number_sequences where kind = 'quote'")
    drawings = shop.at_once(8, lambda connection, _: [draw(connection, "quote") for _ in range(25)])
    numbers = drawn([number for some in drawings for number in some])
    assert numbers == list(range(before + 1, before + 201))


def test_a_rolled_back_draw_leaves_no_gap_even_while_others_wait_for_it(shop: Shop) -> None:
    before = shop.value("select last_number from number_sequences where kind = 'quote'")

    def draw_and_perhaps_fail(connection: psycopg.Connection, number: int) -> str | None:
        with connection.transaction(force_rollback=number % 2 == 1):
            made = draw(connection, "quote")
        return None if number % 2 else made

    numbers = shop.at_once(10, draw_and_perhaps_fail)
    assert drawn([number for number in numbers if number]) == list(range(before + 1, before + 6))
    assert drawn([draw(shop.rows, "quote")]) == [before + 6]


@pytest.mark.parametrize(
    ("last", "printed"), [(0, "0001"), (998, "0999"), (9998, "9999"), (9999, "10000"), (99999, "100000")]
)
def test_a_number_is_padded_to_four_digits_and_grows_past_them(shop: Shop, last: int, printed: str) -> None:
    with shop.rows.transaction(force_rollback=True):
        shop.rows.execute("update number_sequences set last_number = %s where kind = 'invoice'", (last,))
        assert draw(shop.rows) == f"INV-{printed}"


def test_the_prefix_is_the_settings_and_saving_them_keeps_the_sequence(shop: Shop) -> None:
    with shop.rows.transaction(force_rollback=True):
        first = draw(shop.rows)
        shop.rows.execute("update settings set invoice_prefix = 'R', quote_prefix = ''")
        following = int(first.removeprefix("INV-")) + 1
        assert draw(shop.rows) == f"R{following:04d}"
        assert draw(shop.rows, "quote").isdigit()


def test_the_default_prefix_serves_a_shop_without_settings(shop: Shop) -> None:
    with shop.rows.transaction(force_rollback=True):
        shop.rows.execute("delete from settings")
        assert draw(shop.rows).startswith("X-")


def test_a_kind_that_is_no_document_is_refused(shop: Shop) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        draw(shop.rows, "receipt")


# -- the ledger ------------------------------------------------------------------------------------------------


def pay(shop: Shop, invoice_id: int, cents: int) -> int:
    return int(
        shop.value(
            "insert into payments (invoice_id, method, amount_cents) values (%s, 'CASH', %s) returning id",
            invoice_id,
            cents,
        )
    )


def amounts(shop: Shop, invoice_id: int) -> tuple[int, int, int]:
    """paid, balance, credit"""
    row = shop.rows.execute(
        "select paid_cents, balance_cents, credit_cents from invoices where id = %s", (invoice_id,)
    ).fetchone()
    assert row is not None
    return (row[0], row[1], row[2])


def test_paid_is_payments_less_refunds_however_they_change(shop: Shop) -> None:
    invoice = shop.invoice(shop.customer())["id"]
    payment = pay(shop, invoice, 5000)
    assert amounts(shop, invoice) == (5000, 7375, 0)
    pay(shop, invoice, 10_000)
    assert amounts(shop, invoice) == (15_000, 0, 2625)
    shop.rows.execute(
        "insert into payments (invoice_id, kind, method, amount_cents, parent_payment_id)"
        " values (%s, 'REFUND', 'CASH', -4000, %s)",
        (invoice, payment),
    )
    assert amounts(shop, invoice) == (11_000, 1375, 0)
    shop.rows.execute("delete from payments where parent_payment_id = %s", (payment,))
    shop.rows.execute("update payments set amount_cents = 1 where id = %s", (payment,))
    assert amounts(shop, invoice) == (10_001, 2374, 0)


def test_a_payment_moved_to_another_invoice_leaves_the_first(shop: Shop) -> None:
    customer = shop.customer()
    first, second = shop.invoice(customer)["id"], shop.invoice(customer)["id"]
    payment = pay(shop, first, 500)
    shop.rows.execute("update payments set invoice_id = %s where id = %s", (second, payment))
    assert (amounts(shop, first)[0], amounts(shop, second)[0]) == (0, 500)


def test_concurrent_payments_all_count(shop: Shop) -> None:
    invoice = shop.invoice(shop.customer())["id"]
    insert = b"insert into payments (invoice_id, method, amount_cents) values (%s, 'CASH', 100)"
    shop.at_once(10, lambda connection, _: connection.execute(insert, (invoice,)))
    assert amounts(shop, invoice) == (1000, 11_375, 0)


FORGERIES: dict[str, Callable[[int], str]] = {
    "paid_cents": lambda i: f"update invoices set paid_cents = 12375 where id = {i}",
    "status": lambda i: f"update invoices set status = 'PAID' where id = {i}",
    "subtotal": lambda i: f"update invoices set subtotal_cents = 1, total_cents = 2376 where id = {i}",
    "line total": lambda i: f"update invoice_items set total_cents = 1 where invoice_id = {i}",
    "line gone": lambda i: f"delete from invoice_items where invoice_id = {i}",
    "total": lambda i: f"update invoices set total_cents = 1 where id = {i}",
    "discount": lambda i: f"update invoices set discount_cents = 10001, total_cents = 2374 where id = {i}",
    "shipping": lambda i: f"update invoices set shipping_cents = -1, total_cents = 11124 where id = {i}",
    "payment": lambda i: f"insert into payments (invoice_id, method, amount_cents) values ({i}, 'CASH', -1)",
    "refund": lambda i: (
        f"insert into payments (invoice_id, kind, method, amount_cents) values ({i}, 'REFUND', 'CASH', -1)"
    ),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_an_amount_cannot_be_forged(shop: Shop, forgery: str) -> None:
    invoice = shop.invoice(shop.customer())["id"]
    with pytest.raises(psycopg.errors.CheckViolation):
        shop.rows.execute(FORGERIES[forgery](invoice).encode())
    assert amounts(shop, invoice) == (0, 12_375, 0)


def test_a_line_cannot_leave_an_invoice_short(shop: Shop) -> None:
    customer = shop.customer()
    first, second = shop.invoice(customer)["id"], shop.invoice(customer)["id"]
    with pytest.raises(psycopg.errors.CheckViolation), shop.rows.transaction():
        shop.rows.execute(
            "update invoice_items set invoice_id = %s, position = 2 where invoice_id = %s", (second, first)
        )
        shop.rows.execute(
            "update invoices set subtotal_cents = 20000, total_cents = 22375 where id = %s", (second,)
        )


@pytest.mark.parametrize("column", ["balance_cents", "credit_cents"])
def test_what_the_database_computes_cannot_be_written(shop: Shop, column: str) -> None:
    invoice = shop.invoice(shop.customer())["id"]
    with pytest.raises(psycopg.errors.GeneratedAlways):
        shop.rows.execute(f"update invoices set {column} = 0 where id = {invoice}".encode())


@pytest.mark.parametrize(
    ("status", "balance"), [("OVERDUE", 12_375), ("VOID", 0), ("WRITTEN_OFF", 0), ("REFUNDED", 0)]
)
def test_a_balance_is_owed_only_while_the_invoice_is(shop: Shop, status: str, balance: int) -> None:
    invoice = shop.invoice(shop.customer())["id"]
    shop.rows.execute("update invoices set status = %s where id = %s", (status, invoice))
    assert amounts(shop, invoice) == (0, balance, 0)
