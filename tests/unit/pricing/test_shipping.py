"""The delivery region of an address."""

import json
import re
from pathlib import Path

import pytest

from printshop.kernel.errors import Unprocessable
from printshop.pricing.shipping import ShippingRegion, region_for

SEED = Path(__file__).parents[3] / "supabase" / "seed.sql"


def seeded() -> list[ShippingRegion]:
    """The regions that a new shop starts with, out of seed.sql itself."""
    found = re.search(r"'(\[\s*\{\"id\".*?\])'", SEED.read_text(), re.S)
    assert found is not None
    return [ShippingRegion.model_validate(region) for region in json.loads(found[1])]


def region(number: int, **fields: object) -> ShippingRegion:
    return ShippingRegion.model_validate(
        {"id": number, "code": f"r{number}", "label": f"Region {number}", "baseCents": number, **fields}
    )


@pytest.mark.parametrize(
    ("state", "postcode", "code", "cents"),
    [
        ("NSW", "2000", "metro", 1250),
        ("nsw", "2000", "metro", 1250),
        (" NSW ", "", "metro", 1250),
        ("VIC", "3000", "regional", 2500),
        ("", "", "regional", 2500),
        ("TAS", "7000", "remote", 6000),
        ("WA", "6000", "remote", 6000),
        ("NT", "0800", "remote", 6000),
        ("QLD", "4000", "regional", 2500),
    ],
)
def test_a_seeded_region_serves_its_states(state: str, postcode: str, code: str, cents: int) -> None:
    found = region_for(seeded(), state=state, postcode=postcode)
    assert (found.code, found.cents) == (code, cents)


def test_the_longest_postcode_prefix_wins_over_shorter_ones_and_over_the_state() -> None:
    regions = [
        region(1, states=["NSW"]),
        region(2, postcodePrefixes=["2"]),
        region(3, postcodePrefixes=["20", "2500"]),
        region(4, postcodePrefixes=["200"]),
        region(5, isDefault=True),
    ]
    assert region_for(regions, state="NSW", postcode="2000").id == 4
    assert region_for(regions, state="NSW", postcode="2500").id == 3
    assert region_for(regions, state="NSW", postcode="2999").id == 2
    assert region_for(regions, state="NSW", postcode="3000").id == 1
    assert region_for(regions, state="VIC", postcode="3000").id == 5


def test_a_prefix_is_not_found_inside_a_postcode() -> None:
    regions = [region(1, postcodePrefixes=["00"]), region(2, isDefault=True)]
    assert region_for(regions, state="", postcode="2000").id == 2


@pytest.mark.parametrize("order", [(7, 3, 5), (5, 7, 3), (3, 5, 7)])
def test_a_tie_goes_to_the_lowest_id_in_whatever_order_they_are_listed(order: tuple[int, ...]) -> None:
    same_state = [region(number, states=["NSW"]) for number in order]
    assert region_for(same_state, state="NSW", postcode="2000").id == 3
    same_prefix = [region(number, postcodePrefixes=["20"]) for number in order]
    assert region_for(same_prefix, state="", postcode="2000").id == 3


@pytest.mark.parametrize("regions", [[], [region(1, states=["NSW"])], [region(1)]])
def test_an_address_outside_every_region_is_refused(regions: list[ShippingRegion]) -> None:
    with pytest.raises(Unprocessable) as refused:
        region_for(regions, state="VIC", postcode="3000")
    assert refused.value.code == "NO_SHIPPING_REGION"


def test_an_address_without_a_state_does_not_match_a_region_with_an_empty_one() -> None:
    regions = [region(1, states=[""]), region(2, isDefault=True)]
    assert region_for(regions, state="", postcode="").id == 2
