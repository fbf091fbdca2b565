"""Invoices in the database: what each change leaves, and who wins when two come at once."""

from functools import partial
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.integration.schema.invoices import act, code_of, create, edit, record, refund
from tests.integration.schema.shop import Customer, Shop, call
from tests.integration.schema.test_payments import (
    apply,
    apply_event,
    made_here,
    open_page,
    opened,
    session_event,
)

TIMES = 50


def row(shop: Shop, invoice_id: int) -> tuple[Any, ...]:
    found = shop.rows.execute(
        "select status::text, total_cents, paid_cents, balance_cents, credit_cents from invoices where id = %s",
        (invoice_id,),
    ).fetchone()
    assert found is not None
    return found


@pytest.fixture
def customer(shop: Shop) -> Customer:
    return shop.customer()


@pytest.fixture
def invoice(shop: Shop, customer: Customer) -> int:
    """A$100.00, nothing paid."""
    return int(create(shop, customer)["id"])


# -- the life of a payment page ------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["edit", "void", "write off", "pay", "pay a part"])
def test_a_change_answers_the_page_that_it_takes_out_of_use(
    shop: Shop, customer: Customer, invoice: int, change: str
) -> None:
    session = open_page(shop, invoice)
    match change:
        case "edit":
            answer = edit(shop.rows, customer, invoice, 10_000)
        case "void":
            answer = act(shop.rows, customer, "void_invoice", invoice)
        case "write off":
            answer = act(shop.rows, customer, "write_off_invoice", invoice)
        case _:
            answer = record(shop.rows, customer, invoice, None if change == "pay" else 1)
    assert answer["retired"] == session
    state = shop.value(
        "select (stripe_session_id, stripe_checkout_url, stripe_session_cents, stripe_session_expires_at) is null"
        " from invoices where id = %s",
        invoice,
    )
    assert state is True


def test_an_attempt_that_was_used_is_never_asked_for_again(
    shop: Shop, customer: Customer, invoice: int
) -> None:
    attempts = []
    for _ in range(3):
        attempts.append(opened(shop, invoice)["attempt"])
        record(shop.rows, customer, invoice, None)
        assert code_of(act(shop.rows, customer, "mark_invoice_unpaid", invoice)) is None
    assert attempts == sorted(set(attempts))


# -- refunds -------------------------------------------------------------------------------------------------------


def test_what_was_refunded_is_never_owed_again(shop: Shop, customer: Customer, invoice: int) -> None:
    paid = record(shop.rows, customer, invoice, None)["invoice"]["payments"][0]["id"]
    refund(shop, paid, 3000)
    assert row(shop, invoice)[0] == "PAID"
    assert code_of(act(shop.rows, customer, "delete_payment", invoice, p_payment_id=paid)) == "HAS_REFUNDS"
    assert code_of(act(shop.rows, customer, "mark_invoice_unpaid", invoice)) == "USE_REFUND"
    assert code_of(edit(shop.rows, customer, invoice, 10_001)) == "HAS_REFUNDS"
    assert code_of(edit(shop.rows, customer, invoice, 7000)) is None
    assert row(shop, invoice) == ("PAID", 7000, 7000, 0, 0)
    refund(shop, paid, 7000)
    assert row(shop, invoice)[0] == "REFUNDED"
    for answer in (
        record(shop.rows, customer, invoice, None),
        edit(shop.rows, customer, invoice, 1),
        act(shop.rows, customer, "void_invoice", invoice),
    ):
        assert code_of(answer) in {"NOT_PAYABLE", "NOT_EDITABLE", "INVOICE_CLOSED"}


# -- mail ----------------------------------------------------------------------------------------------------------


def send(shop: Shop, customer: Customer, invoice: int, **changes: Any) -> Any:
    params = {
        "p_user_id": customer.user_id, "p_invoice_id": invoice, "p_key": str(uuid4()), "p_body_hash": "a",
        "p_email": True, "p_to": None, "p_message": "Hello", **changes,
    }  # fmt: skip
    return shop.call("send_invoice", **params)


def test_an_invoice_goes_to_its_client_or_to_whom_the_shop_names(
    shop: Shop, customer: Customer, invoice: int
) -> None:
    key = str(uuid4())
    first = send(shop, customer, invoice, p_key=key)
    assert first["mail"]["status"] == "QUEUED"
    assert send(shop, customer, invoice, p_key=key) == first
    send(shop, customer, invoice, p_to="other@example.com")
    mails = shop.rows.execute(
        "select m.to_address = c.email, m.to_address, m.message, m.created_by from mails m"
        " join invoices i on i.id = m.invoice_id join clients c on c.id = i.client_id where i.id = %s order by m.id",
        (invoice,),
    ).fetchall()
    assert [(own, message, by) for own, _, message, by in mails] == [
        (True, "Hello", customer.user_id),
        (False, "Hello", customer.user_id),
    ]
    assert mails[1][1] == "other@example.com"


