"""The slicer as a person runs it, outside the product: what tests and benchmarks compare with.

Nothing here is the product's code but the profiles themselves, which a person would load just so.
"""

import re
import shutil
import subprocess
from pathlib import Path

PROFILES = Path(__file__).resolve().parents[1] / "layers" / "common" / "printshop" / "slicing" / "profiles"
SETTINGS = ["--layer-height", "0.2", "--fill-density", "15%"]
TAIL = 30_000
SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


def machine(profiles: Path = PROFILES, printer: str = "bed-slinger", material: str = "pla") -> list[str]:
    """The seed's Prusa MK4 with PLA, as one would tell the slicer; `profiles` as the slicer sees that folder."""
    return [
        *("--load", f"{profiles}/printers/{printer}.ini", "--load", f"{profiles}/materials/{material}.ini"),
        *("--bed-shape", "0x0,250x0,250x210,0x210", "--max-print-height", "220"),
        *("--nozzle-diameter", "0.4", "--filament-density", "1.24"),
    ]


def arguments(profiles: Path = PROFILES) -> list[str]:
    """Machine and settings of the demo and the tests."""
    return ["--export-gcode", *machine(profiles), *SETTINGS]


ARGUMENTS = arguments()


def slice_by_hand(model: Path, folder: Path) -> Path:
    """Slice `model` with the plain command line; the g-code, in `folder`."""
    slicer = shutil.which("prusa-slicer") or shutil.which("prusaslicer") or "prusa-slicer"
    output = folder / "by-hand.gcode"
    command: list[str | Path] = [slicer, *ARGUMENTS, "--output", output, model]
    environment = {"LC_ALL": "C.UTF-8", "HOME": str(folder), "PATH": "/usr/bin:/bin"}
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return output


def figures_by_hand(model: Path, folder: Path) -> tuple[float, int]:
    """Grams and seconds of the plain command line."""
    return figures_of(slice_by_hand(model, folder).read_text())


def figures_of(gcode: str) -> tuple[float, int]:
    """Grams and seconds of a g-code, read without the product's own reader. Raises ValueError."""
    grams = re.search(r"; filament used \[g\] = ([\d.]+)", gcode[-TAIL:])
    duration = re.search(r"; estimated printing time \(normal mode\) = (.+)", gcode[-TAIL:])
    if grams is None or duration is None:
        raise ValueError("the g-code has no statistics")
    parts = re.findall(r"(\d+)([dhms])", duration[1])
    return float(grams[1]), sum(int(number) * SECONDS[unit] for number, unit in parts)
