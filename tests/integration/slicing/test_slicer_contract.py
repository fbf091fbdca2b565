"""What the product relies on, of every slicer that is here: SLICER_BIN, PrusaSlicer and Slic3r on PATH.

Debian 12 has PrusaSlicer 2.5.0 and Slic3r 1.3.0, the image PrusaSlicer 2.9.2 (`make image-test`); another one is
named by SLICER_BIN. Each is run as the worker runs it, in its fence; what it was told is read from the settings that
it writes into its g-code.
"""

import itertools
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from printshop.adapters.sandbox import Limits, run_sandboxed
from printshop.slicing.command_line import build_arguments
from printshop.slicing.failures import SliceFailed, SliceStopped
from printshop.slicing.gcode_statistics import read_statistics
from printshop.slicing.profiles import profile_files
from printshop.slicing.run import SlicedModel, SliceJob, run_slicer
from printshop.slicing.settings import PrintProfile, SliceSettings
from printshop.slicing.slicer import Slicer, find_slicer
from tests.integration.slicing.command_line import BUNNY, SHAPES
from tests.unit.slicing.model_makers import ascii_stl, box, three_mf

LIMITS = Limits(timeout_s=60)
OFF = {"enabled": False, "pattern": "normal", "angle": 45}
NORMAL = {"enabled": True, "pattern": "normal", "angle": 40}
TREE = {"enabled": True, "pattern": "tree", "angle": 40}
MK4 = PrintProfile(
    printer="generic", material="petg", bed_mm=(250, 210, 220), nozzle_um=400, density_mg_cm3=1270
)


def installed() -> list[str]:
    """The slicers of this machine, each once."""
    names = [os.environ.get("SLICER_BIN"), "prusa-slicer", "prusaslicer", "slic3r"]
    paths = [path for name in names if name and (path := shutil.which(name))]
    return list({os.path.realpath(path): path for path in paths}.values())


SLICERS = [find_slicer(path) for path in installed()]
PRUSAS = [slicer for slicer in SLICERS if slicer.product == "PrusaSlicer"]
every = pytest.mark.parametrize(
    "slicer", SLICERS, ids=lambda slicer: f"{slicer.product}-{slicer.version_text}"
)
every_prusa = pytest.mark.parametrize("slicer", PRUSAS, ids=lambda slicer: slicer.version_text)


def asked(**changes: Any) -> SliceSettings:
    return SliceSettings.model_validate({"layerHeight": 0.2, "infill": 15, "supports": OFF} | changes)


def cube(folder: Path, size: float = 20) -> Path:
    # As text: PrusaSlicer takes a binary file whose bytes are all below 128 for text, and fails.
    model = folder / "model.stl"
    model.write_bytes(ascii_stl(box(size)))
    return model


def sliced(
    slicer: Slicer, model: Path, profile: PrintProfile = MK4, *, is_turned: bool = False, **changes: Any
) -> SlicedModel:
    return run_slicer(
        slicer, SliceJob(model, asked(**changes), profile, model.parent, LIMITS, is_turned=is_turned)
    )


def gcode_of(slicer: Slicer, model: Path, *, is_turned: bool = False, **changes: Any) -> str:
    """The g-code, without asking for figures that Slic3r does not write."""
    output = model.parent / "contract.gcode"
    line, _ = build_arguments(slicer, asked(**changes), MK4, str(model), str(output), is_turned=is_turned)
    ended = run_sandboxed([slicer.binary, *line], scratch=model.parent, limits=LIMITS)
    assert ended.code == 0, ended.tail
    return output.read_text()


def setting(gcode: str, key: str) -> str:
    """What the slicer says that it was told."""
    (value,) = re.findall(rf"^; {key} = (.*)$", gcode, re.M)
    return str(value)


