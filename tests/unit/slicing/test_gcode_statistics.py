"""Grams, volume, filament and time from the end of a g-code file, in every way that slicers write them."""

import os
import time
from pathlib import Path

import pytest

from printshop.slicing.gcode_statistics import (
    TAIL_BYTES,
    NoGcode,
    Statistics,
    StatisticsDisagree,
    StatisticsMissing,
    parse_duration,
    parse_statistics,
    read_statistics,
)

PRUSA_2_5 = """\
G1 X1 Y1 E0.1
; filament used [mm] = 1392.74
; filament used [cm3] = 3.35
; filament used [g] = 4.15
; filament cost = 0.00
; total filament used [g] = 4.15
; total filament cost = 0.00
; estimated printing time (normal mode) = 17m 42s

; prusaslicer_config = begin
; machine_limits_usage = time_estimate_only
; prusaslicer_config = end
"""
PRUSA_2_9 = PRUSA_2_5.replace(
    "17m 42s\n",
    "17m 42s\n; estimated printing time (silent mode) = 18m 1s\n"
    "; estimated first layer printing time (normal mode) = 29s\n",
).replace("; total filament cost", "; total filament used for wipe tower [g] = 0.00\n; total filament cost")
CUBE = Statistics(mass_mg=4150, volume_mm3=3350, filament_mm=1393, time_s=1062)


def prusa(mm: str = "1392.74", cm3: str = "3.35", g: str = "4.15", duration: str = "17m 42s") -> str:
    return (
        f"; filament used [mm] = {mm}\n; filament used [cm3] = {cm3}\n; filament used [g] = {g}\n"
        f"; estimated printing time (normal mode) = {duration}\n"
    )


@pytest.mark.parametrize("text", [PRUSA_2_5, PRUSA_2_9, PRUSA_2_5.replace("\n", "\r\n")])
def test_prusaslicers_figures_are_read(text: str) -> None:
    assert parse_statistics(text) == CUBE


def test_figures_of_several_extruders_are_summed() -> None:
    text = prusa(mm="3322.10, 2343.50", cm3="7.99, 5.64", g="9.91, 6.99")
    assert parse_statistics(text) == Statistics(16900, 13630, 5666, 1062)


def test_the_last_figures_win_over_those_of_an_embedded_file() -> None:
    assert parse_statistics(prusa(g="1.00", duration="1s") + PRUSA_2_5) == CUBE


def test_the_plain_lines_of_slic3r_and_the_seed_are_read_and_summed() -> None:
    text = (
        "; filament used = 1000.4mm (2.4cm3)\n; filament used = 3.0g\n"
        "; filament used = 392.3mm (0.95 cm3)\n; filament used = 1.15 g\n"
        "; estimated printing time = 02:10:00\n"
    )
    assert parse_statistics(text) == Statistics(4150, 3350, 1393, 7800)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1h 23m 45s", 5025),
        ("2h 5m", 7500),
        ("15m 30s", 930),
        ("1d 2h 3m 4s", 93784),
        ("10d 0h 0m 1s", 864001),
        ("45s", 45),
        ("02:10:00", 7800),
        ("1d 02:10:00", 94200),
        ("  17m 42s \r", 1062),
        ("1h23m45s", 5025),
        ("", 0),
        ("soon", 0),
        ("-5m", 0),
        ("1h 2", 0),
        ("02:99:00", 0),
    ],
)
def test_durations_are_read_in_every_format(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("G1 X0\n", "g, cm3, mm, print time"),
        (PRUSA_2_5.replace("; filament used [g]", ";"), "g"),
        (PRUSA_2_5.replace("17m 42s", "0s"), "print time"),
        (PRUSA_2_5.replace("17m 42s", "unknown"), "print time"),
        (prusa(g="0.00"), "g"),
        (prusa(cm3="0.00", g="0.00"), "g, cm3"),
        (prusa(g="nan"), "g"),
        (prusa(g="-4.15"), "g"),
        ("; filament used = 1033.9mm (7.3cm3)\n; filament used = 9.0g\n", "print time"),
    ],
)
def test_a_figure_that_is_absent_or_zero_is_named(text: str, named: str) -> None:
    with pytest.raises(StatisticsMissing, match=rf"does not say: {named}\.$"):
        parse_statistics(text)


