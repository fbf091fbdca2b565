"""The slicer's command line: profile, machine and the customer's settings as arguments for its version."""

from printshop.slicing.profiles import profile_files
from printshop.slicing.settings import PrintProfile, SliceSettings, plain_number
from printshop.slicing.slicer import Slicer

_FIRST_LAYER_TO_NOZZLE = 0.5
"""Height of the first layer as a share of the nozzle's width."""


def build_arguments(
    slicer: Slicer,
    settings: SliceSettings,
    profile: PrintProfile,
    model: str,
    output: str,
    *,
    is_turned: bool = False,
) -> tuple[list[str], list[str]]:
    """The arguments (without the binary) for this slicer's version, and notes on what it cannot do.

    The profile's files come first, then the printer's bed, height and nozzle, then the customer's settings, because
    a later argument overrides an earlier one. Raises Unprocessable UNKNOWN_PROFILE.
    """
    notes: list[str] = []
    arguments = [word for file in profile_files(profile) for word in ("--load", str(file))]
    arguments += _machine_arguments(slicer, profile)
    arguments += ["--filament-density", plain_number(profile.density_mg_cm3 / 1000)]
    arguments += ["--layer-height", plain_number(settings.layer_height)]
    arguments += ["--fill-density", f"{plain_number(settings.infill)}%"]
    if settings.infill == 100:
        arguments += ["--fill-pattern", "rectilinear"]  # the profile's pattern cannot fill solid
    if settings.supports.enabled:
        # Not --support-material-angle, which only turns the pattern.
        arguments += ["--support-material", "--support-material-threshold", str(settings.supports.angle)]
        if settings.supports.pattern == "tree":
            arguments += _tree_support_arguments(slicer, notes)
    if settings.brim_width:
        arguments += ["--brim-width", plain_number(settings.brim_width)]
    if settings.scale != 100:
        arguments += ["--scale", _scale(slicer, settings.scale)]
    if is_turned:
        arguments += ["--rotate", "90"]
    return [*arguments, *_export_arguments(slicer), "--output", output, model], notes


def _machine_arguments(slicer: Slicer, profile: PrintProfile) -> list[str]:
    """Bed, height and nozzle."""
    x, y, z = profile.bed_mm
    nozzle_mm = profile.nozzle_um / 1000
    arguments = ["--nozzle-diameter", plain_number(nozzle_mm)]
    arguments += ["--first-layer-height", plain_number(nozzle_mm * _FIRST_LAYER_TO_NOZZLE)]
    if slicer.product == "Slic3r":
        # Its command line takes the bed's centre, but no bed shape.
        return [*arguments, "--print-center", f"{plain_number(x / 2)},{plain_number(y / 2)}"]
    return [*arguments, "--bed-shape", f"0x0,{x}x0,{x}x{y},0x{y}", "--max-print-height", str(z)]


def _scale(slicer: Slicer, percent: float) -> str:
    # Slic3r accepts a factor only, without a percent sign.
    return f"{percent / 100:.4f}" if slicer.product == "Slic3r" else f"{plain_number(percent)}%"


def _export_arguments(slicer: Slicer) -> list[str]:
    if slicer.product == "Slic3r":
        return ["--no-gui"]  # it always exports, and reports an empty script as an error
    # Two arguments: `--post-process=` would leave a model's own script in place.
    arguments = ["--export-gcode", "--post-process", ""]
    return [*arguments, "--no-binary-gcode"] if slicer.has_binary_gcode else arguments


def _tree_support_arguments(slicer: Slicer, notes: list[str]) -> list[str]:
    for style in ("organic", "snug"):
        if style in slicer.support_styles:
            if style == "snug":
                notes.append(
                    f"Tree supports need PrusaSlicer 2.6; {slicer.version_text} made snug supports instead."
                )
            return ["--support-material-style", style]
    notes.append(
        f"{slicer.product} {slicer.version_text} has no tree supports; normal supports were made instead."
    )
    return []