def test_without_an_address_nothing_is_sent_and_without_mail_it_is_kept_on_paper(
    shop: Shop, customer: Customer, invoice: int
) -> None:
    shop.rows.execute("update clients set email = '' where id = %s", (customer.client_id,))
    assert code_of(send(shop, customer, invoice)) == "NO_EMAIL"
    assert shop.value("select sent_at is null from invoices where id = %s", invoice) is True
    sent = send(shop, customer, invoice, p_email=False)
    assert sent["mail"] is None
    row = shop.rows.execute("select id, to_address from mails where invoice_id = %s", (invoice,)).fetchall()
    assert row == [(sent["mailId"], None)]


# -- two at once ---------------------------------------------------------------------------------------------------


def test_of_two_who_delete_a_payment_one_does(shop: Shop, customer: Customer, invoice: int) -> None:
    for _ in range(TIMES):
        payment = record(shop.rows, customer, invoice, None)["invoice"]["payments"][0]["id"]
        answers = shop.at_once(
            2,
            lambda connection, _, payment=payment: code_of(  # type: ignore[misc]
                act(connection, customer, "delete_payment", invoice, p_payment_id=payment)
            ),
        )
        assert sorted(answers, key=str) == [None, "PAYMENT_DELETED"]
        assert row(shop, invoice) == ("PENDING", 10_000, 0, 10_000, 0)
    deletions = "select count(*) from activity_logs where invoice_id = %s and action = 'PAYMENT_DELETED'"
    assert shop.value(deletions, invoice) == TIMES


def test_of_two_who_mark_it_paid_one_does(shop: Shop, customer: Customer) -> None:
    for _ in range(TIMES):
        invoice = int(create(shop, customer)["id"])
        answers = shop.at_once(
            2,
            lambda connection, _, invoice=invoice: code_of(record(connection, customer, invoice, None)),  # type: ignore[misc]
        )
        assert sorted(answers, key=str) == ["ALREADY_PAID", None]
        assert row(shop, invoice) == ("PAID", 10_000, 10_000, 0, 0)


def test_an_edit_and_a_payment_at_once_leave_what_one_after_the_other_would(
    shop: Shop, customer: Customer
) -> None:
    for _ in range(TIMES):
        invoice = int(create(shop, customer)["id"])

        def change(connection: psycopg.Connection, number: int, invoice: int = invoice) -> str | None:
            if number == 0:
                return code_of(edit(connection, customer, invoice, 4000))
            return code_of(record(connection, customer, invoice, 10_000))

        edited, paid = shop.at_once(2, change)
        assert edited is None
        assert paid in {None, "EXCEEDS_BALANCE"}
        # Paid first: the rest is credit. Edited first: the payment is above the balance.
        expected = ("PAID", 4000, 10_000, 0, 6000) if paid is None else ("PENDING", 4000, 0, 4000, 0)
        assert row(shop, invoice) == expected


def test_an_edit_and_a_void_at_once_change_no_void_invoice(shop: Shop, customer: Customer) -> None:
    for _ in range(TIMES // 2):
        invoice = int(create(shop, customer)["id"])

        def change(connection: psycopg.Connection, number: int, invoice: int = invoice) -> str | None:
            if number == 0:
                return code_of(edit(connection, customer, invoice, 4000))
            return code_of(act(connection, customer, "void_invoice", invoice))

        edited, void = shop.at_once(2, change)
        assert void is None
        log = shop.rows.execute(
            "select action from activity_logs where invoice_id = %s order by id desc limit 2", (invoice,)
        ).fetchall()
        assert (edited, log[0]) in {("NOT_EDITABLE", ("INVOICE_VOIDED",)), (None, ("INVOICE_VOIDED",))}


def test_a_void_and_a_card_payment_at_once_leave_no_void_that_was_unpaid(
    shop: Shop, customer: Customer
) -> None:
    for _ in range(TIMES // 2):
        invoice = int(create(shop, customer)["id"])
        event = made_here(shop, session_event(invoice, 10_000))

        def change(connection: psycopg.Connection, number: int, invoice: int = invoice) -> Any:
            if number == 0:
                return code_of(act(connection, customer, "void_invoice", invoice))
            return apply_event(partial(call, connection), event)["outcome"]  # noqa: B023

        assert tuple(shop.at_once(2, change)) in {("HAS_PAYMENTS", "APPLIED"), (None, "FLAGGED")}


def test_a_deletion_and_a_payment_at_once_lose_no_payment(shop: Shop, customer: Customer) -> None:
    for _ in range(TIMES // 2):
        invoice = int(create(shop, customer)["id"])

        def change(connection: psycopg.Connection, number: int, invoice: int = invoice) -> str | None:
            if number == 0:
                return code_of(act(connection, customer, "delete_invoice", invoice))
            return code_of(record(connection, customer, invoice, 1))

        assert tuple(shop.at_once(2, change)) in {("HAS_PAYMENTS", None), (None, "INVOICE_NOT_FOUND")}


def test_a_deleted_invoices_late_card_payment_is_unmatched(
    shop: Shop, customer: Customer, invoice: int
) -> None:
    session = open_page(shop, invoice)
    assert act(shop.rows, customer, "delete_invoice", invoice)["retired"] == session
    assert apply(shop, session_event(invoice)) == {"outcome": "UNMATCHED"}
