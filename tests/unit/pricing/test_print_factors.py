"""What real prints say of the slicer's figures: the doubt about it, in numbers and in words."""

from typing import Any

import pytest

from printshop.orders.pricing import Address, OrderedModel, OrderInputs, price_order
from printshop.pricing.price_book import for_customer
from printshop.pricing.print_factors import PrintFactor, Ratio, correction_of
from printshop.pricing.print_price import AS_SLICED, Correction

TIME = {"prints": 23, "factorBps": 11_240, "spreadBps": 620}
MASS = {"prints": 5, "factorBps": 10_333, "spreadBps": 3000}


def ratio(**changes: Any) -> Ratio:
    return Ratio.model_validate({**TIME, **changes})


def factor(time: Any = TIME, mass: Any = MASS) -> PrintFactor:
    return PrintFactor.model_validate({"printerId": 3, "printer": "Prusa MK4", "time": time, "mass": mass})


@pytest.mark.parametrize(
    ("prints", "spread", "doubt", "sureness"),
    [
        (23, 620, 203, "SURE"),  # 1.57 × 620 / √23 = 202.97
        (5, 0, 0, "SURE"),
        (25, 1593, 501, "FAIR"),  # 500.2, and never less than it is
        (25, 4777, 1500, "FAIR"),
        (25, 4778, 1501, "ROUGH"),
        (4, 0, None, "TOO_FEW"),
        (0, None, None, "TOO_FEW"),
    ],
)
def test_the_doubt_falls_with_the_prints_and_rises_with_their_spread(
    prints: int, spread: int | None, doubt: int | None, sureness: str
) -> None:
    of = ratio(prints=prints, spreadBps=spread)
    assert (of.plus_minus_bps, of.sureness) == (doubt, sureness)


def test_the_words_say_the_factor_the_doubt_and_the_prints() -> None:
    said = factor().how_sure
    assert said == (
        "1.12 times the slicer's time, give or take 0.02, by 23 prints: sure; "
        "1.03 times the slicer's filament, give or take 0.21, by 5 prints: rough"
    )
    assert factor(mass=None).how_sure == said.split("; ")[0]
    assert factor(time=None).how_sure == said.split("; ")[1]
    too_few = ratio(prints=3).in_words("time")
    assert too_few == "3 of the 5 prints that it takes to correct the slicer's time"


def test_a_line_keeps_the_factor_beside_the_slicers_figures_and_gives_it_back() -> None:
    details = factor().details(time_sec=1719, mass_mg=4150)
    assert (details["correctedTimeSec"], details["correctedMassMg"]) == (1932, 4288)  # 1932.2 s, 4288.2 mg
    assert details["printFactor"]["time"] == {**TIME, "plusMinusBps": 203, "sureness": "SURE"}
    assert correction_of(details) == Correction(11_240, 10_333)
    assert correction_of(factor(time=None).details(time_sec=1, mass_mg=1)) == Correction(10_000, 10_333)
    assert correction_of({"timeSec": 1719}) == AS_SLICED


def test_a_customer_reads_the_corrected_figures_and_not_what_corrected_them() -> None:
    sliced = {
        "material": "PLA",
        "pieces": 2,
        "timeSec": 1719,
        "massMg": 4150,
        "grams": 4.15,
        "costPerKgCents": 1,
    }
    shown = for_customer(
        [{"details": sliced | factor().details(time_sec=1719, mass_mg=4150)}, {"details": sliced}]
    )
    common = {"material": "PLA", "pieces": 2}
    assert [line["details"] for line in shown] == [
        {**common, "timeSec": 1932, "massMg": 4288, "grams": 4.288},
        {**common, "timeSec": 1719, "massMg": 4150, "grams": 4.15},
    ]


def test_an_orders_breakdown_shows_what_corrected_it() -> None:
    model = {
        "fileId": 7, "storageKey": "k", "filename": "bunny.stl", "sizeBytes": 684, "mimeType": "model/stl",
        "contentHash": "c" * 64, "settingsHash": "5" * 64, "busy": False, "uploaded": True, "isOutput": False,
        "isCurrent": True, "fallback": False, "error": None, "logTail": None, "preview": None, "settings": {},
        "slice": {
            "massMg": 124_000, "volumeMm3": 100_000, "filamentMm": 41_580, "timeSec": 7200,
            "slicer": "PrusaSlicer", "slicerVersion": "2.9.2", "profile": "generic/pla",
        },
        "material": {"id": 1, "name": "PLA", "costPerKgCents": 3500, "densityMgCm3": 1240},
        "output": None,
    }  # fmt: skip
    rates = {
        "currency": None, "taxRateBps": 0, "hourlyRateCents": 4500, "setupCents": 0, "minimumCents": 0,
        "fastTrackSurchargeBps": 0,
        "shippingRegions": [
            {"id": 1, "code": "all", "label": "All", "states": [], "postcodePrefixes": [], "baseCents": 0,
             "surchargeCents": 0, "isDefault": True},
        ],
    }  # fmt: skip
    inputs = {"models": [model, {**model, "printFactor": factor().model_dump(by_alias=True)}], "client": {}}
    ordered = OrderedModel(file_id=7, settings_hash="5" * 64)
    order = price_order(
        OrderInputs.model_validate({**inputs, "settings": rates}), [ordered] * 2, Address(), "AUD"
    )
    plain, corrected = order.breakdown().items
    assert plain.print_factor is None
    assert (plain.material_cents, plain.machine_cents) == (434, 9000)
    assert corrected.print_factor is not None
    assert corrected.print_factor.how_sure == factor().how_sure
    # 434 ¢ × 1.0333 and 9000 ¢ × 1.124; the parts are rounded as their running sum is
    assert (corrected.material_cents, corrected.machine_cents) == (448, 10_116)
    assert (corrected.time_sec, corrected.mass_mg) == (7200, 124_000)
