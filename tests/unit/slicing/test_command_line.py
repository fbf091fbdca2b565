"""The command line for every version and setting, as a pure function."""

from typing import Any

import pytest

from printshop.slicing.command_line import build_arguments
from printshop.slicing.failures import SliceFailed
from printshop.slicing.profiles import FOLDER
from printshop.slicing.settings import PrintProfile, SliceSettings
from printshop.slicing.slicer import Slicer, find_slicer

PRUSA_2_5 = Slicer("/usr/bin/prusa-slicer", "PrusaSlicer", (2, 5, 0), frozenset({"grid", "snug"}))
PRUSA_2_6 = Slicer("/usr/bin/prusa-slicer", "PrusaSlicer", (2, 6, 0), frozenset({"grid", "snug", "organic"}))
PRUSA_2_9 = Slicer(
    "/usr/bin/prusa-slicer",
    "PrusaSlicer",
    (2, 9, 2),
    frozenset({"grid", "snug", "organic"}),
    has_binary_gcode=True,
)
SLIC3R = Slicer("/usr/bin/slic3r", "Slic3r", (1, 3, 0))
PROFILE = PrintProfile(
    printer="bed-slinger", material="petg", bed_mm=(250, 211, 220), nozzle_um=600, density_mg_cm3=1270
)

OFF = {"enabled": False, "pattern": "tree", "angle": 45}
NORMAL = {"enabled": True, "pattern": "normal", "angle": 30}
TREE = {"enabled": True, "pattern": "tree", "angle": 60}

LOADED = ["--load", f"{FOLDER}/printers/bed-slinger.ini", "--load", f"{FOLDER}/materials/petg.ini"]
NOZZLE = ["--nozzle-diameter", "0.6", "--first-layer-height", "0.3"]
BED = ["--bed-shape", "0x0,250x0,250x211,0x211", "--max-print-height", "220"]
DENSITY = ["--filament-density", "1.27"]
PLAIN = ["--layer-height", "0.2", "--fill-density", "15%"]
SUPPORTED = ["--support-material", "--support-material-threshold"]
EXPORT = ["--export-gcode", "--post-process", ""]
FILES = ["--output", "/s/model.gcode", "/s/model.stl"]


def line(slicer: Slicer, *, turned: bool = False, **changes: Any) -> tuple[list[str], list[str]]:
    body = {"layerHeight": 0.2, "infill": 15, "supports": OFF} | changes
    settings = SliceSettings.model_validate(body)
    return build_arguments(slicer, settings, PROFILE, "/s/model.stl", "/s/model.gcode", is_turned=turned)


@pytest.mark.parametrize(
    ("slicer", "changes", "chosen"),
    [
        (PRUSA_2_5, {}, PLAIN),
        (PRUSA_2_5, {"layerHeight": 0.05, "infill": 0}, ["--layer-height", "0.05", "--fill-density", "0%"]),
        (PRUSA_2_5, {"infill": 33.33}, ["--layer-height", "0.2", "--fill-density", "33.33%"]),
        (PRUSA_2_5, {"supports": NORMAL}, [*PLAIN, *SUPPORTED, "30"]),
        (PRUSA_2_5, {"supports": TREE}, [*PLAIN, *SUPPORTED, "60", "--support-material-style", "snug"]),
        (PRUSA_2_6, {"supports": TREE}, [*PLAIN, *SUPPORTED, "60", "--support-material-style", "organic"]),
        (PRUSA_2_9, {"supports": TREE}, [*PLAIN, *SUPPORTED, "60", "--support-material-style", "organic"]),
        (PRUSA_2_9, {"brimWidth": 2.5}, [*PLAIN, "--brim-width", "2.5"]),
        (PRUSA_2_9, {"scale": 2540}, [*PLAIN, "--scale", "2540%"]),
        (PRUSA_2_9, {"scale": 33.33}, [*PLAIN, "--scale", "33.33%"]),
    ],
)
def test_the_profile_comes_first_then_the_printer_then_what_the_customer_chose(
    slicer: Slicer, changes: dict[str, Any], chosen: list[str]
) -> None:
    text_gcode = ["--no-binary-gcode"] if slicer.has_binary_gcode else []
    assert line(slicer, **changes)[0] == [
        *LOADED,
        *NOZZLE,
        *BED,
        *DENSITY,
        *chosen,
        *EXPORT,
        *text_gcode,
        *FILES,
    ]


@pytest.mark.parametrize("slicer", [PRUSA_2_5, PRUSA_2_9, SLIC3R])
def test_a_model_that_fits_only_when_turned_is_turned(slicer: Slicer) -> None:
    turned, _ = line(slicer, turned=True)
    assert turned[turned.index("--rotate") :][:2] == ["--rotate", "90"]
    assert "--rotate" not in line(slicer)[0]


@pytest.mark.parametrize("slicer", [PRUSA_2_5, PRUSA_2_9, SLIC3R])
def test_solid_infill_gets_a_pattern_that_can_be_solid(slicer: Slicer) -> None:
    solid, _ = line(slicer, infill=100)
    chosen = solid[solid.index("--fill-density") :][:4]
    assert chosen == ["--fill-density", "100%", "--fill-pattern", "rectilinear"]
    assert "--fill-pattern" not in line(slicer, infill=99.99)[0]


@pytest.mark.parametrize(
    ("slicer", "supports", "notes"),
    [
        (PRUSA_2_9, TREE, []),
        (PRUSA_2_5, NORMAL, []),
        (PRUSA_2_5, TREE, ["Tree supports need PrusaSlicer 2.6; 2.5.0 made snug supports instead."]),
        (SLIC3R, TREE, ["Slic3r 1.3.0 has no tree supports; normal supports were made instead."]),
    ],
)
def test_what_a_version_cannot_do_is_noted(
    slicer: Slicer, supports: dict[str, Any], notes: list[str]
) -> None:
    assert line(slicer, supports=supports)[1] == notes


def test_a_script_is_blanked_by_an_argument_of_its_own() -> None:
    for slicer in (PRUSA_2_5, PRUSA_2_9):
        said, _ = line(slicer, supports=TREE)
        assert said[said.index("--post-process") + 1] == ""


def test_slic3r_gets_the_middle_of_the_bed_and_a_bare_factor_and_no_option_of_prusaslicer() -> None:
    said, _ = line(SLIC3R, supports=TREE, scale=254, brimWidth=3)
    settings = [*PLAIN, *SUPPORTED, "60", "--brim-width", "3", "--scale", "2.5400", "--no-gui"]
    assert said == [*LOADED, *NOZZLE, "--print-center", "125,105.5", *DENSITY, *settings, *FILES]


@pytest.mark.parametrize("binary", ["/nowhere/prusa-slicer", "/usr/bin/env"])
def test_a_missing_slicer_names_no_path_to_the_customer(binary: str) -> None:
    with pytest.raises(SliceFailed) as failure:
        find_slicer(binary)
    assert (failure.value.code, failure.value.can_retry) == ("SLICER_MISSING", True)
    assert "/" not in failure.value.message
    assert binary in failure.value.log_tail
