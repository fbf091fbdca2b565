"""Move a model that was drawn far from the origin near it. The print does not depend on where a model was drawn.

PrusaSlicer 2.5 needs this: it counts nanometres in 32 bits, and finds no place on the bed for a model beyond 2.1 m.
A model that fits on a bed is about as far away as its first corner, so the offset is known without reading the file
twice. The offset is a whole number, which loses no digit: a float32 near zero is at least as precise as one far away.
"""

import os
import struct
from collections.abc import Sequence
from pathlib import Path

from printshop.geometry import stl

FAR_MM = 1000.0
"""The distance in x or y beyond which a model is moved; z does not matter to the slicer."""
_TRIANGLES_AT_ONCE = 4096


def offset_from_origin(x: float, y: float, unit_mm: float = 1.0) -> tuple[int, int]:
    """What to subtract from x and y of every corner of a model whose first corner is at (x, y)."""
    far_x, far_y = (round(at) if abs(at) * unit_mm > FAR_MM else 0 for at in (x, y))
    return far_x, far_y


def move_near_origin(path: Path, *, binary: bool) -> None:
    """Move the checked STL at `path` in place if it is far away. Memory is bounded."""
    offset = offset_from_origin(*(_first_binary_corner(path) if binary else _first_text_corner(path)))
    if any(offset):
        (_move_binary if binary else _move_text)(path, offset)


def _first_binary_corner(path: Path) -> tuple[float, float]:
    with path.open("rb") as file:
        x, y = struct.unpack_from(
            "<2f", file.read(stl.HEADER_BYTES + stl.TRIANGLE_BYTES), stl.HEADER_BYTES + 12
        )
    return x, y


def _first_text_corner(path: Path) -> tuple[float, float]:
    with path.open("rb") as file:
        lines = iter(lambda: file.readline(stl.LINE_BYTES), b"")
        _, x, y, _ = next(line for line in lines if _is_corner(line)).split()
    return float(x), float(y)


def _move_binary(path: Path, offset: Sequence[int]) -> None:
    import numpy as np  # noqa: PLC0415

    with path.open("r+b") as file:
        file.seek(stl.HEADER_BYTES)
        while chunk := bytearray(file.read(stl.TRIANGLE_BYTES * _TRIANGLES_AT_ONCE)):
            shape = (len(chunk) // stl.TRIANGLE_BYTES, 3, 2)
            corners = np.ndarray(shape, "<f4", chunk, offset=12, strides=(stl.TRIANGLE_BYTES, 12, 4))
            corners -= np.array(offset, np.float32)
            file.seek(-len(chunk), os.SEEK_CUR)
            file.write(chunk)


def _move_text(path: Path, offset: Sequence[int]) -> None:
    moved = path.with_name(f"{path.name}.moved")
    with path.open("rb") as file, moved.open("wb") as out:
        for line in iter(lambda: file.readline(stl.LINE_BYTES), b""):
            out.write(_moved(line, offset) if _is_corner(line) else line)
    moved.replace(path)


def _is_corner(line: bytes) -> bool:
    return line.lstrip()[:6].lower() == b"vertex"


def _moved(line: bytes, offset: Sequence[int]) -> bytes:
    word, x, y, z = line.split()
    return b"%b %r %r %b\n" % (word, float(x) - offset[0], float(y) - offset[1], z)