def extent(gcode: str) -> tuple[float, float, float]:
    """The size in mm of what is extruded once the start g-code is over, from the moves themselves."""
    moves = gcode[gcode.index("BEFORE_LAYER_CHANGE") if "BEFORE_LAYER_CHANGE" in gcode else 0 :]
    moves = moves[: moves.index("; end of PETG")]
    drawn = re.findall(r"^G1 X([\d.]+) Y([\d.]+) E\.?\d", moves, re.M)
    xs, ys = [float(x) for x, _ in drawn], [float(y) for _, y in drawn]
    heights = [float(z) for z in re.findall(r"^G1 (?:X\S+ Y\S+ )?Z(\d*\.?\d+)", moves, re.M)]
    return max(xs) - min(xs), max(ys) - min(ys), max(heights)


def test_there_is_a_prusaslicer_to_hold_to_the_contract() -> None:
    assert PRUSAS, "No PrusaSlicer here: apt-get install prusa-slicer, or name one by SLICER_BIN."


@every_prusa
def test_every_figure_is_there_and_grams_are_volume_times_density(slicer: Slicer, tmp_path: Path) -> None:
    done = sliced(slicer, cube(tmp_path))
    figures = done.statistics
    assert figures.time_s > 600
    assert figures.filament_mm > 1000
    # Two printed decimals each.
    assert figures.mass_mg == pytest.approx(figures.volume_mm3 * 1.27, abs=12)
    assert read_statistics(done.gcode, MK4.density_mg_cm3) == figures


@every
def test_what_was_asked_for_is_what_the_slicer_did(slicer: Slicer, tmp_path: Path) -> None:
    gcode = gcode_of(slicer, cube(tmp_path), layerHeight=0.15, infill=33.33, brimWidth=3)
    assert setting(gcode, "layer_height") == "0.15"
    assert setting(gcode, "fill_density") == "33.33%"
    assert setting(gcode, "brim_width") == "3"
    assert setting(gcode, "filament_density") == "1.27"
    assert setting(gcode, "support_material") == "0"
    assert setting(gcode, "nozzle_diameter") == "0.4"
    assert setting(gcode, "first_layer_height") == "0.2"


@every
def test_both_profiles_arrive(slicer: Slicer, tmp_path: Path) -> None:
    gcode = gcode_of(slicer, cube(tmp_path))
    assert setting(gcode, "perimeters") == "2"
    assert setting(gcode, "fill_pattern") == "cubic"
    assert setting(gcode, "first_layer_temperature") == "235"
    assert setting(gcode, "bed_temperature") == "85"
    lines = gcode.splitlines()
    assert {"M190 S85", "M109 S235", "; PETG", "; end of PETG", "M84"} <= set(lines)
    assert "PETG" not in lines


@every_prusa
def test_every_key_of_the_profiles_is_known_and_kept(slicer: Slicer, tmp_path: Path) -> None:
    gcode = gcode_of(slicer, cube(tmp_path))
    known = set(re.findall(r"^; (\w+) = ", gcode, re.M))
    for file in profile_files(MK4):
        keys = {line.split(" =")[0] for line in file.read_text().splitlines() if line and line[0] != "#"}
        assert keys <= known
    assert setting(gcode, "bed_shape") == "0x0,250x0,250x210,0x210"
    assert setting(gcode, "max_print_height") == "220"


@every
@pytest.mark.parametrize("infill", [0, 100])
def test_hollow_and_solid_are_accepted(slicer: Slicer, tmp_path: Path, infill: int) -> None:
    gcode = gcode_of(slicer, cube(tmp_path), infill=infill)
    assert setting(gcode, "fill_density") == f"{infill}%"
    assert setting(gcode, "fill_pattern") == ("rectilinear" if infill == 100 else "cubic")


@every
def test_scale_is_a_share_of_the_models_size(slicer: Slicer, tmp_path: Path) -> None:
    x, y, z = extent(gcode_of(slicer, cube(tmp_path, 10), scale=254))
    # Lines lie half their width inside, and the nozzle is lifted for a move.
    assert (x, y) == pytest.approx((25.4, 25.4), abs=0.8)
    assert z == pytest.approx(25.4, abs=0.5)