def test_only_lines_that_begin_with_the_figure_count() -> None:
    injected = PRUSA_2_5 + "; printing object x ; filament used [g] = 0.01\nM117 ; filament used [g] = 0.02\n"
    assert parse_statistics(injected) == CUBE


def write(path: Path, text: str, before: int = 0) -> Path:
    with path.open("wb") as file:
        file.seek(before)
        file.write(text.encode())
    return path


def test_grams_that_are_volume_times_density_are_believed(tmp_path: Path) -> None:
    assert read_statistics(write(tmp_path / "a.gcode", PRUSA_2_5), 1240) == CUBE


def test_two_rounded_figures_of_a_small_screw_still_agree(tmp_path: Path) -> None:
    # PrusaSlicer's own M3 screw: 0.17 g from 0.14 cm³ is 2.1 % off, all of it rounding.
    text = prusa(mm="56.30", cm3="0.14", g="0.17", duration="2m 27s")
    assert read_statistics(write(tmp_path / "a.gcode", text), 1240) == Statistics(170, 140, 56, 147)


@pytest.mark.parametrize("density", [1210, 1270, 7800, 1])
def test_grams_that_are_not_volume_times_density_are_refused(tmp_path: Path, density: int) -> None:
    text = prusa(mm="28506.64", cm3="68.57", g="85.02")
    with pytest.raises(StatisticsDisagree, match="85020 mg"):
        read_statistics(write(tmp_path / "a.gcode", text), density)


@pytest.mark.parametrize("content", ["", " \n\n"])
def test_an_empty_file_is_no_gcode(tmp_path: Path, content: str) -> None:
    with pytest.raises(NoGcode, match="empty"):
        read_statistics(write(tmp_path / "a.gcode", content), 1240)


def test_an_absent_file_is_no_gcode(tmp_path: Path) -> None:
    with pytest.raises(NoGcode, match="wrote no g-code"):
        read_statistics(tmp_path / "a.gcode", 1240)


def test_a_link_or_a_pipe_is_no_g_code(tmp_path: Path) -> None:
    (tmp_path / "link.gcode").symlink_to(write(tmp_path / "a.gcode", PRUSA_2_5))
    os.mkfifo(tmp_path / "pipe.gcode")
    # A reader of the pipe would wait for its writer; this writer keeps the test from waiting for ever.
    writer = os.open(tmp_path / "pipe.gcode", os.O_RDWR)
    try:
        for name in ("link.gcode", "pipe.gcode"):
            with pytest.raises(NoGcode, match="wrote no g-code"):
                read_statistics(tmp_path / name, 1240)
    finally:
        os.close(writer)


def test_a_binary_gcode_has_no_figures_to_read(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.gcode",
        "GCDE\x01\x00filament used [g]=4.46\nestimated printing time (normal mode)=13m 54s\n",
    )
    with pytest.raises(StatisticsMissing):
        read_statistics(path, 1240)


def test_figures_outside_the_tail_are_not_looked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gcode", PRUSA_2_5 + "G1 X1\n" * TAIL_BYTES)
    with pytest.raises(StatisticsMissing):
        read_statistics(path, 1240)


def test_a_gigabyte_costs_what_a_megabyte_costs(tmp_path: Path) -> None:
    small = write(tmp_path / "small.gcode", PRUSA_2_5, before=1024**2)
    large = write(tmp_path / "large.gcode", PRUSA_2_5, before=1024**3)  # sparse

    def cost(path: Path) -> float:
        laps = []
        for _ in range(15):
            began = time.perf_counter()
            assert read_statistics(path, 1240) == CUBE
            laps.append(time.perf_counter() - began)
        return min(laps)

    assert cost(large) < 3 * cost(small) + 0.001
