"""Is this file the STL or 3MF that its name says? Extension and content must agree.

`check_ends` needs only the first and the last bytes, so the upload API can ask storage for two ranges instead
of the file; `check_file` reads all of it on the worker's disk.
"""

import os
from enum import StrEnum
from pathlib import Path, PurePath

from printshop.intake import package, stl
from printshop.intake.refusals import ModelRefused

HEAD_BYTES = 1024
TAIL_BYTES = 64 * 1024
"""How much of each end `check_ends` wants: `data[:HEAD_BYTES]` and `data[-TAIL_BYTES:]`, or all of less."""


class ModelKind(StrEnum):
    STL_BINARY = "stl-binary"
    STL_ASCII = "stl-ascii"
    THREE_MF = "3mf"

    @property
    def suffix(self) -> str:
        return ".3mf" if self is ModelKind.THREE_MF else ".stl"


def check_ends(filename: str, size: int, head: bytes, tail: bytes) -> ModelKind:
    """The kind of a file of `size` bytes, from its ends. Raises ModelRefused."""
    suffix = PurePath(filename).suffix.lower()
    if suffix not in {".stl", ".3mf"}:
        raise ModelRefused("MODEL_TYPE", "Only .stl and .3mf models are accepted; export the model as one.")
    if size == 0:
        raise ModelRefused("MODEL_EMPTY", "The file is empty; export the model again.")
    if suffix == ".3mf":
        package.check_ends(size, head, tail)
        return ModelKind.THREE_MF
    if package.looks_like_zip(head):
        raise ModelRefused("MODEL_NOT_STL", "The file is a 3MF or ZIP named .stl; give it its own name.")
    binary = stl.check_ends(size, head, tail)
    return ModelKind.STL_BINARY if binary else ModelKind.STL_ASCII


def check_file(path: Path, filename: str) -> ModelKind:
    """The kind of the file at `path`, after reading all of it (of a 3MF, its directory). Raises ModelRefused.

    `filename` is the name it was uploaded under. Memory is bounded whatever the size.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        file.seek(max(0, size - TAIL_BYTES), os.SEEK_SET)
        tail = file.read(TAIL_BYTES)
    kind = check_ends(filename, size, head, tail)
    if kind is ModelKind.STL_BINARY:
        stl.check_binary(path)
    elif kind is ModelKind.STL_ASCII:
        stl.check_ascii(path)
    else:
        with package.open_package(path):
            pass
    return kind
