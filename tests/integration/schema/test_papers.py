"""What a paper shows of an invoice's money, in the database: the column from the total to the balance adds up."""

from typing import Any

import pytest

from tests.integration.schema.invoices import act, create, record, refund
from tests.integration.schema.shop import Shop

MONEY = ("receivedCents", "refundedCents", "writtenOffCents", "creditedCents", "inCreditCents")


def shown(shop: Shop, invoice_id: int) -> dict[str, Any]:
    """The invoice as its paper gets it, whose column adds up."""
    paper: dict[str, Any] = shop.call("get_document", p_kind="invoice", p_id=invoice_id, p_client_id=None)[
        "document"
    ]
    total = 0 if paper["status"] == "VOID" else paper["totalCents"]
    owed = paper["balanceCents"] if paper["status"] in {"PENDING", "OVERDUE"} else 0
    received, refunded, written_off, credited, in_credit = (paper[name] for name in MONEY)
    assert total - received + refunded - written_off - credited + in_credit == owed
    return paper


def money(paper: dict[str, Any]) -> tuple[str, list[int]]:
    return paper["status"], [paper[name] for name in MONEY]


def test_a_write_off_after_a_part_payment_is_the_rest(shop: Shop) -> None:
    customer = shop.customer()
    made = create(shop, customer, 44_200)
    record(shop.rows, customer, made["id"], 10_000)
    assert money(shown(shop, made["id"])) == ("PENDING", [10_000, 0, 0, 0, 0])
    act(shop.rows, customer, "write_off_invoice", made["id"])
    assert money(shown(shop, made["id"])) == ("WRITTEN_OFF", [10_000, 0, 34_200, 0, 0])


@pytest.mark.parametrize(("cents", "status"), [(5_000, "PAID"), (44_200, "REFUNDED")])
def test_what_went_back_of_a_paid_invoice_is_credited(shop: Shop, cents: int, status: str) -> None:
    customer = shop.customer()
    made = create(shop, customer, 44_200)
    record(shop.rows, customer, made["id"], None)
    refund(shop, payment_of(shop, made["id"]), cents)
    assert money(shown(shop, made["id"])) == (status, [44_200, cents, 0, cents, 0])


def test_what_went_back_of_an_open_invoice_is_owed_again(shop: Shop) -> None:
    customer = shop.customer()
    made = create(shop, customer, 44_200)
    record(shop.rows, customer, made["id"], 10_000)
    refund(shop, payment_of(shop, made["id"]), 4_000)
    assert money(shown(shop, made["id"])) == ("PENDING", [10_000, 4_000, 0, 0, 0])


def test_what_came_beyond_the_total_or_for_a_void_invoice_is_in_credit(shop: Shop) -> None:
    customer = shop.customer()
    over, void = (create(shop, customer, 44_200)["id"] for _ in range(2))
    act(shop.rows, customer, "void_invoice", void)
    for invoice_id, cents in ((over, 50_000), (void, 10_000)):
        pay_by_card(shop, invoice_id, cents)
    assert money(shown(shop, over)) == ("PAID", [50_000, 0, 0, 0, 5_800])
    assert money(shown(shop, void)) == ("VOID", [10_000, 0, 0, 0, 10_000])


def test_a_card_payment_comes_with_its_intent(shop: Shop) -> None:
    customer = shop.customer()
    made = create(shop, customer, 44_200)
    pay_by_card(shop, made["id"], 44_200)
    (paid,) = shown(shop, made["id"])["payments"]
    assert (paid["processorId"], paid["reference"]) == (f"pi_{made['id']}", f"cs_test_{made['id']}")


def payment_of(shop: Shop, invoice_id: int) -> int:
    row = shop.rows.execute("select id from payments where invoice_id = %s", (invoice_id,)).fetchone()
    assert row is not None
    return int(row[0])


def pay_by_card(shop: Shop, invoice_id: int, cents: int) -> None:
    """What Stripe's word of a payment brings: its row, and the invoice settled."""
    with shop.rows.transaction():
        shop.rows.execute(
            "insert into payments (invoice_id, method, amount_cents, processor_id, reference)"
            " values (%s, 'STRIPE', %s, %s, %s)",
            (invoice_id, cents, f"pi_{invoice_id}", f"cs_test_{invoice_id}"),
        )
        shop.rows.execute("select update_invoice_status(%s, '{}')", (invoice_id,))
