"""STL, both dialects: recognised by the size equation, read through once, and made unambiguous for the slicer.

Binary: 80 bytes of header, a little-endian uint32 count, 50 bytes a triangle. Many begin with "solid" all the
same, so the size decides before the text does.
"""

import re
from array import array
from collections.abc import Iterator
from pathlib import Path

from printshop.intake.refusals import ModelRefused

HEADER_BYTES = 84
TRIANGLE_BYTES = 50
# A count above this in a file that does not fit it is not a count: the file was never an STL.
_PLAUSIBLE_TRIANGLES = 40_000_000
LINE_BYTES = 65_536

# Where PrusaSlicer looks (2.5 and 2.9 alike) to tell the dialects apart: binary if any byte there is above 127.
_SNIFFED = slice(84, 84 + 128)
_FIRST_ATTRIBUTE = 84 + 48

_LEADING_SOLID = re.compile(rb"\A(?:\xef\xbb\xbf)?\s*solid\b", re.I)
_TRAILING_ENDSOLID = re.compile(rb"endsolid[^\r\n]*\s*\Z", re.I)
_TEXT_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1f]")


def check_ends(size: int, head: bytes, tail: bytes) -> bool:
    """True for binary, False for ASCII, from the ends of the file. Raises ModelRefused."""
    if size >= HEADER_BYTES:
        count = int.from_bytes(head[80:84], "little")
        if size == HEADER_BYTES + TRIANGLE_BYTES * count:
            if count == 0:
                raise _empty()
            return True
    if _LEADING_SOLID.match(head) and not _TEXT_CONTROLS.search(head):
        _check_ascii_ends(head, tail)
        return False
    raise _neither(size, head)


def is_binary(path: Path) -> bool:
    """Whether the size of a checked STL says that it is binary."""
    with path.open("rb") as file:
        count = file.read(HEADER_BYTES)[80:]
    return path.stat().st_size == HEADER_BYTES + TRIANGLE_BYTES * int.from_bytes(count, "little")


def read_text(path: Path, numbers_at_once: int) -> Iterator[array[float]]:
    """The corners of an ASCII STL, nine numbers a triangle, in arrays of about so many numbers.

    Each facet is closed and has three corners. Raises ModelRefused, MODEL_EMPTY when there is none.
    """
    numbers = array("d")
    opened = closed = corners = 0
    with path.open("rb") as file:
        for line in iter(lambda: file.readline(LINE_BYTES), b""):
            word = line.lstrip()[:9].lower()
            if word.startswith(b"vertex"):
                corners += 1
                numbers.extend(_corner(line))
            elif word.startswith(b"facet"):
                opened += 1
            elif word.startswith(b"endfacet"):
                closed += 1
                if corners != 3 * closed or opened != closed:
                    raise _broken_facet()
                if len(numbers) >= numbers_at_once:
                    yield numbers
                    numbers = array("d")
    if opened == 0:
        raise _empty()
    if opened != closed or corners != 3 * closed:
        raise _broken_facet()
    if numbers:
        yield numbers


def make_unambiguous(path: Path, *, binary: bool) -> None:
    """Change `path` (the worker's own copy) so that the slicer reads it as the dialect it is.

    PrusaSlicer takes a binary STL for text when 128 of its bytes happen to be below 128 (a plain 190 mm cube
    is enough), and text with an accented name for binary. The first triangle's attribute, which no slicer
    reads, and the name after "solid" are free to change; the geometry is not touched.
    """
    with path.open("r+b") as file:
        sniffed = file.read(_SNIFFED.stop)[_SNIFFED]
        looks_binary = any(byte > 127 for byte in sniffed)
        if binary and not looks_binary:
            file.seek(_FIRST_ATTRIBUTE)
            file.write(b"\xff\xff")
        elif not binary and looks_binary:
            file.seek(_SNIFFED.start)
            file.write(bytes(byte if byte < 128 else ord("_") for byte in sniffed))


def _check_ascii_ends(head: bytes, tail: bytes) -> None:
    if not _TRAILING_ENDSOLID.search(tail):
        raise ModelRefused("MODEL_TRUNCATED", "The STL ends in the middle; upload it again.")
    if b"facet" not in head.lower():
        raise _empty()


def _corner(line: bytes) -> tuple[float, float, float]:
    try:
        _, x, y, z = line.split()
        if b"_" not in line:  # Python would read 1_0 as ten
            return float(x), float(y), float(z)
    except ValueError:
        pass
    raise bad_coordinates()


def _broken_facet() -> ModelRefused:
    return ModelRefused(
        "MODEL_TRUNCATED", "The STL has facets without three corners; export it again or as binary STL."
    )


def bad_coordinates() -> ModelRefused:
    return ModelRefused(
        "MODEL_BAD_COORDINATES",
        "The model has coordinates that are not numbers; repair it and export it again.",
    )


def _empty() -> ModelRefused:
    return ModelRefused("MODEL_EMPTY", "The model has no triangles; export it again.")


def _neither(size: int, head: bytes) -> ModelRefused:
    count = int.from_bytes(head[80:84], "little") if size >= HEADER_BYTES else 0
    expected = HEADER_BYTES + TRIANGLE_BYTES * count
    if 0 < count <= _PLAUSIBLE_TRIANGLES and size < expected:
        return ModelRefused(
            "MODEL_TRUNCATED",
            f"The STL promises {count} triangles ({expected} bytes) but ends after {size} bytes; upload it again.",
        )
    return ModelRefused("MODEL_NOT_STL", "The content is not STL; export the model as STL (binary is best).")
