"""A model drawn far from the origin is brought near, because PrusaSlicer 2.5 loses its way: it reckons in 32 bits of
nanometres, and from 2.1 m on finds no place on any bed. Where a model was drawn means nothing to the print.

A model that fits on a bed is as far away as its first corner, so nothing has to be read twice. It is moved by whole
numbers, which costs no digit: a float32 near zero holds whatever one far from zero does.
"""

import os
import struct
from collections.abc import Sequence
from pathlib import Path

from printshop.geometry import stl

FAR_MM = 1000.0
"""Along the bed; the height of a model does not matter to the slicer."""
_TRIANGLES_AT_ONCE = 4096


def offset_from_origin(x: float, y: float, unit_mm: float = 1.0) -> tuple[int, int]:
    """What to take off both coordinates of every corner when the first one is at x, y."""
    far_x, far_y = (round(at) if abs(at) * unit_mm > FAR_MM else 0 for at in (x, y))
    return far_x, far_y


def move_near_origin(path: Path, *, binary: bool) -> None:
    """Move the STL at `path` (the worker's own copy, checked) if it is far away. Memory is bounded."""
    shift = offset_from_origin(*(_first_of_binary(path) if binary else _first_of_text(path)))
    if any(shift):
        (_move_binary if binary else _move_text)(path, shift)


def _first_of_binary(path: Path) -> tuple[float, float]:
    with path.open("rb") as file:
        x, y = struct.unpack_from(
            "<2f", file.read(stl.HEADER_BYTES + stl.TRIANGLE_BYTES), stl.HEADER_BYTES + 12
        )
    return x, y


def _first_of_text(path: Path) -> tuple[float, float]:
    with path.open("rb") as file:
        lines = iter(lambda: file.readline(stl.LINE_BYTES), b"")
        _, x, y, _ = next(line for line in lines if _is_corner(line)).split()
    return float(x), float(y)


def _move_binary(path: Path, shift: Sequence[int]) -> None:
    import numpy as np  # noqa: PLC0415

    with path.open("r+b") as file:
        file.seek(stl.HEADER_BYTES)
        while chunk := bytearray(file.read(stl.TRIANGLE_BYTES * _TRIANGLES_AT_ONCE)):
            shape = (len(chunk) // stl.TRIANGLE_BYTES, 3, 2)
            corners = np.ndarray(shape, "<f4", chunk, offset=12, strides=(stl.TRIANGLE_BYTES, 12, 4))
            corners -= np.array(shift, np.float32)
            file.seek(-len(chunk), os.SEEK_CUR)
            file.write(chunk)


def _move_text(path: Path, shift: Sequence[int]) -> None:
    moved = path.with_name(f"{path.name}.moved")
    with path.open("rb") as file, moved.open("wb") as out:
        for line in iter(lambda: file.readline(stl.LINE_BYTES), b""):
            out.write(_moved(line, shift) if _is_corner(line) else line)
    moved.replace(path)


def _is_corner(line: bytes) -> bool:
    return line.lstrip()[:6].lower() == b"vertex"


def _moved(line: bytes, shift: Sequence[int]) -> bytes:
    word, x, y, z = line.split()
    return b"%b %r %r %b\n" % (word, float(x) - shift[0], float(y) - shift[1], z)