@every
def test_a_turned_model_lies_the_other_way(slicer: Slicer, tmp_path: Path) -> None:
    model = tmp_path / "bar.stl"
    model.write_bytes(ascii_stl([tuple((x * 3, y, z) for x, y, z in corners) for corners in box(10)]))  # type: ignore[misc]
    x, y, _ = extent(gcode_of(slicer, model))
    assert (x, y) == pytest.approx((30, 10), abs=0.8)
    x, y, _ = extent(gcode_of(slicer, model, is_turned=True))
    assert (x, y) == pytest.approx((10, 30), abs=0.8)


@every
def test_the_model_stands_in_the_middle_of_the_printers_bed(slicer: Slicer, tmp_path: Path) -> None:
    gcode = gcode_of(slicer, cube(tmp_path))
    drawn = re.findall(r"^G1 X([\d.]+) Y([\d.]+) E\.?\d", gcode[gcode.index("BEFORE_LAYER_CHANGE") :], re.M)
    middle = [(max(at) + min(at)) / 2 for at in ([float(x) for x, _ in drawn], [float(y) for _, y in drawn])]
    assert middle == pytest.approx([125, 105], abs=0.5)


@every
def test_supports_have_the_threshold_that_was_asked_for(slicer: Slicer, tmp_path: Path) -> None:
    gcode = gcode_of(slicer, cube(tmp_path), supports=NORMAL)
    assert setting(gcode, "support_material") == "1"
    assert setting(gcode, "support_material_threshold") == "40"


@every_prusa
def test_tree_supports_are_organic_from_2_6_on_and_snug_before_with_a_note(
    slicer: Slicer, tmp_path: Path
) -> None:
    model = tmp_path / "sphere.stl"
    shutil.copy(SHAPES / "sphere.stl", model)
    done = sliced(slicer, model, supports=TREE)
    modern = slicer.version >= (2, 6, 0)
    assert setting(done.gcode.read_text(), "support_material_style") == ("organic" if modern else "snug")
    assert len(done.notes) == (0 if modern else 1)
    assert done.statistics.mass_mg > sliced(slicer, model).statistics.mass_mg


@pytest.mark.skipif(len(PRUSAS) == len(SLICERS), reason="Slic3r is not installed here")
def test_slic3r_makes_normal_supports_and_leaves_the_time_to_the_shop(tmp_path: Path) -> None:
    (slicer,) = [slicer for slicer in SLICERS if slicer.product == "Slic3r"]
    model = cube(tmp_path)
    _, notes = build_arguments(slicer, asked(supports=TREE), MK4, str(model), "x.gcode")
    assert notes == [f"Slic3r {slicer.version_text} has no tree supports; normal supports were made instead."]
    with pytest.raises(SliceFailed, match=r"print time") as failure:
        sliced(slicer, model)
    assert (failure.value.code, failure.value.can_retry) == ("NO_STATISTICS", False)


@every_prusa
@pytest.mark.parametrize("size", [240.0, 1000.0])
def test_a_model_larger_than_the_bed_is_refused_however_the_slicer_ends(
    slicer: Slicer, tmp_path: Path, size: float
) -> None:
    # 2.5 aborts (134), 2.9 says so and ends with 0.
    with pytest.raises(SliceFailed) as failure:
        sliced(slicer, cube(tmp_path, size))
    assert (failure.value.code, failure.value.can_retry) == ("MODEL_OUTSIDE_BED", False)


@every
def test_a_speck_is_nothing_to_print(slicer: Slicer, tmp_path: Path) -> None:
    with pytest.raises(SliceFailed) as failure:
        sliced(slicer, cube(tmp_path, 0.01))
    # 2.9 looks for its place first, and finds none.
    modern = slicer.product == "PrusaSlicer" and slicer.version >= (2, 9, 0)
    code = "MODEL_OUTSIDE_BED" if modern else "MODEL_NOTHING_TO_PRINT"
    assert (failure.value.code, failure.value.can_retry) == (code, False)


