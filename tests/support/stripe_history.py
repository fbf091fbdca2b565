"""What happens to an invoice's card payments at Stripe, told in Stripe's events, and what the books then have to say.

The books are reckoned from what happened, never from the events, and share nothing with the product: so they hold
whatever the order in which the events arrive.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any
from uuid import uuid4

import psycopg

from printshop.adapters.stripe import API_VERSION

type Event = dict[str, Any]
type Row = tuple[str, int, str, str | None]
"""A row of the ledger: kind, cents, Stripe's id, and for a refund the payment that it went back from."""

BEGINNING = 1_767_225_600
DISPUTED = "its payment is disputed"
REFUNDED = "money was refunded"
ENDS = {"pending": ("succeeded", "failed", "canceled"), "succeeded": ("failed",)}
"""What may become of a refund."""


@dataclass(frozen=True)
class Books:
    """An invoice in the shop's books."""

    status: str
    paid_cents: int
    balance_cents: int
    credit_cents: int
    rows: frozenset[Row]
    jobs: int
    held: str | None


@dataclass
class Refund:
    id: str
    cents: int
    at: int
    status: str

    @property
    def stands(self) -> bool:
        return self.status in ("pending", "succeeded")


@dataclass
class Dispute:
    id: str
    cents: int
    at: int
    withdrawn: bool = False
    reinstated: bool = False
    status: str = "needs_response"

    @property
    def stands(self) -> bool:
        """Whether it keeps money."""
        return self.withdrawn and not self.reinstated


@dataclass
class Payment:
    """A session that somebody has completed; `paid_at` is 0 until the money has come."""

    session: str
    intent: str
    charge: str
    cents: int
    paid_at: int = 0
    failed: bool = False
    refunds: list[Refund] = field(default_factory=list)
    dispute: Dispute | None = None

    @property
    def refunded(self) -> int:
        """Stripe's `amount_refunded`: of the refunds that have not come back."""
        return sum(refund.cents for refund in self.refunds if refund.stands)

    @property
    def rest(self) -> int:
        """What can be refunded or disputed."""
        return self.cents - self.refunded if self.paid_at and self.dispute is None else 0

    @property
    def gone(self) -> list[tuple[int, int, str]]:
        """What has gone back and stayed away: moment, cents, Stripe's id."""
        gone = [(refund.at, refund.cents, refund.id) for refund in self.refunds if refund.stands]
        if self.dispute and self.dispute.stands:
            gone.append((self.dispute.at, self.dispute.cents, self.dispute.id))
        return gone


def new_id(kind: str) -> str:
    return f"{kind}_{uuid4().hex}"


