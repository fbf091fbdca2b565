"""A quote's prices computed again from its snapshot alone: grams → cents → totals. Pure.

Compared are the snapshot's own figures and the stored quote. A sliced line's mass is the slicer's: it may differ from
volume × density by 2 % and by what the slicer's two decimals lose (5 mg, and 5 mm³ of filament); a line figured by
hand has its mass to the milligram. A line that real prints corrected holds the factors that did. Cents must be equal.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from printshop.kernel.money import round_half_up
from printshop.pricing.print_factors import corrected_figures, correction_of
from printshop.pricing.print_price import RULE_VERSION, Material, Rates, price_print
from printshop.pricing.totals import Discount, Line, totals

MASS_TOLERANCE = Fraction(2, 100)

SUMS = ("subtotalCents", "discountCents", "shippingCents", "taxRateBps", "taxCents", "totalCents")


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure that is not what its snapshot makes of it."""

    where: str
    computed: object
    found: object


@dataclass(frozen=True, slots=True)
class VerifiedLine:
    """One line, computed. Mass in milligrams a piece (None when it is no print), amounts in minor units."""

    position: int
    description: str
    mass_mg: int | None
    pieces: int
    unit_price_cents: int
    total_cents: int


@dataclass(frozen=True, slots=True)
class Verification:
    """The whole quote, computed, and where it differs."""

    lines: tuple[VerifiedLine, ...]
    total_cents: int
    differences: tuple[Difference, ...]


class NoSnapshot(ValueError):
    """The quote holds nothing that can be computed; the message says why."""


def verify(quote: Mapping[str, Any]) -> Verification:
    """Compute a quote of the database (`get_quote` as the shop) again. Raises NoSnapshot."""
    snapshot = quote["snapshot"] or {}
    if "items" not in snapshot:
        raise NoSnapshot("it was never priced: a client asked for a price by hand.")
    if snapshot["ruleVersion"] != RULE_VERSION:
        raise NoSnapshot(
            f"rule {snapshot['ruleVersion']} priced it; this version computes rule {RULE_VERSION}."
        )
    rates = _rates(snapshot["rates"])
    lines = tuple(_line(number, row, rates) for number, row in enumerate(snapshot["items"], 1))
    document = snapshot["document"]
    sums = totals(
        [line.total_cents for line in lines],
        tax_rate_bps=document["taxRateBps"],
        shipping_cents=document["shippingCents"],
        discount=_discount(document),
    )
    computed = {
        "subtotalCents": sums.subtotal_cents,
        "discountCents": sums.discount_cents,
        "shippingCents": sums.shipping_cents,
        "taxRateBps": sums.tax_rate_bps,
        "taxCents": sums.tax_cents,
        "totalCents": sums.total_cents,
    }
    differences = [*_line_differences(lines, snapshot["items"], quote["items"])]
    for name in SUMS:
        differences += _compared(name, computed[name], snapshot=document[name], quote=quote[name])
    differences += _compared("currency", snapshot["currency"], quote=quote["currency"])
    return Verification(lines, sums.total_cents, tuple(differences))


def _rates(rates: Mapping[str, int]) -> Rates:
    return Rates(
        rates["hourlyRateCents"], rates["setupCents"], rates["minimumCents"], rates["fastTrackSurchargeBps"]
    )


def _discount(row: Mapping[str, Any]) -> Discount:
    return Discount(row["discountType"], row["discountBps"], row["discountFixedCents"])


def _line(position: int, row: Mapping[str, Any], rates: Rates) -> VerifiedLine:
    details = row["details"]
    price, mass_mg = row["unitPriceCents"], None
    if "volumeMm3" in details:
        material = Material(details["costPerKgCents"], details["densityMgCm3"])
        mass_mg = round_half_up(Fraction(details["volumeMm3"] * material.density_mg_cm3, 1000))
        price = price_print(
            volume_mm3=details["volumeMm3"],
            time_sec=details["timeSec"],
            pieces=details["pieces"],
            material=material,
            rates=rates,
            fast_track=details["fastTrack"],
            correction=correction_of(details),
        ).total_cents
    total = Line(row["quantityMilli"], price, _discount(row)).total_cents
    return VerifiedLine(position, row["description"], mass_mg, details.get("pieces", 1), price, total)


def _line_differences(
    lines: tuple[VerifiedLine, ...], rows: list[dict[str, Any]], stored: list[dict[str, Any]]
) -> Iterator[Difference]:
    if len(lines) != len(stored):
        yield Difference("lines", len(lines), len(stored))
    by_position = {item["position"]: item for item in stored}
    for line, row in zip(lines, rows, strict=True):
        where = f"line {line.position} "
        details, kept = row["details"], by_position.get(line.position, {})
        if line.mass_mg is not None and abs(details["massMg"] - line.mass_mg) > _mass_tolerance(details):
            yield Difference(where + "massMg (snapshot)", line.mass_mg, details["massMg"])
        if "printFactor" in details:
            figures = corrected_figures(
                correction_of(details), time_sec=details["timeSec"], mass_mg=details["massMg"]
            )
            for name, figure in figures.items():
                yield from _compared(where + name, figure, snapshot=details[name])
        for name, computed in (("unitPriceCents", line.unit_price_cents), ("totalCents", line.total_cents)):
            yield from _compared(where + name, computed, snapshot=row[name], quote=kept.get(name))
        quantity = round(kept["quantity"] * 1000) if kept else None
        yield from _compared(where + "quantityMilli", row["quantityMilli"], quote=quantity)
        yield from _compared(where + "details", details or None, quote=kept.get("details"))


def _mass_tolerance(details: Mapping[str, Any]) -> Fraction:
    if "slicer" not in details:
        return Fraction(0)
    density: int = details["densityMgCm3"]
    volume: int = details["volumeMm3"]
    return MASS_TOLERANCE * volume * density / 1000 + 5 + Fraction(5 * density, 1000)


def _compared(name: str, computed: object, **found: object) -> Iterator[Difference]:
    for holder, value in found.items():
        if value != computed:
            yield Difference(f"{name} ({holder})", computed, value)
