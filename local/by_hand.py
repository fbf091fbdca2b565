"""The slicer as a person runs it, outside the product: what tests and benchmarks compare with."""

import re
import shutil
import subprocess
from pathlib import Path

ARGUMENTS = ["--export-gcode", "--layer-height", "0.2", "--fill-density", "15%", "--filament-density", "1.24"]
"""The settings of the demo and the tests, in PLA."""

TAIL = 30_000
SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


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
