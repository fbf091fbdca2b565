"""A quote's snapshot computes its price again, and names every figure that was changed."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from printshop.kernel.errors import Unprocessable
from printshop.pricing.document_lines import DocumentRequest, PricedDocument, price_document
from printshop.pricing.price_book import PriceBook
from printshop.quotes.verify import NoSnapshot, verify

MODEL = {
    "fileId": 7,
    "storageKey": "1/a/bunny.stl",
    "filename": "bunny.stl",
    "sizeBytes": 684,
    "mimeType": "model/stl",
    "contentHash": "c" * 64,
    "settingsHash": "5" * 64,
    "busy": False,
    "uploaded": True,
    "isOutput": False,
    "isCurrent": True,
    "fallback": False,
    "error": None,
    "logTail": None,
    "preview": None,
    "settings": {"layerHeight": 0.2, "infill": 15},
    "slice": {
        "massMg": 4150,
        "volumeMm3": 3346,
        "filamentMm": 1391,
        "timeSec": 12_340,
        "slicer": "PrusaSlicer",
        "slicerVersion": "2.5.0",
        "profile": "default",
    },
    "material": {"id": 1, "name": "PLA", "costPerKgCents": 3500, "densityMgCm3": 1240},
    "output": None,
}
PRINT = {"print": {"fileId": 7, "settingsHash": "5" * 64, "pieces": 3, "fastTrack": True}}
FIGURES = {"figures": {"volumeMm3": 100_000, "timeSec": 7200, "pieces": 2}}
SCREWS = {"description": "Screws", "quantity": 1.5, "unitPriceCents": 333}


FACTOR = {
    "printerId": 3,
    "printer": "Prusa MK4",
    "time": {"prints": 23, "factorBps": 11_237, "spreadBps": 620},
    "mass": {"prints": 7, "factorBps": 10_333, "spreadBps": 900},
}


def book(prints: int = 1, factor: dict[str, Any] | None = None, **rates: int) -> PriceBook:
    return PriceBook.model_validate(
        {
            "currency": None,
            "taxRateBps": 1000,
            "hourlyRateCents": 4500,
            "setupCents": 2000,
            "minimumCents": 3500,
            "fastTrackSurchargeBps": 2500,
            "shippingRegions": [],
            "defaultMaterialId": 1,
            "materials": [MODEL["material"]],
            "templates": [],
            "models": [{**MODEL, "printFactor": factor}] * prints,
            **rates,
        }
    )


def stored(document: PricedDocument) -> dict[str, Any]:
    """As the database answers the quote, after its way through JSON."""
    items = [
        {
            **{name: row[name] for name in ("description", "unitPriceCents", "totalCents")},
            "position": position,
            "quantity": row["quantityMilli"] / 1000,
            "details": row["details"] or None,
        }
        for position, row in enumerate(document.item_rows(), 1)
    ]
    quote = {**document.row(), "items": items, "snapshot": document.snapshot()}
    answer: dict[str, Any] = json.loads(json.dumps(quote))
    return answer


@pytest.fixture
def quote() -> dict[str, Any]:
    body = {
        "items": [PRINT, FIGURES, {**SCREWS, "discountType": "FIXED", "discountFixedCents": 50}],
        "discountType": "PERCENT",
        "discountBps": 750,
        "shippingCents": 1250,
    }
    return stored(price_document(DocumentRequest.model_validate(body), book(), "AUD"))


def test_an_untouched_quote_is_equal_to_the_cent(quote: dict[str, Any]) -> None:
    verification = verify(quote)
    assert verification.differences == ()
    assert verification.total_cents == quote["totalCents"]
    # 3.346 cm³ × 1.24 = 4.149 g of the slicer's 4.15; figures by hand are exact.
    assert [line.mass_mg for line in verification.lines] == [4149, 124_000, None]
    assert [line.total_cents for line in verification.lines] == [i["totalCents"] for i in quote["items"]]


cents = st.integers(0, 10**7)
discounts = st.one_of(
    st.just({}),
    st.builds(lambda bps: {"discountType": "PERCENT", "discountBps": bps}, st.integers(1, 10_000)),
    st.builds(lambda cents: {"discountType": "FIXED", "discountFixedCents": cents}, st.integers(1, 10**6)),
)
lines = st.one_of(
    st.builds(
        lambda milli, price: {"description": "x", "quantity": milli / 1000, "unitPriceCents": price},
        st.integers(1, 10**6),
        cents,
    ),
    st.builds(
        lambda volume, seconds, pieces: {
            "figures": {"volumeMm3": volume, "timeSec": seconds, "pieces": pieces}
        },
        st.integers(1, 10**6),
        st.integers(1, 10**6),
        st.integers(1, 100),
    ),
    st.just(PRINT),
)
ratios = st.builds(
    lambda prints, bps, spread: {"prints": prints, "factorBps": bps, "spreadBps": spread},
    st.integers(5, 50),
    st.integers(2000, 50_000),
    st.integers(0, 48_000),
)
factors = st.builds(
    lambda time, mass: {**FACTOR, "time": time, "mass": mass}, st.none() | ratios, st.none() | ratios
)


@given(
    st.lists(st.builds(lambda line, less: line | less, lines, discounts), min_size=1, max_size=6),
    discounts,
    cents,
    st.integers(0, 10_000),
    st.integers(0, 10**5),
    st.one_of(st.none(), factors),
)
def test_whatever_was_priced_is_computed_again(
    items: list[dict[str, Any]],
    less: dict[str, Any],
    shipping: int,
    tax: int,
    rate: int,
    factor: dict[str, Any] | None,
) -> None:
    body = {"items": items, "shippingCents": shipping, "taxRateBps": tax, **less}
    try:
        document = price_document(
            DocumentRequest.model_validate(body),
            book(items_printed(items), factor, hourlyRateCents=rate),
            "JPY",
        )
    except Unprocessable as error:
        assert error.code == "AMOUNT_TOO_LARGE"
        return
    assert verify(stored(document)).differences == ()


def items_printed(items: list[dict[str, Any]]) -> int:
    return sum("print" in item for item in items)


def _set(*path: str | int) -> Callable[[Any], None]:
    """One more than was there."""

    def change(quote: Any) -> None:
        *outer, last = path
        for part in outer:
            quote = quote[part]
        quote[last] += 1

    return change


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (_set("snapshot", "items", 0, "unitPriceCents"), "line 1 unitPriceCents (snapshot)"),
        (_set("snapshot", "items", 0, "totalCents"), "line 1 totalCents (snapshot)"),
        (_set("snapshot", "items", 1, "details", "massMg"), "line 2 massMg (snapshot)"),
        (_set("snapshot", "document", "taxCents"), "taxCents (snapshot)"),
        (_set("items", 2, "totalCents"), "line 3 totalCents (quote)"),
        (_set("items", 2, "quantity"), "line 3 quantityMilli (quote)"),
        (_set("items", 0, "details", "timeSec"), "line 1 details (quote)"),
        (_set("discountCents"), "discountCents (quote)"),
        (_set("totalCents"), "totalCents (quote)"),
    ],
)
def test_a_changed_figure_is_named(quote: dict[str, Any], change: Callable[[Any], None], where: str) -> None:
    change(quote)
    assert where in [difference.where for difference in verify(quote).differences]


def test_changed_rates_or_volumes_change_the_computed_price(quote: dict[str, Any]) -> None:
    for path in (("rates", "setupCents"), ("rates", "fastTrackSurchargeBps")):
        changed = copy.deepcopy(quote)
        changed["snapshot"][path[0]][path[1]] += 1000
        assert "line 1 unitPriceCents (quote)" in [each.where for each in verify(changed).differences]
    heavier = copy.deepcopy(quote)
    heavier["snapshot"]["items"][0]["details"]["volumeMm3"] *= 2
    assert "line 1 massMg (snapshot)" in [each.where for each in verify(heavier).differences]


def test_a_corrected_line_costs_what_its_factors_say_and_is_computed_from_them() -> None:
    request = DocumentRequest.model_validate({"items": [PRINT, FIGURES]})
    plain, corrected = (price_document(request, book(1, factor), "AUD") for factor in (None, FACTOR))
    line = corrected.items[0]
    # (3 × (4.14904 g × 1.0333 × 3.5 ¢ + 12340 s × 1.1237 × 4500 ¢ / 3600) + 2000) × 1.25 = 67555.3
    assert (plain.items[0].line.total_cents, line.line.total_cents) == (60_398, 67_555)
    assert line.details["timeSec"] == 12_340  # the slicer's, which the next factor is learned from
    assert (line.details["correctedTimeSec"], line.details["correctedMassMg"]) == (13_866, 4288)
    assert "by 23 prints" in line.details["printFactor"]["howSure"]
    assert "printFactor" not in corrected.items[1].details  # the shop's own figures are as they are
    assert verify(stored(corrected)).differences == ()


def test_a_changed_factor_is_seen_in_price_and_figures() -> None:
    request = DocumentRequest.model_validate({"items": [PRINT]})
    quote = stored(price_document(request, book(1, FACTOR), "AUD"))
    factor = quote["snapshot"]["items"][0]["details"]["printFactor"]
    factor["time"]["factorBps"] -= 500
    seen = {difference.where for difference in verify(quote).differences}
    assert {"line 1 unitPriceCents (quote)", "line 1 correctedTimeSec (snapshot)"} <= seen
    assert "line 1 correctedMassMg (snapshot)" not in seen


def test_a_line_that_was_added_or_taken_is_seen(quote: dict[str, Any]) -> None:
    quote["items"].pop()
    differences = {difference.where: difference for difference in verify(quote).differences}
    assert (differences["lines"].computed, differences["lines"].found) == (3, 2)
    assert differences["line 3 totalCents (quote)"].found is None


@pytest.mark.parametrize(
    ("snapshot", "said"),
    [({}, "never priced"), ({"shipping": {}}, "never priced"), ({"items": [], "ruleVersion": 99}, "rule 99")],
)
def test_what_cannot_be_computed_says_why(quote: dict[str, Any], snapshot: dict[str, Any], said: str) -> None:
    with pytest.raises(NoSnapshot, match=said):
        verify({**quote, "snapshot": snapshot})
