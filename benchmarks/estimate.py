"""The estimate from geometry against PrusaSlicer's figures for its sample models.

    python -m benchmarks.estimate

Prints the error of the likely figure, and (!) if the slicer's figure lies outside the range. Not part of
`make bench`, which measures speed.
"""

import statistics
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import trimesh

from printshop.geometry.dimensions import Box, Geometry
from printshop.slicing.command_line import build_arguments
from printshop.slicing.estimate import Estimate, Range, estimate
from printshop.slicing.settings import PrintProfile, SliceSettings, Supports
from printshop.slicing.slicer import Slicer, find_slicer
from scripts.command_line import read_figures
from scripts.sample_models import gallery

OFF = Supports(enabled=False, pattern="normal", angle=45)
CASES = {
    "0.2 mm, 15 %": ("generic", "pla", SliceSettings(layer_height=0.2, infill=15, supports=OFF)),
    "0.1 mm, 15 %": ("generic", "pla", SliceSettings(layer_height=0.1, infill=15, supports=OFF)),
    "0.3 mm, 40 %": ("core-xy", "pla", SliceSettings(layer_height=0.3, infill=40, supports=OFF)),
    "0.2 mm, 100 %": ("generic", "pla", SliceSettings(layer_height=0.2, infill=100, supports=OFF)),
    "0.2 mm, 15 %, TPU": ("bed-slinger", "tpu", SliceSettings(layer_height=0.2, infill=15, supports=OFF)),
    "0.2 mm, 15 %, at half size": (
        "generic",
        "petg",
        SliceSettings(layer_height=0.2, infill=15, supports=OFF, scale=50),
    ),
    "0.2 mm, 15 %, supports": (
        "generic",
        "pla",
        SliceSettings(
            layer_height=0.2, infill=15, supports=Supports(enabled=True, pattern="normal", angle=45)
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class Miss:
    """The likely figure's error, as a share of the real one, and whether the range holds the real one."""

    error: float
    inside: bool

    @classmethod
    def of(cls, expected: Range, real: float) -> "Miss":
        return cls(expected.likely / real - 1, expected.low <= real <= expected.high)

    def __str__(self) -> str:
        return f"{100 * self.error:+6.1f} % {'   ' if self.inside else '(!)'}"


def measured(model: Path) -> Geometry:
    """The model's geometry, by trimesh alone."""
    mesh = trimesh.load_mesh(model)
    x, y, z = (float(edge) for edge in mesh.extents)
    return Geometry(
        triangles=len(mesh.faces),
        box=Box(x=x, y=y, z=z),
        volume_mm3=abs(float(mesh.volume)),
        area_mm2=float(mesh.area),
        is_inverted=False,
        unit=None,
    )


def compare(slicer: Slicer, model: Path, settings: SliceSettings, profile: PrintProfile) -> tuple[Miss, Miss]:
    """Mass and time of one model, estimated against sliced."""
    expected: Estimate = estimate(measured(model), settings, profile)
    with tempfile.TemporaryDirectory() as folder:
        gcode = Path(folder) / "model.gcode"
        line, _ = build_arguments(slicer, settings, profile, str(model), str(gcode))
        environment = {"LC_ALL": "C.UTF-8", "HOME": folder}
        subprocess.run([slicer.binary, *line], check=True, capture_output=True, env=environment)
        grams, seconds = read_figures(gcode.read_text())
    return Miss.of(expected.mass_mg, grams * 1000), Miss.of(expected.time_sec, seconds)


def main() -> None:
    slicer = find_slicer()
    print(f"The estimate against {slicer.product} {slicer.version_text}: error of mass and of time")
    for title, (printer, material, settings) in CASES.items():
        profile = PrintProfile(
            printer=printer, material=material, bed_mm=(250, 210, 220), nozzle_um=400, density_mg_cm3=1240
        )
        print(f"  {title} ({profile.name})")
        misses = {}
        for name, model in gallery().items():
            misses[name] = compare(slicer, model, settings, profile)
            print(f"    {name:<28}{misses[name][0]}  {misses[name][1]}", flush=True)
        for what, of_kind in zip(("mass", "time"), zip(*misses.values(), strict=True), strict=True):
            errors = [abs(miss.error) for miss in of_kind]
            held = sum(miss.inside for miss in of_kind)
            print(
                f"    {what}: median {100 * statistics.median(errors):.1f} %, worst {100 * max(errors):.1f} %, "
                f"{held} of {len(of_kind)} in range"
            )


if __name__ == "__main__":
    main()
