"""The checked-in profiles: which there are, what they hold, and what a nozzle allows."""

import hashlib
from typing import Any

import pytest

from printshop.kernel.errors import Unprocessable
from printshop.slicing.profiles import (
    MATERIALS,
    PRINTERS,
    check_layer_height,
    profile_digest,
    profile_files,
    profile_values,
)
from printshop.slicing.settings import PrintProfile, SliceSettings

EVERY = [(printer, material) for printer in PRINTERS for material in MATERIALS]
FROM_THE_ROWS = {
    "bed_shape",
    "max_print_height",
    "filament_density",
    "layer_height",
    "fill_density",
    "support_material",
    "support_material_threshold",
    "support_material_style",
    "post_process",
}
"""What the database and the customer say; a profile that said it too would hide a mistake."""


def profile(printer: str = "generic", material: str = "pla", nozzle_um: int = 400) -> PrintProfile:
    return PrintProfile(
        printer=printer,
        material=material,
        bed_mm=(250, 210, 220),
        nozzle_um=nozzle_um,
        density_mg_cm3=1240,
    )


def asked(**changes: Any) -> SliceSettings:
    supports = {"enabled": False, "pattern": "normal", "angle": 45}
    body = {"layerHeight": 0.2, "infill": 15, "supports": supports} | changes
    return SliceSettings.model_validate(body)


def test_the_profiles_of_the_shop_are_there() -> None:
    assert PRINTERS == ("bed-slinger", "core-xy", "generic")
    assert MATERIALS == ("abs", "asa", "petg", "pla", "tpu")


def test_the_printer_is_loaded_before_the_material() -> None:
    files = profile_files(profile("core-xy", "petg"))
    assert [file.name for file in files] == ["core-xy.ini", "petg.ini"]
    assert all(file.is_file() for file in files)


@pytest.mark.parametrize(("printer", "material"), EVERY)
def test_a_profile_says_what_prints_and_leaves_the_rest_to_the_rows(printer: str, material: str) -> None:
    said = profile_values(profile(printer, material))
    assert {"perimeters", "fill_pattern", "infill_speed", "temperature", "start_gcode"} <= said.keys()
    assert not said.keys() & FROM_THE_ROWS
    assert int(said["bed_temperature"]) < 120 < int(said["temperature"]) < 300


@pytest.mark.parametrize(("printer", "material"), EVERY)
def test_printer_and_material_never_say_the_same_thing(printer: str, material: str) -> None:
    keys = [
        {line.split(" =")[0] for line in file.read_text("utf-8").splitlines() if line and line[0] != "#"}
        for file in profile_files(profile(printer, material))
    ]
    assert not keys[0] & keys[1]


@pytest.mark.parametrize(
    "unknown", [profile(printer="mk4"), profile(material="wood"), profile(printer="pla", material="generic")]
)
def test_an_unknown_profile_is_refused_and_the_known_ones_are_named(unknown: PrintProfile) -> None:
    for ask in (profile_files, profile_digest, profile_values):
        with pytest.raises(Unprocessable) as refusal:
            ask(unknown)
        assert refusal.value.code == "UNKNOWN_PROFILE"
        assert "generic" in refusal.value.message or "pla" in refusal.value.message


def test_the_digest_is_that_of_both_files() -> None:
    content = b"\0".join(file.read_bytes() for file in profile_files(profile("core-xy", "tpu")))
    assert profile_digest(profile("core-xy", "tpu")) == hashlib.sha256(content).hexdigest()
    assert len({profile_digest(profile(*names)) for names in EVERY}) == len(EVERY)


@pytest.mark.parametrize(
    ("nozzle_um", "layer_height"), [(400, 0.35), (400, 0.05), (250, 0.218), (200, 0.175), (800, 0.35)]
)
def test_a_nozzle_lays_layers_of_seven_eighths_of_its_width(nozzle_um: int, layer_height: float) -> None:
    check_layer_height(asked(layerHeight=layer_height), profile(nozzle_um=nozzle_um))


@pytest.mark.parametrize(("nozzle_um", "layer_height"), [(399, 0.35), (250, 0.219), (100, 0.088)])
def test_a_higher_layer_is_refused_by_its_field(nozzle_um: int, layer_height: float) -> None:
    with pytest.raises(Unprocessable, match=r"at most; choose") as refusal:
        check_layer_height(asked(layerHeight=layer_height), profile(nozzle_um=nozzle_um))
    assert refusal.value.code == "LAYER_HEIGHT_TOO_LARGE"
    assert refusal.value.details == [{"field": "layerHeight"}]
