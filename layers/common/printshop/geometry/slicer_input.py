"""From an accepted upload to the file that the slicer may see."""

from pathlib import Path

from printshop.geometry import near_origin, stl, threemf_rebuild
from printshop.geometry.model_file import ModelKind, kind_of_file

PREPARE_SECONDS = 60.0
"""Of the processor: three times what the check may take, as the model is written besides."""


def prepare_slicer_input(upload: Path, filename: str, seconds: float = PREPARE_SECONDS) -> Path:
    """Return the file to slice, made beside `upload`, which its owner named `filename`.

    The upload is one that `check_upload` accepted: the worker compares its SHA-256 with the accepted one before.
    So an STL is not read again, but only made unambiguous, in place; it holds nothing but numbers, and those were
    checked. A 3MF holds more than what was measured: it is rebuilt from its geometry, checked anew as it is read,
    and the upload removed. What lies far from the origin is brought near. Raises ModelError, MODEL_TOO_COMPLEX
    when `seconds` of the processor are over. Memory is bounded whatever the size, and numpy is hardly ever needed.
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
