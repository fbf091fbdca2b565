"""The slicer as a person runs it, outside the product."""

import re
import shutil
import subprocess
from pathlib import Path

ARGUMENTS = ["--export-gcode", "--layer-height", "0.2", "--fill-density", "15%", "--filament-density", "1.24"]
"""The default settings of the tests and the demo, in PLA."""


def slice_by_hand(model: Path, folder: Path) -> Path:
    """Slice `model` with the plain command line; the g-code, in `folder`."""
    slicer = shutil.which("prusa-slicer") or shutil.which("prusaslicer")
    assert slicer is not None
    output = folder / "by-hand.gcode"
    command: list[str | Path] = [slicer, *ARGUMENTS, "--output", output, model]
    environment = {"LC_ALL": "C.UTF-8", "HOME": str(folder), "PATH": "/usr/bin:/bin"}
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return output


def figures_by_hand(model: Path, folder: Path) -> tuple[float, int]:
    """Grams and seconds of the plain command line."""
    return figures_of(slice_by_hand(model, folder).read_text())


def figures_of(gcode: str) -> tuple[float, int]:
    """Grams and seconds of a g-code, read with regular expressions of our own."""
    text = gcode[-30_000:]
    grams = re.search(r"; filament used \[g\] = ([\d.]+)", text)
    duration = re.search(r"; estimated printing time \(normal mode\) = (.+)", text)
    assert grams is not None
    assert duration is not None
    units = {"d": 86400, "h": 3600, "m": 60, "s": 1}
    return float(grams[1]), sum(int(n) * units[unit] for n, unit in re.findall(r"(\d+)([dhms])", duration[1]))
