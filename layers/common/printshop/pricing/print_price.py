"""What a print costs, from what the slicer said. Pure and exact.

cost of a piece = cm³ × density × cost per kg + hours × hourly rate
line            = max(minimum, pieces × cost + set-up), then the fast-track surcharge

Set-up and minimum count once a line. Volume and time come from a stored slice, never from a request. Where the shop
prices by its own prints, cm³ and hours are first multiplied by what those took against what the slicer said of them.
"""

from dataclasses import dataclass
from fractions import Fraction

from printshop.kernel.money import BASIS_POINTS, round_half_up

RULE_VERSION = 1
"""Stored with every price, so that an old one can be recomputed by the rule that made it."""


@dataclass(frozen=True, slots=True)
class Material:
    """A filament: minor units per kilogram and milligrams per cm³, so that 3.5 ¢/g is exact."""

    cost_per_kg_cents: int
    density_mg_cm3: int


@dataclass(frozen=True, slots=True)
class Rates:
    """The shop's prices in minor units; the surcharge in basis points."""

    hourly_rate_cents: int
    setup_cents: int
    minimum_cents: int
    fast_track_surcharge_bps: int = 0


@dataclass(frozen=True, slots=True)
class Correction:
    """What real prints took by what the slicer said of them, in basis points: 11000 is a tenth more."""

    time_bps: int = BASIS_POINTS
    mass_bps: int = BASIS_POINTS


AS_SLICED = Correction()


@dataclass(frozen=True, slots=True)
class PrintCost:
    """The breakdown of one line, in minor units; the parts add up to `total_cents`."""

    material_cents: int
    machine_cents: int
    setup_cents: int
    minimum_applied: bool
    minimum_top_up_cents: int
    fast_track_cents: int
    total_cents: int


def price_print(
    *,
    volume_mm3: int,
    time_sec: int,
    pieces: int,
    material: Material,
    rates: Rates,
    fast_track: bool = False,
    correction: Correction = AS_SLICED,
) -> PrintCost:
    """Price `pieces` of one sliced model. Exact until each shown part is rounded; the line itself once."""
    mass_mg = Fraction(volume_mm3 * material.density_mg_cm3 * correction.mass_bps, 1000 * BASIS_POINTS)
    material_cost = pieces * mass_mg * material.cost_per_kg_cents / 1_000_000
    machine_cost = pieces * Fraction(
        time_sec * correction.time_bps * rates.hourly_rate_cents, 3600 * BASIS_POINTS
    )
    cost = material_cost + machine_cost + rates.setup_cents
    minimum_applied = cost < rates.minimum_cents
    base = max(cost, Fraction(rates.minimum_cents))
    surcharge_bps = rates.fast_track_surcharge_bps if fast_track else 0
    total = round_half_up(base * (BASIS_POINTS + surcharge_bps) / BASIS_POINTS)

    # Shown parts are rounded one after the other, each as what its running sum adds, so that they add up.
    after_material = round_half_up(material_cost)
    after_machine = round_half_up(material_cost + machine_cost)
    after_setup = round_half_up(cost)
    after_minimum = round_half_up(base)
    return PrintCost(
        material_cents=after_material,
        machine_cents=after_machine - after_material,
        setup_cents=after_setup - after_machine,
        minimum_applied=minimum_applied,
        minimum_top_up_cents=after_minimum - after_setup,
        fast_track_cents=total - after_minimum,
        total_cents=total,
    )
