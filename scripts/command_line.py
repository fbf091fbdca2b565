"""Runs PrusaSlicer's command line without the product, for tests and benchmarks to compare with.

Only the print profiles are the product's.
"""

import re
import shutil
import subprocess
from pathlib import Path

PROFILES = Path(__file__).resolve().parents[1] / "layers" / "common" / "printshop" / "slicing" / "profiles"
SETTINGS = ["--layer-height", "0.2", "--fill-density", "15%"]
TAIL = 30_000
SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


def machine_arguments(
    profiles: Path = PROFILES, printer: str = "bed-slinger", material: str = "pla"
) -> list[str]:
    """The slicer's arguments for a Prusa MK4 with PLA; `profiles` is the folder as the slicer sees it."""
    return [
        *("--load", f"{profiles}/printers/{printer}.ini", "--load", f"{profiles}/materials/{material}.ini"),
        *("--bed-shape", "0x0,250x0,250x210,0x210", "--max-print-height", "220"),
        *("--nozzle-diameter", "0.4", "--filament-density", "1.24"),
    ]


def arguments(profiles: Path = PROFILES) -> list[str]:
    """The slicer's arguments for the printer and settings of the demo and the tests."""
    return ["--export-gcode", *machine_arguments(profiles), *SETTINGS]


ARGUMENTS = arguments()


def slice_on_command_line(model: Path, folder: Path) -> Path:
    """Slice `model` on the command line; returns the g-code file in `folder`."""
    slicer = shutil.which("prusa-slicer") or shutil.which("prusaslicer") or "prusa-slicer"
    output = folder / "command-line.gcode"
    command: list[str | Path] = [slicer, *ARGUMENTS, "--output", output, model]
    environment = {"LC_ALL": "C.UTF-8", "HOME": str(folder), "PATH": "/usr/bin:/bin"}
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return output


def command_line_figures(model: Path, folder: Path) -> tuple[float, int]:
    """Slice `model` on the command line; returns grams and seconds."""
    return read_figures(slice_on_command_line(model, folder).read_text())


def read_figures(gcode: str) -> tuple[float, int]:
    """Grams and seconds of a g-code, read without the product's code. Raises ValueError."""
    grams = re.search(r"; filament used \[g\] = ([\d.]+)", gcode[-TAIL:])
    duration = re.search(r"; estimated printing time \(normal mode\) = (.+)", gcode[-TAIL:])
    if grams is None or duration is None:
        raise ValueError("the g-code has no statistics")
    parts = re.findall(r"(\d+)([dhms])", duration[1])
    return float(grams[1]), sum(int(number) * SECONDS[unit] for number, unit in parts)
