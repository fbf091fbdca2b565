"""A document's arithmetic: lines, discount, shipping, tax, total. Pure; one place for screen, PDF, Stripe, database.

Rounding is half-up, once per line and once per tax total (`printshop.kernel.money`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from printshop.kernel.money import BASIS_POINTS, QUANTITY_SCALE, round_half_up

type DiscountType = Literal["NONE", "PERCENT", "FIXED"]


@dataclass(frozen=True, slots=True)
class Discount:
    """PERCENT by `bps` (0–10,000) or FIXED by `cents`; neither takes an amount below zero."""

    kind: DiscountType = "NONE"
    bps: int = 0
    cents: int = 0

    def of(self, amount_cents: int) -> int:
        """The discount on `amount_cents`, in minor units, at most the amount itself."""
        if self.kind == "PERCENT":
            return round_half_up(Fraction(amount_cents * self.bps, BASIS_POINTS))
        return min(self.cents, amount_cents) if self.kind == "FIXED" else 0


@dataclass(frozen=True, slots=True)
class Line:
    """One line: thousandths of a unit at a price per unit, less its own discount."""

    quantity_milli: int
    unit_price_cents: int
    discount: Discount = Discount()

    @property
    def total_cents(self) -> int:
        gross = Fraction(self.quantity_milli * self.unit_price_cents, QUANTITY_SCALE)
        if self.discount.kind == "PERCENT":
            # One rounding a line: the percentage is taken off the exact product.
            return round_half_up(gross * (BASIS_POINTS - self.discount.bps) / BASIS_POINTS)
        return (
            max(0, round_half_up(gross - self.discount.cents))
            if self.discount.kind == "FIXED"
            else (round_half_up(gross))
        )


@dataclass(frozen=True, slots=True)
class Totals:
    """A document's amounts in minor units; `total = subtotal - discount + shipping + tax`."""

    subtotal_cents: int
    discount_cents: int
    shipping_cents: int
    tax_rate_bps: int
    tax_cents: int
    total_cents: int


def totals(
    line_totals_cents: Sequence[int],
    *,
    tax_rate_bps: int,
    shipping_cents: int = 0,
    discount: Discount = Discount(),
) -> Totals:
    """Sum a document. The discount is clamped to the subtotal; tax is due on what is left and on shipping."""
    subtotal = sum(line_totals_cents)
    less = discount.of(subtotal)
    taxed = subtotal - less + shipping_cents
    tax = round_half_up(Fraction(taxed * tax_rate_bps, BASIS_POINTS))
    return Totals(subtotal, less, shipping_cents, tax_rate_bps, tax, taxed + tax)


def balance_cents(total_cents: int, paid_cents: int) -> int:
    """What is still to pay; an overpayment is credit, never a negative balance."""
    return max(0, total_cents - paid_cents)