class History:
    """One invoice at Stripe. `events` are in the order in which Stripe made them; `app_url` is the shop's own."""

    def __init__(
        self, invoice_id: int, number: str, total_cents: int, dice: Random, app_url: str = ""
    ) -> None:
        self.invoice_id = invoice_id
        self.number = number
        self.total = total_cents
        self.events: list[Event] = []
        self.payments: list[Payment] = []
        self._dice = dice
        self._app_url = app_url
        self._now = BEGINNING

    def go_on(self, acts: int) -> None:
        """So many things happen, whatever can."""
        for _ in range(acts):
            self.wait(self._dice.randrange(90))
            self._dice.choice(self._possible())()

    def wait(self, seconds: int = 60) -> None:
        self._now += seconds

    def _possible(self) -> list[Callable[[], object]]:
        possible: list[Callable[[], object]] = [self.pay, self.pay, self.authorise_debit, self.abandon]
        for payment in self.payments:
            if not payment.paid_at and not payment.failed:
                possible += [partial(self.settle_debit, payment, self._dice.random() < 0.7)] * 2
            if payment.rest:
                possible += [partial(self.refund, payment), partial(self.open_dispute, payment)]
            for refund in payment.refunds:
                if refund.stands:
                    possible += [
                        partial(self.end_refund, payment, refund, end) for end in ENDS[refund.status]
                    ]
            if payment.dispute and payment.dispute.status == "needs_response":
                possible += self._next_of_dispute(payment, payment.dispute)
        return possible

    # ---- what customers do

    def pay(self, cents: int | None = None) -> None:
        """By card, of a page that asked for so much; or for all of it, less or more."""
        payment = self._completed(cents)
        payment.paid_at = self._now
        self._tell("payment_intent.succeeded", {"id": payment.intent, "object": "payment_intent"})
        self._tell_session("completed", payment)

    def authorise_debit(self) -> None:
        self._tell_session("completed", self._completed())

    def abandon(self) -> None:
        """A page's time is up."""
        session = Payment(new_id("cs_test"), "", "", self._amount())
        self._tell_session("expired", session)

    # ---- what banks and the shop do

    def settle_debit(self, payment: Payment, succeeds: bool) -> None:
        if succeeds:
            payment.paid_at = self._now
            self._tell_session("async_payment_succeeded", payment)
        else:
            payment.failed = True
            self._tell_session("async_payment_failed", payment)

    def refund(self, payment: Payment, cents: int | None = None) -> Refund:
        """So much, or all of the rest or a part."""
        cents = cents or self._dice.choice([payment.rest, self._dice.randint(1, payment.rest)])
        refund = Refund(new_id("re"), cents, self._now, self._dice.choice(["succeeded", "pending"]))
        payment.refunds.append(refund)
        self._tell("refund.created", _refund(payment, refund))
        self._tell("charge.refunded", _charge(payment))
        return refund

    def end_refund(self, payment: Payment, refund: Refund, status: str) -> None:
        refund.status = status
        if status == "failed":
            self._tell("refund.failed", _refund(payment, refund))
        self._tell("refund.updated", _refund(payment, refund))
        self._tell("charge.refund.updated", _refund(payment, refund))

    def open_dispute(self, payment: Payment, cents: int | None = None) -> Dispute:
        """Of so much, or of the rest or a part: a mere inquiry until its funds are withdrawn."""
        cents = cents or self._dice.choice([payment.rest, self._dice.randint(1, payment.rest)])
        payment.dispute = Dispute(new_id("dp"), cents, self._now)
        self._tell_dispute("created", payment)
        return payment.dispute

    def withdraw(self, payment: Payment, dispute: Dispute) -> None:
        dispute.withdrawn = True
        self._tell_dispute("funds_withdrawn", payment)

    def close_dispute(self, payment: Payment, dispute: Dispute, status: str) -> None:
        dispute.status = status
        if status == "won":
            dispute.reinstated = True
            self._tell_dispute("funds_reinstated", payment)
        self._tell_dispute("closed", payment)

    def _next_of_dispute(self, payment: Payment, dispute: Dispute) -> Sequence[Callable[[], object]]:
        closed = {
            end: partial(self.close_dispute, payment, dispute, end)
            for end in ("won", "lost", "warning_closed")
        }
        if dispute.withdrawn:
            return [closed["won"], closed["lost"]]
        return [partial(self.withdraw, payment, dispute)] * 2 + [closed["warning_closed"]]

    # ---- the truth

    def books(self) -> Books:
        """What came back counts as never gone; an invoice is paid once its ledger, by time, has reached the total."""
        paid = [payment for payment in self.payments if payment.paid_at]
        gone = [(payment, *one) for payment in paid for one in payment.gone]
        moves = [(payment.paid_at, 0, payment.cents) for payment in paid]
        moves += [(at, 1, -cents) for _, at, cents, _ in gone]
        net, highest = 0, 0
        for _, _, cents in sorted(moves):
            net += cents
            highest = max(highest, net)
        undecided = any(p.dispute and p.dispute.status == "needs_response" for p in paid)
        all_gone = bool(gone) and net <= 0 and not undecided
        status = "PENDING" if highest < self.total else "REFUNDED" if all_gone else "PAID"
        has_job = sum(payment.cents for payment in paid) >= self.total
        blamed = any(p.dispute and p.dispute.status in ("needs_response", "lost") for p in paid)
        held = DISPUTED if blamed else REFUNDED if gone and net < self.total else None
        return Books(
            status=status,
            paid_cents=net,
            balance_cents=0 if status == "REFUNDED" else max(0, self.total - net),
            credit_cents=max(0, net - self.total),
            rows=frozenset(
                [("PAYMENT", payment.cents, payment.intent, None) for payment in paid]
                + [("REFUND", -cents, reversal, payment.intent) for payment, _, cents, reversal in gone]
            ),
            jobs=int(has_job),
            held=held if has_job else None,
        )

    # ---- telling it

    def _completed(self, cents: int | None = None) -> Payment:
        payment = Payment(new_id("cs_test"), new_id("pi"), new_id("ch"), cents or self._amount())
        self.payments.append(payment)
        return payment

    def _amount(self) -> int:
        part, more = self._dice.randint(1, self.total), self.total + self._dice.randint(1, 5000)
        return self._dice.choice([self.total, self.total, part, more])

    def _tell_session(self, kind: str, payment: Payment) -> None:
        session = {
            "id": payment.session,
            "object": "checkout.session",
            "isOurs": True,  # as whoever receives it would find by its return addresses
            "amount_total": payment.cents,
            "currency": "aud",
            "cancel_url": f"{self._app_url}/cancelled",
            "success_url": f"{self._app_url}/paid",
            "metadata": {"invoiceId": str(self.invoice_id), "invoiceNumber": self.number},
            "payment_intent": payment.intent or None,
            "payment_status": "paid" if payment.paid_at else "unpaid",
            "status": "expired" if kind == "expired" else "complete",
        }
        self._tell(f"checkout.session.{kind}", session)

    def _tell_dispute(self, kind: str, payment: Payment) -> None:
        dispute = payment.dispute
        assert dispute
        shown = {
            "id": dispute.id,
            "object": "dispute",
            "amount": dispute.cents,
            "charge": payment.charge,
            "created": dispute.at,
            "currency": "aud",
            "payment_intent": payment.intent,
            "status": dispute.status,
        }
        self._tell(f"charge.dispute.{kind}", shown)

    def _tell(self, kind: str, subject: dict[str, Any]) -> None:
        event = {
            "id": new_id("evt"),
            "object": "event",
            "api_version": API_VERSION,
            "created": self._now,
            "data": {"object": subject},
            "livemode": False,
            "type": kind,
        }
        self.events.append(event)


