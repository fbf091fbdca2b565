"""From a customer's upload to the file that the slicer may see."""

from pathlib import Path

from printshop.intake import origin, stl, threemf
from printshop.intake.model_file import ModelKind, check_upload, kind_of_file


def prepare_model(upload: Path, filename: str) -> Path:
    """Check the upload, named `filename` by its owner, and return the file to slice, beside it.

    An STL is made unambiguous in place; a 3MF is rebuilt from its geometry and the upload removed. What lies far
    from the origin is brought near. Raises ModelRefused. Memory is bounded whatever the size.
    """
    kind = kind_of_file(upload, filename)
    model = upload.with_name(f"model{kind.suffix}")
    if kind is ModelKind.THREE_MF:
        threemf.rebuild(upload, model)
        upload.unlink()
    else:
        check_upload(upload, filename)
        origin.bring_near(upload, binary=kind is ModelKind.STL_BINARY)
        stl.make_unambiguous(upload, binary=kind is ModelKind.STL_BINARY)
        upload.rename(model)
    return model
