"""What a slicer said, and how it ended, as a code and whether to try again. The texts are the slicers' own."""

import signal

import pytest

from printshop.adapters.sandbox import ProcessResult
from printshop.slicing.failures import failure_of, no_gcode

TERMINATED = "terminate called after throwing an instance of"
BED_2_5 = f"{TERMINATED} 'Slic3r::RuntimeError'\n  what():  Objects could not fit on the bed"
BED_2_9 = "All objects are outside of the print volume."
NO_LAYERS = (
    "No layers were detected. You might want to repair your STL file(s) or check their size and retry."
)
UNREADABLE = "stl_open_count_facets: The file has the wrong size.\nmodel.stl: Loading of a model file failed."
SOLID_2_5 = "error: The selected fill pattern is not supposed to work at 100% density"
SOLID_2_9 = f"Error: The composite configation is not valid: {SOLID_2_5.removeprefix('error: ')}"
STYLE_2_5 = "Invalid value supplied for --support-material-style"
TOO_THICK = "Layer height can't be greater than nozzle diameter"
BAD_GCODE = "G-code export to model.gcode failed due to invalid custom G-code sections:\n\nstart_gcode"
BAD_PROFILE = (
    'Error while reading config file "pla.ini": Failed loading configuration file "pla.ini": '
    "Invalid value provided for parameter fill_density: abc"
)
UNREADABLE_SLIC3R = (
    "The input is an empty file: No such file or directory\n"
    "Error while opening model.stl: Error while reading STL file"
)
NO_MEMORY = f"{TERMINATED} 'std::bad_alloc'\n  what():  std::bad_alloc"


def ended(code: int, tail: str = "", *, timed_out: bool = False) -> ProcessResult:
    return ProcessResult(code=code, timed_out=timed_out, stopped=False, tail=tail)


@pytest.mark.parametrize(
    ("how", "code", "can_retry"),
    [
        (ended(-signal.SIGKILL, timed_out=True), "SLICER_TIMEOUT", True),
        (ended(-signal.SIGXCPU), "SLICER_TIMEOUT", False),
        (ended(-signal.SIGXFSZ), "GCODE_TOO_LARGE", False),
        (ended(-signal.SIGABRT, BED_2_5), "MODEL_OUTSIDE_BED", False),
        (ended(1, NO_LAYERS), "MODEL_NOTHING_TO_PRINT", False),
        (ended(1, UNREADABLE), "MODEL_UNREADABLE", False),
        (ended(1, SOLID_2_5), "SETTINGS_REFUSED", False),
        (ended(1, SOLID_2_9), "SETTINGS_REFUSED", False),
        (ended(1, STYLE_2_5), "SETTINGS_REFUSED", False),
        (ended(1, TOO_THICK), "SETTINGS_REFUSED", False),
        (ended(1, BAD_GCODE), "PROFILE_REFUSED", False),
        (ended(1, BAD_PROFILE), "PROFILE_REFUSED", False),
        (ended(22, UNREADABLE_SLIC3R), "MODEL_UNREADABLE", False),
        (ended(-signal.SIGABRT, NO_MEMORY), "SLICER_OUT_OF_MEMORY", False),
        (ended(-signal.SIGSEGV), "SLICER_CRASHED", True),
        (ended(-signal.SIGKILL), "SLICER_CRASHED", True),
        (ended(-signal.SIGABRT, "something new"), "SLICER_CRASHED", True),
        (ended(127), "SLICER_FAILED", True),
        (ended(1, "something new"), "SLICER_FAILED", True),
    ],
)
def test_every_end_has_its_code_and_is_tried_again_only_if_that_can_help(
    how: ProcessResult, code: str, can_retry: bool
) -> None:
    failure = failure_of(how)
    assert failure is not None
    assert (failure.code, failure.can_retry, failure.log_tail) == (code, can_retry, how.tail)
    assert failure.message.endswith(".")


def test_success_is_not_a_failure_whatever_it_mentions() -> None:
    assert failure_of(ended(0, "10 => Processing\nout of memory? no\n")) is None


@pytest.mark.parametrize(
    ("tail", "code"),
    [
        (BED_2_9, "MODEL_OUTSIDE_BED"),
        (SOLID_2_9, "SETTINGS_REFUSED"),
        (TOO_THICK, "SETTINGS_REFUSED"),
        ("", "NO_GCODE"),
        ("done", "NO_GCODE"),
    ],
)
def test_exit_0_without_a_file_is_explained_by_what_was_said(tail: str, code: str) -> None:
    failure = no_gcode(ended(0, tail))
    assert (failure.code, failure.can_retry) == (code, False)