def _refund(payment: Payment, refund: Refund) -> dict[str, Any]:
    return {
        "id": refund.id,
        "object": "refund",
        "amount": refund.cents,
        "charge": payment.charge,
        "created": refund.at,
        "currency": "aud",
        "payment_intent": payment.intent,
        "status": refund.status,
    }


def _charge(payment: Payment) -> dict[str, Any]:
    return {
        "id": payment.charge,
        "object": "charge",
        "amount": payment.cents,
        "amount_refunded": payment.refunded,
        "created": payment.paid_at,
        "currency": "aud",
        "payment_intent": payment.intent,
        "refunded": payment.refunded == payment.cents,
    }


def kept_books(database: psycopg.Connection, invoice_id: int) -> Books:
    """What the product has written down of an invoice."""
    row = database.execute(
        "select status::text, paid_cents, balance_cents, credit_cents from invoices where id = %s",
        (invoice_id,),
    ).fetchone()
    assert row is not None
    rows = database.execute(
        "select p.kind::text, p.amount_cents, p.processor_id, parent.processor_id from payments p"
        " left join payments parent on parent.id = p.parent_payment_id where p.invoice_id = %s",
        (invoice_id,),
    ).fetchall()
    jobs = database.execute("select held_reason from jobs where invoice_id = %s", (invoice_id,)).fetchall()
    assert len(rows) == len(set(rows))
    status, paid, balance, credit = row
    return Books(status, paid, balance, credit, frozenset(rows), len(jobs), jobs[0][0] if jobs else None)
