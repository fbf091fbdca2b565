"""The price of a print: the rule by hand, and what must hold for every input."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from printshop.pricing.print_price import Correction, Material, Rates, price_print

PLA = Material(cost_per_kg_cents=3500, density_mg_cm3=1240)
SHOP = Rates(hourly_rate_cents=4500, setup_cents=2000, minimum_cents=3500)

materials = st.builds(Material, st.integers(0, 10**6), st.integers(100, 20_000))
shop_rates = st.builds(
    Rates, st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 100_000)
)
volumes = st.integers(1, 10**8)
times = st.integers(1, 10**7)
pieces = st.integers(1, 1000)
corrections = st.builds(Correction, st.integers(2000, 50_000), st.integers(2000, 50_000))


def test_a_large_print_costs_material_machine_and_set_up() -> None:
    cost = price_print(volume_mm3=100_000, time_sec=7200, pieces=1, material=PLA, rates=SHOP)
    # 100 cm³ × 1.24 g = 124 g × 3.5 ¢ = 434 ¢; 2 h × 45.00 = 9000 ¢; set-up 2000 ¢
    assert (cost.material_cents, cost.machine_cents, cost.setup_cents) == (434, 9000, 2000)
    assert (cost.minimum_applied, cost.minimum_top_up_cents, cost.fast_track_cents) == (False, 0, 0)
    assert cost.total_cents == 11_434


def test_a_small_print_costs_the_minimum() -> None:
    cost = price_print(volume_mm3=3345, time_sec=600, pieces=1, material=PLA, rates=SHOP)
    # 4.1478 g × 3.5 = 14.5 ¢; 10 min = 750 ¢; with set-up 2764.5 < 3500
    assert (cost.material_cents, cost.machine_cents) == (15, 750)
    assert (cost.minimum_applied, cost.minimum_top_up_cents, cost.total_cents) == (True, 735, 3500)


def test_set_up_and_minimum_count_once_a_line_not_a_piece() -> None:
    one = price_print(volume_mm3=100_000, time_sec=7200, pieces=1, material=PLA, rates=SHOP)
    ten = price_print(volume_mm3=100_000, time_sec=7200, pieces=10, material=PLA, rates=SHOP)
    assert ten.total_cents == 10 * (one.total_cents - 2000) + 2000 == 96_340
    small = price_print(volume_mm3=3345, time_sec=600, pieces=2, material=PLA, rates=SHOP)
    # 2 × (14.5173 + 750) + 2000 = 3529.03 > 3500
    assert (small.minimum_applied, small.total_cents) == (False, 3529)


def test_a_line_just_at_the_minimum_needs_no_top_up() -> None:
    rates = Rates(hourly_rate_cents=3600, setup_cents=0, minimum_cents=100)
    cost = price_print(volume_mm3=1, time_sec=100, pieces=1, material=Material(0, 1000), rates=rates)
    assert (cost.minimum_applied, cost.total_cents) == (False, 100)


def test_fast_track_is_a_surcharge_on_the_whole_line() -> None:
    rates = Rates(4500, 2000, 3500, fast_track_surcharge_bps=2500)
    slow = price_print(volume_mm3=3345, time_sec=600, pieces=1, material=PLA, rates=rates)
    fast = price_print(volume_mm3=3345, time_sec=600, pieces=1, material=PLA, rates=rates, fast_track=True)
    assert (slow.fast_track_cents, slow.total_cents) == (0, 3500)
    assert (fast.fast_track_cents, fast.total_cents) == (875, 4375)


def test_pieces_are_multiplied_before_rounding() -> None:
    rates = Rates(hourly_rate_cents=0, setup_cents=0, minimum_cents=0)
    third = Material(cost_per_kg_cents=1, density_mg_cm3=1000)
    cost = price_print(volume_mm3=400_000, time_sec=1, pieces=3, material=third, rates=rates)
    assert cost.total_cents == 1  # 3 × 0.4, where rounding each piece first would give 0


@pytest.mark.parametrize("bps", [0, 1, 5000, 100_000])
def test_without_fast_track_the_surcharge_is_not_charged(bps: int) -> None:
    rates = Rates(4500, 2000, 3500, bps)
    assert price_print(volume_mm3=1, time_sec=1, pieces=1, material=PLA, rates=rates).fast_track_cents == 0


def test_what_real_prints_took_corrects_hours_and_grams_alone() -> None:
    a_tenth_longer = Correction(time_bps=11_000, mass_bps=10_500)
    cost = price_print(
        volume_mm3=100_000, time_sec=7200, pieces=1, material=PLA, rates=SHOP, correction=a_tenth_longer
    )
    # 434 ¢ × 1.05 = 455.7; 9000 ¢ × 1.1 = 9900; set-up 2000
    assert (cost.material_cents, cost.machine_cents, cost.setup_cents) == (456, 9900, 2000)
    assert cost.total_cents == 12_356


def test_corrected_time_is_not_rounded_before_it_is_priced() -> None:
    rates = Rates(hourly_rate_cents=3600 * 1000, setup_cents=0, minimum_cents=0)
    cost = price_print(
        volume_mm3=1,
        time_sec=1,
        pieces=1,
        material=Material(0, 1000),
        rates=rates,
        correction=Correction(12_344),
    )
    assert cost.total_cents == 1234  # 1.2344 s at 1000 ¢ a second


@given(volumes, times, pieces, materials, shop_rates)
def test_a_correction_of_one_is_none(
    volume: int, time: int, count: int, material: Material, rates: Rates
) -> None:
    plain = price_print(volume_mm3=volume, time_sec=time, pieces=count, material=material, rates=rates)
    corrected = price_print(
        volume_mm3=volume,
        time_sec=time,
        pieces=count,
        material=material,
        rates=rates,
        correction=Correction(10_000, 10_000),
    )
    assert plain == corrected


@given(volumes, times, pieces, materials, shop_rates, st.booleans(), corrections)
def test_the_parts_shown_add_up_to_the_total(
    volume: int,
    time: int,
    count: int,
    material: Material,
    rates: Rates,
    fast: bool,
    correction: Correction,
) -> None:
    cost = price_print(
        volume_mm3=volume,
        time_sec=time,
        pieces=count,
        material=material,
        rates=rates,
        fast_track=fast,
        correction=correction,
    )
    parts = (
        cost.material_cents,
        cost.machine_cents,
        cost.setup_cents,
        cost.minimum_top_up_cents,
        cost.fast_track_cents,
    )
    assert sum(parts) == cost.total_cents
    assert all(part >= 0 for part in parts)


@given(volumes, times, pieces, materials, shop_rates, st.booleans(), corrections)
def test_the_total_agrees_with_an_independent_computation(
    volume: int,
    time: int,
    count: int,
    material: Material,
    rates: Rates,
    fast: bool,
    correction: Correction,
) -> None:
    grams = Fraction(volume, 1000) * Fraction(material.density_mg_cm3, 1000) * correction.mass_bps / 10_000
    hours = Fraction(time, 3600) * Fraction(correction.time_bps, 10_000)
    piece = grams / 1000 * material.cost_per_kg_cents + hours * rates.hourly_rate_cents
    line = max(Fraction(rates.minimum_cents), piece * count + rates.setup_cents)
    if fast:
        line *= 1 + Fraction(rates.fast_track_surcharge_bps, 10_000)
    cost = price_print(
        volume_mm3=volume,
        time_sec=time,
        pieces=count,
        material=material,
        rates=rates,
        fast_track=fast,
        correction=correction,
    )
    assert cost.total_cents == math.floor(line + Fraction(1, 2))
    assert cost.minimum_applied == (piece * count + rates.setup_cents < rates.minimum_cents)


@given(volumes, times, st.integers(1, 999), materials, shop_rates)
def test_one_piece_more_never_costs_less(
    volume: int, time: int, count: int, material: Material, rates: Rates
) -> None:
    def total(n: int) -> int:
        return price_print(
            volume_mm3=volume, time_sec=time, pieces=n, material=material, rates=rates
        ).total_cents

    assert total(count) <= total(count + 1)
