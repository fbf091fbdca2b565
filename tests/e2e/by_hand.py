"""Whether a slice through the whole house is one that a person gets from the same slicer."""

from pathlib import Path

from local.by_hand import figures_by_hand

TRIES = 12


def found_by_hand(model: Path, folder: Path, grams: float, seconds: int) -> bool:
    """Whether the slicer by hand comes to these figures, of a model sliced in the usual way.

    Runs of the bare slicer on one model differ by some seconds now and then, for its threads add up in any order. So
    it is asked until it says the same.
    """
    by_hand = (figures_by_hand(model, folder) for _ in range(TRIES))
    return any(abs(grams - there) < 0.0052 and abs(seconds - then) <= 1 for there, then in by_hand)
