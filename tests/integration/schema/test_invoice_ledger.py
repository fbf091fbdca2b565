"""Whatever happens to an invoice, in whatever order, its figures are those of the ledger rule."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.integration.schema.invoices import act, code_of, create, edit, record, refund
from tests.integration.schema.shop import Customer, Shop
from tests.integration.schema.test_payments import apply, session_event

AMOUNTS = st.integers(1, 300)


@dataclass
class Books:
    """The ledger rule of the domain, written down once more and apart: what an invoice is by what happened to it."""

    total: int
    status: str = "PENDING"
    written_off: int = 0
    payments: dict[int, tuple[str, int]] = field(default_factory=dict)
    refunds: dict[int, int] = field(default_factory=dict)
    movements: dict[int, tuple[str, int]] = field(default_factory=dict)
    """Payments and refunds by id: when the money moved, and how much of it came in."""

    def __post_init__(self) -> None:
        self.settle()

    @property
    def paid(self) -> int:
        return sum(cents for _, cents in self.payments.values()) - sum(self.refunds.values())

    @property
    def peak(self) -> int:
        """The most that was ever paid: once paid in full, an invoice stays so when money is refunded."""
        sums = [0]
        for _, cents in sorted(self.movements.values(), key=lambda moved: (moved[0], -moved[1])):
            sums.append(sums[-1] + cents)
        return max(sums)

    @property
    def balance(self) -> int:
        return max(0, self.total - self.paid) if self.is_open or self.status == "PAID" else 0

    @property
    def credit(self) -> int:
        return max(0, self.paid - self.total)

    @property
    def is_open(self) -> bool:
        return self.status == "PENDING"

    @property
    def is_closed(self) -> bool:
        return self.status in {"VOID", "WRITTEN_OFF", "REFUNDED"}

    @property
    def has_card(self) -> bool:
        return any(method == "STRIPE" for method, _ in self.payments.values())

    def settle(self) -> None:
        if self.is_open and self.peak >= self.total:
            self.status = "PAID"
        elif self.status == "PAID" and self.refunds and self.paid <= 0:
            self.status = "REFUNDED"
        elif self.status == "REFUNDED" and self.paid > 0:  # a card's money that came after it
            self.status = "PAID"
        elif self.status == "PAID" and self.peak < self.total:
            self.status = "PENDING"


class Ledger(RuleBasedStateMachine):
    """An invoice in the database beside the same one in the books."""

    shop: ClassVar[Shop]
    customer: ClassVar[Customer]

    @initialize(total=st.integers(0, 300))
    def write(self, total: int) -> None:
        self.id = int(create(self.shop, self.customer, total, p_due_date="2099-01-01")["id"])
        self.books = Books(total)

    def keep(self, answer: Any) -> None:
        """Enter into the books the payments that the database has on top."""
        known = self.books.payments
        for payment in answer["payments"]:
            self.books.movements[payment["id"]] = (payment["paidAt"], payment["amountCents"])
            if payment["kind"] == "PAYMENT" and payment["id"] not in known:
                known[payment["id"]] = (payment["method"], payment["amountCents"])

    def read(self) -> Any:
        return self.shop.call("get_invoice", p_invoice_id=self.id, p_client_id=None)

    @rule(cents=AMOUNTS)
    def pay(self, cents: int) -> None:
        answer = record(self.shop.rows, self.customer, self.id, cents)
        if not self.books.is_open:
            assert code_of(answer) == ("NOT_PAYABLE" if self.books.is_closed else "ALREADY_PAID")
        elif cents > self.books.balance:
            assert code_of(answer) == "EXCEEDS_BALANCE"
        else:
            self.keep(answer["invoice"])
            self.books.settle()

    @rule()
    def mark_paid(self) -> None:
        answer = record(self.shop.rows, self.customer, self.id, None)
        assert (code_of(answer) is None) == self.books.is_open
        if self.books.is_open:
            self.keep(answer["invoice"])
            self.books.settle()
            assert self.books.status == "PAID"

    @rule(cents=AMOUNTS)
    def pay_by_card(self, cents: int) -> None:
        """Stripe's word is always taken, whatever the state."""
        assert apply(self.shop, session_event(self.id, cents))["outcome"] in {"APPLIED", "FLAGGED"}
        self.keep(self.read())
        self.books.settle()

    @precondition(lambda self: self.books.payments)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        payment = data.draw(st.sampled_from(sorted(self.books.payments)))
        answer = act(self.shop.rows, self.customer, "delete_payment", self.id, p_payment_id=payment)
        if self.books.payments[payment][0] == "STRIPE":
            assert code_of(answer) == "USE_REFUND"
        elif self.books.refunds:
            assert code_of(answer) == "HAS_REFUNDS"
        elif self.books.is_closed:
            assert code_of(answer) == "INVOICE_CLOSED"
        else:
            assert code_of(answer) is None
            del self.books.payments[payment], self.books.movements[payment]
            self.books.settle()

    @rule()
    def mark_unpaid(self) -> None:
        answer = act(self.shop.rows, self.customer, "mark_invoice_unpaid", self.id)
        if self.books.has_card or self.books.refunds:
            assert code_of(answer) == "USE_REFUND"
        elif self.books.is_closed:
            assert code_of(answer) == "INVOICE_CLOSED"
        elif not self.books.payments:
            assert code_of(answer) == "NOT_PAID"
        else:
            assert code_of(answer) is None
            self.books.payments.clear()
            self.books.movements.clear()
            self.books.settle()

    @rule(total=st.integers(0, 300))
    def edit(self, total: int) -> None:
        answer = edit(self.shop.rows, self.customer, self.id, total)
        if self.books.is_closed:
            assert code_of(answer) == "NOT_EDITABLE"
        elif self.books.refunds and total > self.books.total:
            assert code_of(answer) == "HAS_REFUNDS"
        else:
            assert code_of(answer) is None
            self.books.total = total
            self.books.settle()

    @precondition(lambda self: self.books.payments)
    @rule(data=st.data())
    def refund(self, data: st.DataObject) -> None:
        """Back to whom it came from, at most what came."""
        payment = data.draw(st.sampled_from(sorted(self.books.payments)))
        left = self.books.payments[payment][1] - self.books.refunds.get(payment, 0)
        if left:
            cents = data.draw(st.integers(1, left))
            refund(self.shop, payment, cents)
            self.books.refunds[payment] = self.books.refunds.get(payment, 0) + cents
            self.keep(self.read())
            self.books.settle()

    @rule()
    def void(self) -> None:
        answer = act(self.shop.rows, self.customer, "void_invoice", self.id)
        if self.books.is_closed:
            assert code_of(answer) == "INVOICE_CLOSED"
        elif self.books.payments:
            assert code_of(answer) == "HAS_PAYMENTS"
        else:
            assert code_of(answer) is None
            self.books.status = "VOID"

    @rule()
    def write_off(self) -> None:
        owed = self.books.balance
        answer = act(self.shop.rows, self.customer, "write_off_invoice", self.id)
        assert (code_of(answer) is None) == self.books.is_open
        if self.books.is_open:
            self.books.status, self.books.written_off = "WRITTEN_OFF", owed

    @invariant()
    def figures_are_those_of_the_books(self) -> None:
        if not hasattr(self, "id"):
            return
        row = self.shop.rows.execute(
            "select status::text, total_cents, paid_cents, balance_cents, credit_cents, written_off_cents,"
            " (select coalesce(sum(amount_cents), 0) from payments where invoice_id = i.id)"
            " from invoices i where id = %s",
            (self.id,),
        ).fetchone()
        books = self.books
        figures = (
            books.status,
            books.total,
            books.paid,
            books.balance,
            books.credit,
            books.written_off,
            books.paid,
        )
        assert row == figures


def test_the_ledger_rule_holds_after_any_sequence(shop: Shop) -> None:
    Ledger.shop, Ledger.customer = shop, shop.customer()
    run_state_machine_as_test(
        Ledger,
        settings=settings(
            max_examples=30, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
