"""The slicer: found and asked for its abilities once, given exactly what the customer chose, believed only when
its g-code carries every figure.

    slicer = find_slicer("prusaslicer")
    sliced = run(slicer, SliceJob(model, settings, profile, folder, Limits(timeout_s=120)), progress)
"""

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal

from printshop.adapters.sandbox import Limits, run_fenced
from printshop.slicing.failures import SliceFailed, SliceStopped, failure_of, no_gcode
from printshop.slicing.gcode import GcodeError, NoGcode, Statistics, read_statistics
from printshop.slicing.profiles import load_files
from printshop.slicing.settings import PrintProfile, SliceSettings, plain_number

DEFAULT_BINARY = "prusaslicer"
_DEBIAN_BINARY = "prusa-slicer"
_PROBE_SECONDS = 30
_SAID_CHARACTERS = 400

_PRODUCT = re.compile(r"\b(PrusaSlicer|Slic3r)[- ](\d+)\.(\d+)(?:\.(\d+))?")
_STYLES = re.compile(r"--support-material-style\b.*?\(([^()]*);\s*default:", re.S)
_PROGRESS = re.compile(r"(\d{1,3}) => (.+?)(?: to /.*)?")  # the last stage names a path of ours

_FIRST_LAYER_OF_NOZZLE = 0.5

type Progress = Callable[[int, str], bool]
"""Called once a second with percent (never falling) and stage, news or not; answers whether to go on."""


@dataclass(frozen=True, slots=True)
class Slicer:
    """A slicer binary and what it can do.

    Slic3r 1.3 reads the same profiles and passes over the keys that it does not know, so that its walls and skins
    are near, not equal. It knows neither tree supports nor a bed to fit on, and writes no print time, so that its
    slices end in `NO_STATISTICS`: the shop prices them.
    """

    binary: str
    product: Literal["PrusaSlicer", "Slic3r"]
    version: tuple[int, int, int]
    support_styles: frozenset[str] = frozenset()
    has_binary_gcode: bool = False

    @property
    def version_text(self) -> str:
        return ".".join(map(str, self.version))


@dataclass(frozen=True, slots=True)
class SliceJob:
    """One model to slice: a checked file, the settings, printer and material, an empty folder of its own.

    `turned`: the model fits on the bed when it is turned by 90° about Z, and not as it came.
    """

    model: Path
    settings: SliceSettings
    profile: PrintProfile
    scratch: Path
    limits: Limits
    turned: bool = False


@dataclass(frozen=True, slots=True)
class Sliced:
    """The g-code, in the job's scratch folder, its figures, and notes on what was done differently than asked."""

    gcode: Path
    statistics: Statistics
    notes: list[str] = field(default_factory=list)


@lru_cache(maxsize=4)
def find_slicer(binary: str = DEFAULT_BINARY) -> Slicer:
    """The slicer that SLICER_BIN names, asked once per process for its version and support styles.

    Raises SliceFailed SLICER_MISSING when there is none or it does not answer as one.
    """
    path = shutil.which(binary) or (shutil.which(_DEBIAN_BINARY) if binary == DEFAULT_BINARY else None)
    if path is None:
        raise _missing("it is not installed", f"{binary} is not on PATH")
    said = _ask(path, "--help")
    product = _PRODUCT.search(said)
    if product is None:
        raise _missing("it is another program", f"{path} says: {said[:_SAID_CHARACTERS]}")
    version = (int(product[2]), int(product[3]), int(product[4] or 0))
    if product[1] == "Slic3r":
        return Slicer(path, "Slic3r", version)
    options = _ask(path, "--help-fff")
    styles = _STYLES.search(options)
    return Slicer(
        path,
        "PrusaSlicer",
        version,
        support_styles=frozenset(re.findall(r"\w+", styles[1])) if styles else frozenset(),
        has_binary_gcode="--binary-gcode" in options,
    )


