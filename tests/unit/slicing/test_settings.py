"""What a customer may ask for, and what names a slice."""

import json
import math
from typing import Any

import pytest
from pydantic import ValidationError

from printshop.slicing.settings import PrintProfile, SliceSettings, canonical_json, settings_hash

BODY: dict[str, Any] = {
    "layerHeight": 0.2,
    "infill": 15,
    "supports": {"enabled": True, "pattern": "tree", "angle": 45},
}


def settings(**changes: Any) -> SliceSettings:
    return SliceSettings.model_validate(BODY | changes)


def profile(**changes: Any) -> PrintProfile:
    fields = {
        "printer": "generic",
        "material": "pla",
        "bedMm": (250, 210, 220),
        "nozzleUm": 400,
        "densityMgCm3": 1240,
    }
    return PrintProfile.model_validate(fields | changes)


def name(asked: SliceSettings, *, material_id: int = 1, profile_digest: str = "", **changes: Any) -> str:
    return settings_hash(asked, profile(**changes), material_id=material_id, profile_digest=profile_digest)


@pytest.mark.parametrize(
    "changes",
    [
        {"layerHeight": 0.05},
        {"layerHeight": 0.35},
        {"infill": 0},
        {"infill": 100},
        {"infill": 33.33},
        {"supports": {"enabled": False, "pattern": "normal", "angle": 1}},
        {"supports": {"enabled": True, "pattern": "normal", "angle": 89}},
        {"scale": 1},
        {"scale": 10_000},
        {"brimWidth": 0},
        {"brimWidth": 20},
    ],
)
def test_the_limits_themselves_are_accepted(changes: dict[str, Any]) -> None:
    dumped = settings(**changes).model_dump(mode="json", by_alias=True)
    assert dumped == BODY | {"scale": 100, "brimWidth": 0} | changes
    assert SliceSettings.model_validate_json(json.dumps(dumped)) == settings(**changes)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"layerHeight": 0}, "layerHeight"),
        ({"layerHeight": 5}, "layerHeight"),
        ({"layerHeight": 0.0499}, "layerHeight"),
        ({"layerHeight": 0.3501}, "layerHeight"),
        ({"layerHeight": "0.2"}, "layerHeight"),
        ({"layerHeight": True}, "layerHeight"),
        ({"layerHeight": math.nan}, "layerHeight"),
        ({"layerHeight": None}, "layerHeight"),
        ({"infill": 101}, "infill"),
        ({"infill": -1}, "infill"),
        ({"infill": '"; rm'}, "infill"),
        ({"infill": "15"}, "infill"),
        ({"infill": math.inf}, "infill"),
        ({"infill": [15]}, "infill"),
        ({"supports": {"enabled": True, "pattern": "tree", "angle": 90}}, "supports.angle"),
        ({"supports": {"enabled": True, "pattern": "tree", "angle": 0}}, "supports.angle"),
        ({"supports": {"enabled": True, "pattern": "tree", "angle": 45.5}}, "supports.angle"),
        ({"supports": {"enabled": 1, "pattern": "tree", "angle": 45}}, "supports.enabled"),
        ({"supports": {"enabled": True, "pattern": "organic", "angle": 45}}, "supports.pattern"),
        ({"supports": {"enabled": True, "pattern": "tree"}}, "supports.angle"),
        ({"supports": {"enabled": True, "pattern": "tree", "angle": 45, "x": 1}}, "supports.x"),
        ({"scale": 0}, "scale"),
        ({"scale": 10_001}, "scale"),
        ({"scale": -100}, "scale"),
        ({"scale": "100%"}, "scale"),
        ({"brimWidth": 20.5}, "brimWidth"),
        ({"brimWidth": -1}, "brimWidth"),
        ({"postProcess": "touch /tmp/x"}, "postProcess"),
    ],
)
def test_anything_else_is_refused_by_its_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        settings(**changes)
    assert [".".join(map(str, fault["loc"])) for fault in refusal.value.errors()] == [field]


def test_the_hash_does_not_depend_on_the_order_of_keys_or_the_spelling_of_numbers() -> None:
    shuffled = (
        '{"supports": {"angle": 45, "pattern": "tree", "enabled": true}, "infill": 15.0, "layerHeight": 0.20}'
    )
    assert name(SliceSettings.model_validate_json(shuffled)) == name(settings())


def test_a_browsers_rounding_error_is_the_same_layer_height() -> None:
    assert settings(layerHeight=0.1 + 0.2).layer_height == 0.3


def test_the_hash_is_pinned_because_prices_and_checkouts_name_slices_by_it() -> None:
    assert canonical_json(settings()) == (
        '{"brimWidth":"0","infill":"15","layerHeight":"0.2","scale":"100",'
        '"supports":{"angle":45,"pattern":"tree"}}'
    )
    assert name(settings()) == ("17aea7e04ac58cf9e835e3a2926b36484e1fd9c51c5f42de90fdb50064f1c761")


def test_supports_that_are_off_do_not_make_another_slice() -> None:
    one = settings(supports={"enabled": False, "pattern": "tree", "angle": 45})
    other = settings(supports={"enabled": False, "pattern": "normal", "angle": 30})
    assert name(one) == name(other)


@pytest.mark.parametrize(
    "changes",
    [
        {"layerHeight": 0.201},
        {"infill": 15.01},
        {"supports": {"enabled": True, "pattern": "tree", "angle": 46}},
        {"supports": {"enabled": True, "pattern": "normal", "angle": 45}},
        {"supports": {"enabled": False, "pattern": "tree", "angle": 45}},
        {"scale": 100.01},
        {"brimWidth": 0.01},
    ],
)
def test_every_setting_that_changes_the_slice_changes_the_hash(changes: dict[str, Any]) -> None:
    assert name(settings(**changes)) != name(settings())


def test_what_was_not_asked_for_is_the_same_as_asking_for_nothing() -> None:
    assert name(settings(scale=100, brimWidth=0)) == name(settings())


def test_material_density_and_profile_are_part_of_the_hash() -> None:
    hashes = {
        name(settings()),
        name(settings(), material_id=2),
        name(settings(), densityMgCm3=1270),
        name(settings(), printer="core-xy"),
        name(settings(), material="petg"),
        name(settings(), bedMm=(250, 210, 221)),
        name(settings(), nozzleUm=600),
        name(settings(), profile_digest="0f"),
    }
    assert len(hashes) == 8


def test_another_printer_is_another_slice() -> None:
    names = {
        settings_hash(settings(), profile(), material_id=1, printer_id=printer) for printer in (None, 1, 2)
    }
    assert len(names) == 3
