"""Whether a slice through the whole house is one that a person gets from the same slicer."""

from pathlib import Path

from scripts.command_line import command_line_figures

TRIES = 12


def found_by_hand(model: Path, folder: Path, grams: float, seconds: int) -> bool:
    """Whether the slicer by hand comes to these figures, of a model sliced in the usual way.

    Runs of the bare slicer on one model differ in time, by 4 % at most, for its threads add up in any order; rarely
    in the last digit of the grams as well, so it is asked until it says the same.
    """
    by_hand = (command_line_figures(model, folder) for _ in range(TRIES))
    return any(
        abs(grams - there) < 0.0052 and abs(seconds - then) <= max(1, 0.04 * then) for there, then in by_hand
    )
