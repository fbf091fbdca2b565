"""Why a slice did not come about: a code, a sentence for the customer, and whether another attempt can help.

A slicer's exit code alone says little: PrusaSlicer 2.9 ends with 0 after it refused a model, 2.5 aborts. Nor does a
slicer notice everything: 2.5 prints above the printer's height, Slic3r beside its bed, and none minds a brim that
leaves the bed. Whether a model fits is checked before (`MODEL_TOO_LARGE`); what the slicer itself says of it is
`MODEL_OUTSIDE_BED`, which 2.9 says of a speck, too.
"""

import re
import signal
from dataclasses import dataclass

from printshop.adapters.sandbox import ProcessResult


class SliceFailed(Exception):
    """No priceable g-code.

    `can_retry`: another attempt may succeed (a crash, a timeout), or is a waste (the model, the settings).
    `log_tail`: the slicer's last lines, for the shop's eyes.
    """

    def __init__(self, code: str, message: str, *, can_retry: bool, log_tail: str = "") -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.can_retry = can_retry
        self.log_tail = log_tail


class SliceStopped(Exception):
    """The caller's progress callback asked for the end: there is nothing to report."""


@dataclass(frozen=True, slots=True)
class _Cause:
    code: str
    message: str
    can_retry: bool = False

    def failure(self, log_tail: str) -> SliceFailed:
        return SliceFailed(self.code, self.message, can_retry=self.can_retry, log_tail=log_tail)


_TIMEOUT = _Cause(
    "SLICER_TIMEOUT",
    "Slicing took longer than allowed; use a larger layer height, less infill or a simpler model.",
    can_retry=True,
)
# It had the processors to itself all the time that there is: no quieter machine helps.
_TOO_LONG = _Cause(_TIMEOUT.code, _TIMEOUT.message)
_CRASHED = _Cause(
    "SLICER_CRASHED", "The slicer crashed on this model; repair the model and try again.", can_retry=True
)
_FAILED = _Cause(
    "SLICER_FAILED", "The slicer gave up on this model; repair the model and try again.", can_retry=True
)
_TOO_LARGE = _Cause(
    "GCODE_TOO_LARGE", "The g-code is too large; use a larger layer height, or split the model."
)
NO_GCODE = _Cause("NO_GCODE", "The slicer found nothing to print in this model; repair it or scale it.")

# The words of PrusaSlicer 2.5 and 2.9, and of Slic3r 1.3.
_SAID = (
    (
        re.compile(
            r"could not fit on the bed|outside of the print volume|exceeds? the (?:maximum )?build volume",
            re.I,
        ),
        _Cause(
            "MODEL_OUTSIDE_BED",
            "The slicer finds no place for the model on this printer; check its size and units, or split it.",
        ),
    ),
    (
        re.compile(
            r"no layers were detected|no extrusions? (?:under|in)|there is no object|nothing to print", re.I
        ),
        _Cause(
            "MODEL_NOTHING_TO_PRINT",
            "The model is too thin or too small to print; check its units and scale.",
        ),
    ),
    (
        re.compile(
            r"loading of a model file failed|input is an empty file|no valid (?:model|object)|reading STL file"
            r"|unknown file format",
            re.I,
        ),
        _Cause("MODEL_UNREADABLE", "The slicer cannot read this model; repair it and export it again."),
    ),
    (
        re.compile(r"bad_alloc|length_error|cannot allocate|out of memory", re.I),
        _Cause("SLICER_OUT_OF_MEMORY", "The model is too complex to slice; simplify it (fewer triangles)."),
    ),
    (
        re.compile(r"invalid custom G-code|reading config file|failed loading config", re.I),
        _Cause(
            "PROFILE_REFUSED",
            "The slicer does not accept this printer's or material's profile; choose another, or tell the shop.",
        ),
    ),
    (
        re.compile(
            r"not valid:|not supposed to work|invalid value|unknown option|can't be greater than", re.I
        ),
        _Cause("SETTINGS_REFUSED", "The slicer does not accept these settings together; choose others."),
    ),
)


def failure_of(ended: ProcessResult) -> SliceFailed | None:
    """What went wrong according to how the slicer ended and what it said; None if it claims success."""
    if ended.timed_out:
        return _TIMEOUT.failure(ended.tail)
    if ended.code == -signal.SIGXCPU:
        return _TOO_LONG.failure(ended.tail)
    if ended.code == -signal.SIGXFSZ:
        return _TOO_LARGE.failure(ended.tail)
    if ended.code == 0:
        return None
    if said := _cause_said(ended.tail):
        return said.failure(ended.tail)
    return (_CRASHED if ended.code < 0 else _FAILED).failure(ended.tail)


def no_gcode(ended: ProcessResult) -> SliceFailed:
    """The slicer claims success, but there is no g-code: what it said tells why."""
    return (_cause_said(ended.tail) or NO_GCODE).failure(ended.tail)


def _cause_said(tail: str) -> _Cause | None:
    return next((cause for words, cause in _SAID if words.search(tail)), None)
