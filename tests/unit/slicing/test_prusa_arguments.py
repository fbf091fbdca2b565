"""The command line for every version and setting, as a pure function."""

from typing import Any

import pytest

from printshop.slicing.prusa import Slicer, arguments
from printshop.slicing.settings import SliceSettings

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

OFF = {"enabled": False, "pattern": "tree", "angle": 45}
NORMAL = {"enabled": True, "pattern": "normal", "angle": 30}
TREE = {"enabled": True, "pattern": "tree", "angle": 60}


def line(
    slicer: Slicer, layer_height: float, infill: float, supports: dict[str, Any]
) -> tuple[list[str], list[str]]:
    settings = SliceSettings.model_validate(
        {"layerHeight": layer_height, "infill": infill, "supports": supports}
    )
    return arguments(slicer, settings, 1240, "/s/model.stl", "/s/model.gcode")


def expected(*settings: str, end: str = "") -> list[str]:
    last = [end] if end else []
    return [
        *settings,
        "--export-gcode",
        "--post-process",
        "",
        *last,
        "--output",
        "/s/model.gcode",
        "/s/model.stl",
    ]


SUPPORTED = ("--support-material", "--support-material-threshold")


@pytest.mark.parametrize(
    ("slicer", "layer_height", "infill", "supports", "middle"),
    [
        (PRUSA_2_5, 0.2, 15, OFF, ("0.2", "15%")),
        (PRUSA_2_5, 0.05, 0, OFF, ("0.05", "0%")),
        (PRUSA_2_5, 0.35, 33.33, OFF, ("0.35", "33.33%")),
        (PRUSA_2_5, 0.2, 15, NORMAL, ("0.2", "15%", *SUPPORTED, "30")),
        (PRUSA_2_5, 0.2, 15, TREE, ("0.2", "15%", *SUPPORTED, "60", "--support-material-style", "snug")),
        (PRUSA_2_6, 0.2, 15, TREE, ("0.2", "15%", *SUPPORTED, "60", "--support-material-style", "organic")),
        (PRUSA_2_9, 0.2, 15, OFF, ("0.2", "15%")),
        (PRUSA_2_9, 0.2, 15, TREE, ("0.2", "15%", *SUPPORTED, "60", "--support-material-style", "organic")),
    ],
)
def test_every_version_gets_the_arguments_that_it_knows(
    slicer: Slicer, layer_height: float, infill: float, supports: dict[str, Any], middle: tuple[str, ...]
) -> None:
    height, density, *rest = middle
    assert line(slicer, layer_height, infill, supports)[0] == expected(
        *("--layer-height", height, "--fill-density", density, "--filament-density", "1.24", *rest),
        end="--no-binary-gcode" if slicer.has_binary_gcode else "",
    )


def test_solid_infill_gets_a_pattern_that_can_be_solid() -> None:
    solid, _ = line(PRUSA_2_5, 0.2, 100, OFF)
    assert solid[solid.index("--fill-density") :][:4] == [
        "--fill-density",
        "100%",
        "--fill-pattern",
        "rectilinear",
    ]
    assert "--fill-pattern" not in line(PRUSA_2_5, 0.2, 99.99, OFF)[0]


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
    assert line(slicer, 0.2, 15, supports)[1] == notes


def test_a_script_is_blanked_by_an_argument_of_its_own() -> None:
    for slicer in (PRUSA_2_5, PRUSA_2_9):
        said, _ = line(slicer, 0.2, 15, TREE)
        assert said[said.index("--post-process") + 1] == ""


def test_slic3r_gets_neither_the_options_nor_the_filament_of_prusaslicer() -> None:
    settings = ["--layer-height", "0.2", "--fill-density", "15%", "--filament-density", "1.24"]
    settings += [*SUPPORTED, "60", "--filament-diameter", "1.75"]
    assert line(SLIC3R, 0.2, 15, TREE)[0] == [*settings, "--output", "/s/model.gcode", "/s/model.stl"]
