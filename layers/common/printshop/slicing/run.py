"""One run of the slicer in the sandbox: a model goes in, g-code with its statistics comes out.

    slicer = find_slicer("prusaslicer")
    sliced = run_slicer(slicer, SliceJob(model, settings, profile, folder, Limits(timeout_s=120)), on_progress)

An exit code of 0 is not proof of success: the run counts only when the g-code carries every figure.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from printshop.adapters.sandbox import Limits, run_sandboxed
from printshop.slicing.command_line import build_arguments
from printshop.slicing.failures import SliceFailed, SliceStopped, failure_of, no_gcode
from printshop.slicing.gcode_statistics import GcodeError, NoGcode, Statistics, read_statistics
from printshop.slicing.settings import PrintProfile, SliceSettings
from printshop.slicing.slicer import Slicer

_PROGRESS = re.compile(r"(\d{1,3}) => (.+?)(?: to /.*)?")  # the last stage names a path of this machine

type ProgressCallback = Callable[[int, str], bool]
"""Called once a second with percent (never falling) and stage, changed or not; returns whether to continue."""


@dataclass(frozen=True, slots=True)
class SliceJob:
    """One model to slice: a checked file, the settings, printer and material, an empty folder of its own.

    `is_turned`: the model fits on the bed only after a turn of 90° about Z.
    """

    model: Path
    settings: SliceSettings
    profile: PrintProfile
    scratch: Path
    limits: Limits
    is_turned: bool = False


@dataclass(frozen=True, slots=True)
class SlicedModel:
    """The g-code, in the job's scratch folder, its figures, and notes on what differs from the request."""

    gcode: Path
    statistics: Statistics
    notes: list[str] = field(default_factory=list)


def run_slicer(slicer: Slicer, job: SliceJob, on_progress: ProgressCallback | None = None) -> SlicedModel:
    """Slice the job's model; no process of it remains afterwards.

    Raises SliceFailed, SliceStopped when `on_progress` returned False, Unprocessable UNKNOWN_PROFILE.
    """
    gcode = job.scratch / "model.gcode"
    arguments, notes = build_arguments(
        slicer, job.settings, job.profile, str(job.model), str(gcode), is_turned=job.is_turned
    )
    progress = _ProgressReader(on_progress)
    result = run_sandboxed(
        [slicer.binary, *arguments],
        scratch=job.scratch,
        limits=job.limits,
        on_line=progress.read_line,
        keep_going=progress.report,
    )
    if result.stopped:
        raise SliceStopped
    if failure := failure_of(result):
        raise failure
    try:
        return SlicedModel(gcode, read_statistics(gcode, job.profile.density_mg_cm3), notes)
    except NoGcode:
        raise no_gcode(result) from None
    except GcodeError as error:
        raise SliceFailed(error.code, str(error), can_retry=False, log_tail=result.tail) from error


class _ProgressReader:
    """Turns the slicer's lines (`45 => Making infill`) into calls of the callback, one a second."""

    def __init__(self, on_progress: ProgressCallback | None) -> None:
        self._on_progress = on_progress
        self._latest = (0, "")

    def read_line(self, line: str) -> None:
        if match := _PROGRESS.fullmatch(line):
            # Stages overlap: PrusaSlicer 2.5 prints 70 before 30.
            percent = min(100, max(self._latest[0], int(match[1])))
            self._latest = (percent, match[2].removesuffix("...")[:80])

    def report(self) -> bool:
        return self._on_progress is None or self._on_progress(*self._latest)