def arguments(
    slicer: Slicer,
    settings: SliceSettings,
    profile: PrintProfile,
    model: str,
    output: str,
    *,
    turned: bool = False,
) -> tuple[list[str], list[str]]:
    """The command line (without the binary) for this slicer's version, and notes on what it cannot do.

    The profile's files come first, then what the printer's row says, then the customer's settings. Raises
    Unprocessable UNKNOWN_PROFILE.
    """
    notes: list[str] = []
    line = [word for file in load_files(profile) for word in ("--load", str(file))]
    line += _machine(slicer, profile)
    line += ["--filament-density", plain_number(profile.density_mg_cm3 / 1000)]
    line += ["--layer-height", plain_number(settings.layer_height)]
    line += ["--fill-density", f"{plain_number(settings.infill)}%"]
    if settings.infill == 100:
        line += ["--fill-pattern", "rectilinear"]  # the profile's pattern refuses to be solid
    if settings.supports.enabled:
        # Not --support-material-angle, which only turns the pattern.
        line += ["--support-material", "--support-material-threshold", str(settings.supports.angle)]
        if settings.supports.pattern == "tree":
            line += _tree_supports(slicer, notes)
    if settings.brim_width:
        line += ["--brim-width", plain_number(settings.brim_width)]
    if settings.scale != 100:
        line += ["--scale", _scale(slicer, settings.scale)]
    if turned:
        line += ["--rotate", "90"]
    return [*line, *_product_arguments(slicer), "--output", output, model], notes


def run(slicer: Slicer, job: SliceJob, progress: Progress | None = None) -> Sliced:
    """Slice. Raises SliceFailed, or SliceStopped when `progress` answered no; leaves no process behind."""
    gcode = job.scratch / "model.gcode"
    line, notes = arguments(slicer, job.settings, job.profile, str(job.model), str(gcode), turned=job.turned)
    follower = _ProgressFollower(progress)
    ended = run_fenced(
        [slicer.binary, *line],
        scratch=job.scratch,
        limits=job.limits,
        on_line=follower.read_line,
        keep_going=follower.report,
    )
    if ended.stopped:
        raise SliceStopped
    if failure := failure_of(ended):
        raise failure
    try:
        return Sliced(gcode, read_statistics(gcode, job.profile.density_mg_cm3), notes)
    except NoGcode:
        raise no_gcode(ended) from None
    except GcodeError as error:
        raise SliceFailed(error.code, str(error), can_heal=False, log_tail=ended.tail) from error


def _machine(slicer: Slicer, profile: PrintProfile) -> list[str]:
    """Bed, height and nozzle."""
    x, y, z = profile.bed_mm
    nozzle_mm = profile.nozzle_um / 1000
    line = ["--nozzle-diameter", plain_number(nozzle_mm)]
    line += ["--first-layer-height", plain_number(nozzle_mm * _FIRST_LAYER_OF_NOZZLE)]
    if slicer.product == "Slic3r":
        # It takes no bed on its command line: only the middle of one.
        return [*line, "--print-center", f"{plain_number(x / 2)},{plain_number(y / 2)}"]
    return [*line, "--bed-shape", f"0x0,{x}x0,{x}x{y},0x{y}", "--max-print-height", str(z)]


def _scale(slicer: Slicer, percent: float) -> str:
    # Slic3r takes a bare factor alone.
    return f"{percent / 100:.4f}" if slicer.product == "Slic3r" else f"{plain_number(percent)}%"


def _product_arguments(slicer: Slicer) -> list[str]:
    if slicer.product == "Slic3r":
        return ["--no-gui"]  # it always exports, and an empty script is an error to it
    # Two arguments: `--post-process=` would leave a model's own script in place.
    line = ["--export-gcode", "--post-process", ""]
    return [*line, "--no-binary-gcode"] if slicer.has_binary_gcode else line


def _tree_supports(slicer: Slicer, notes: list[str]) -> list[str]:
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


class _ProgressFollower:
    """Turns the slicer's lines (`45 => Making infill`) into calls of the callback, one a second."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._now = (0, "")

    def read_line(self, line: str) -> None:
        if match := _PROGRESS.fullmatch(line):
            # Stages overlap: PrusaSlicer 2.5 says 70 before 30.
            percent = min(100, max(self._now[0], int(match[1])))
            self._now = (percent, match[2].removesuffix("...")[:80])

    def report(self) -> bool:
        return self._progress is None or self._progress(*self._now)


def _ask(path: str, option: str) -> str:
    """What the binary says of itself. Without the fence: nothing of a customer's is involved."""
    try:
        answer = subprocess.run(
            [path, option],
            env={"LC_ALL": "C.UTF-8", "HOME": "/tmp"},  # noqa: S108
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_PROBE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _missing("it does not run", f"{path}: {error}") from error
    return answer.stdout.decode("utf-8", "replace")


def _missing(reason: str, detail: str) -> SliceFailed:
    """`detail` may name paths: it is for the shop's eyes."""
    message = f"The slicer is not available ({reason}); tell the shop, and try again later."
    return SliceFailed("SLICER_MISSING", message, can_heal=True, log_tail=f"SLICER_BIN: {detail}")