@every
def test_what_is_no_model_is_unreadable(slicer: Slicer, tmp_path: Path) -> None:
    model = tmp_path / "model.stl"
    model.write_bytes(b"no model" * 100)
    with pytest.raises(SliceFailed) as failure:
        sliced(slicer, model)
    assert (failure.value.code, failure.value.can_retry) == ("MODEL_UNREADABLE", False)


@every_prusa
def test_settings_that_the_slicer_itself_refuses_are_a_failure_though_it_may_end_with_0(
    slicer: Slicer, tmp_path: Path
) -> None:
    fine = MK4.model_copy(update={"nozzle_um": 100})
    with pytest.raises(SliceFailed) as failure:
        sliced(slicer, cube(tmp_path), fine, layerHeight=0.2)
    assert (failure.value.code, failure.value.can_retry) == ("SETTINGS_REFUSED", False)


@every_prusa
def test_the_shops_locale_does_not_matter(
    slicer: Slicer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = sliced(slicer, cube(tmp_path)).statistics
    for name in ("LC_ALL", "LC_NUMERIC", "LANG"):
        monkeypatch.setenv(name, "de_DE.UTF-8")
    assert sliced(slicer, cube(tmp_path)).statistics.mass_mg == plain.mass_mg


@every_prusa
def test_a_script_inside_a_3mf_never_runs_and_nobody_is_waited_for(slicer: Slicer, tmp_path: Path) -> None:
    # Straight to the slicer, past the intake that drops it: what is left is the blank argument and closed input.
    trace = tmp_path / "ran"
    config = f"; post_process = touch {trace}\n"
    model = three_mf(tmp_path / "model.3mf", parts={"Metadata/Slic3r_PE.config": config})
    began = time.monotonic()
    done = sliced(slicer, model)
    assert setting(done.gcode.read_text(), "post_process") in {"", '""'}
    assert not trace.exists()
    assert time.monotonic() - began < 30


@every_prusa
def test_closed_input_ends_the_question_whether_to_run_a_script(slicer: Slicer, tmp_path: Path) -> None:
    # 2.9 asks on the terminal before it runs a script, and 2.5 runs it: the product always blanks it.
    gcode = tmp_path / "model.gcode"
    line, _ = build_arguments(slicer, asked(), MK4, str(cube(tmp_path)), str(gcode))
    line[line.index("--post-process") + 1] = "/bin/true"
    ended = run_sandboxed([slicer.binary, *line], scratch=tmp_path, limits=LIMITS)
    assert not ended.timed_out
    if slicer.version >= (2, 9, 0):
        assert not gcode.exists()


@every_prusa
def test_progress_rises_and_comes_at_most_once_a_second(slicer: Slicer, tmp_path: Path) -> None:
    model = tmp_path / "bunny.stl"
    shutil.copy(BUNNY, model)
    told: list[tuple[float, int, str]] = []

    def progress(percent: int, stage: str) -> bool:
        told.append((time.monotonic(), percent, stage))
        return True

    run_slicer(slicer, SliceJob(model, asked(layerHeight=0.1), MK4, tmp_path, LIMITS), progress)
    times = [at for at, _, _ in told]
    percents = [percent for _, percent, _ in told]
    assert told
    assert percents == sorted(percents)
    assert all(later - earlier > 0.99 for earlier, later in itertools.pairwise(times))
    assert not any("/" in stage for _, _, stage in told)


@every_prusa
def test_a_slice_that_nobody_wants_any_more_stops(slicer: Slicer, tmp_path: Path) -> None:
    model = tmp_path / "bunny.stl"
    shutil.copy(BUNNY, model)
    job = SliceJob(model, asked(layerHeight=0.1), MK4, tmp_path, LIMITS)
    with pytest.raises(SliceStopped):
        run_slicer(slicer, job, lambda _percent, _stage: False)


@every
def test_the_binary_alone_says_the_version_that_results_are_stored_under(slicer: Slicer) -> None:
    said = subprocess.run(
        [slicer.binary, "--help"],
        env={"LC_ALL": "C.UTF-8", "HOME": "/tmp"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert re.search(rf"{slicer.product}[- ]{re.escape(slicer.version_text)}", said.stdout + said.stderr)
