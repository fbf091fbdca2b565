"""PrusaSlicer as a person would run it, outside the product: a plain command line, figures read by eye."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from scripts.command_line import machine_arguments

SHAPES = Path("/usr/share/PrusaSlicer/shapes")
BUNNY = SHAPES / "bunny.stl"
SCREW = SHAPES / "M3x10_screw.stl"
BINARY = os.environ.get("SLICER_BIN") or shutil.which("prusa-slicer") or "prusa-slicer"


def slice_by_hand(
    model: Path, folder: Path, *arguments: str, printer: str = "generic", material: str = "pla"
) -> tuple[float, float, str]:
    """(grams, cm³, the time as text) of `model` on the seed's Prusa MK4, with PLA's density."""
    gcode = folder / "by-hand.gcode"
    command = [BINARY, "--export-gcode", *machine_arguments(printer=printer, material=material), *arguments]
    subprocess.run(
        [*command, "--output", gcode, model],
        env={"LC_ALL": "C.UTF-8", "HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        check=True,
        cwd=folder,
    )
    text = gcode.read_text()
    found = [
        re.findall(rf"^; {re.escape(name)} = (.+)$", text, re.M)
        for name in ("filament used [g]", "filament used [cm3]", "estimated printing time (normal mode)")
    ]
    ((grams,), (volume,), (duration,)) = found
    return float(grams), float(volume), duration
