"""Prepare an accepted upload for the slicer, which reads only the prepared file."""

from pathlib import Path

from printshop.geometry import near_origin, stl, threemf_rebuild
from printshop.geometry.model_file import ModelKind, kind_of_file

PREPARE_SECONDS = 60.0
"""Processor time: three times the limit of the check, because the model is written as well as read."""


def prepare_slicer_input(upload: Path, filename: str, seconds: float = PREPARE_SECONDS) -> Path:
    """Turn `upload`, which its owner named `filename`, into the file to slice, and return its path beside `upload`.

    The upload must be one that `check_upload` accepted: the caller compares its SHA-256 with the accepted one first.
    An STL holds only numbers, which were checked then, so it is changed in place and not checked again: it is moved
    near the origin if it is far away, and marked so that the slicer recognises its kind. A 3MF holds more than the
    checked geometry, so it is rebuilt from its geometry, checked again while it is read, and the upload is removed.
    Raises ModelError, with MODEL_TOO_COMPLEX when it takes more than `seconds` of processor time. Memory is bounded
    whatever the size; numpy is loaded only to move a binary STL.
    """
    kind = kind_of_file(upload, filename)
    model = upload.with_name(f"model{kind.suffix}")
    if kind is ModelKind.THREE_MF:
        threemf_rebuild.rebuild(upload, model, seconds)
        upload.unlink()
    else:
        near_origin.move_near_origin(upload, binary=kind is ModelKind.STL_BINARY)
        stl.make_unambiguous(upload, binary=kind is ModelKind.STL_BINARY)
        upload.rename(model)
    return model
