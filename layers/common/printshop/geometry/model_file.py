"""Check that an upload is the STL or 3MF that its file extension says.

`check_ends` needs only the first and the last bytes; `check_upload` reads the whole file and measures it.
"""

import os
from enum import StrEnum
from pathlib import Path, PurePath

from printshop.geometry import stl, threemf_package
from printshop.geometry.dimensions import Geometry
from printshop.geometry.errors import ModelError

HEAD_BYTES = 1024
TAIL_BYTES = 64 * 1024
"""What `check_ends` takes: `data[:HEAD_BYTES]` and `data[-TAIL_BYTES:]`, or the whole of a shorter file."""

CHECK_SECONDS = 20.0
"""The gateway waits 29 s, in which the file is also downloaded and its result stored."""


class ModelKind(StrEnum):
    """The file formats that are accepted."""

    STL_BINARY = "stl-binary"
    STL_ASCII = "stl-ascii"
    THREE_MF = "3mf"

    @property
    def suffix(self) -> str:
        return ".3mf" if self is ModelKind.THREE_MF else ".stl"


def check_ends(filename: str, size: int, head: bytes, tail: bytes) -> ModelKind:
    """Tell the kind of a file of `size` bytes from its first and last bytes. Raises ModelError."""
    suffix = PurePath(filename).suffix.lower()
    if suffix not in {".stl", ".3mf"}:
        raise ModelError("MODEL_TYPE")
    if size == 0:
        raise ModelError("MODEL_EMPTY", "The file is empty; export the model again.")
    if suffix == ".3mf":
        threemf_package.check_ends(size, head, tail)
        return ModelKind.THREE_MF
    if threemf_package.looks_like_zip(head):
        raise ModelError("MODEL_NOT_STL", "The file is a 3MF or ZIP named .stl; give it its own name.")
    binary = stl.check_ends(size, head, tail)
    return ModelKind.STL_BINARY if binary else ModelKind.STL_ASCII


def kind_of_file(path: Path, filename: str) -> ModelKind:
    """Tell the kind of the file at `path`, uploaded as `filename`, from its ends. Raises ModelError."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        file.seek(max(0, size - TAIL_BYTES), os.SEEK_SET)
        tail = file.read(TAIL_BYTES)
    return check_ends(filename, size, head, tail)


def check_upload(path: Path, filename: str, seconds: float = CHECK_SECONDS) -> tuple[ModelKind, Geometry]:
    """Check the whole file at `path`, uploaded as `filename`, and measure it in the same pass.

    Raises ModelError, with MODEL_TOO_COMPLEX when it takes longer than `seconds`. Memory is bounded whatever the
    file's size.
    """
    # Imported here: numpy takes a tenth of a second, and most requests measure no model.
    from printshop.geometry.measure import measure  # noqa: PLC0415

    kind = kind_of_file(path, filename)
    return kind, measure(path, kind, seconds)
