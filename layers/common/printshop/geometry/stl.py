"""STL, both dialects: recognised by the size equation, read through once, and made unambiguous for the slicer.

Binary: 80 bytes of header, a little-endian uint32 count, 50 bytes a triangle. Many begin with "solid" all the
same, so the size decides before the text does.
"""

import re
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from printshop.geometry.deadline import Deadline
from printshop.geometry.errors import ModelError

HEADER_BYTES = 84
TRIANGLE_BYTES = 50
# A count above this in a file that does not fit it is not a count: the file was never an STL.
_PLAUSIBLE_TRIANGLES = 40_000_000
LINE_BYTES = 65_536
_BLOCK_BYTES = 65_536

_BLANK_LINE = re.compile(rb"\n[^\S\n]*+\n")
_LINE_END = re.compile(rb"\n\s*+")
# A facet word by word, each line ended by a bar; 0 stands for any number.
_USUAL_FACET = (
    b"facet normal 0 0 0 | outer loop | vertex 0 0 0 | vertex 0 0 0 | vertex 0 0 0 | endloop | endfacet |"
).split()
_COORDINATES = [
    place + axis for place, word in enumerate(_USUAL_FACET) if word == b"vertex" for axis in (1, 2, 3)
]

# Where PrusaSlicer looks (2.5 and 2.9 alike) to tell the dialects apart: binary if any byte there is above 127.
_SNIFFED = slice(84, 84 + 128)
_FIRST_ATTRIBUTE = 84 + 48

_LEADING_SOLID = re.compile(rb"\A(?:\xef\xbb\xbf)?\s*solid\b", re.I)
_TEXT_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1f]")


def check_ends(size: int, head: bytes, tail: bytes) -> bool:
    """True for binary, False for ASCII, from the ends of the file. Raises ModelError."""
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


def read_text(path: Path, numbers_at_once: int, deadline: Deadline) -> Iterator[array[float]]:
    """The corners of an ASCII STL, nine numbers a triangle, in arrays of about so many numbers.

    Each facet is closed and has three corners. Raises ModelError, MODEL_EMPTY when there is none.
    """
    text = _Text()
    with path.open("rb") as file:
        for block in deadline.watch(_blocks(file)):
            text.take(block)
            if len(text.numbers) >= numbers_at_once:
                yield text.numbers
                text.numbers = array("d")
    text.finish()
    if text.numbers:
        yield text.numbers


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    """Whole lines in lower case, hardly a blank one, as far as the end of a facet where facets are as usual."""
    while block := file.read(_BLOCK_BYTES):
        lines = [block]
        for _ in range(2 * _USUAL_FACET.count(b"|")):  # a few may be blank
            lines.append(file.readline(LINE_BYTES))
            if lines[-1].lstrip()[:8].lower() == b"endfacet":
                break
        text = b"".join(lines).lower()
        yield _LINE_END.sub(b"\n", text).lstrip() if _BLANK_LINE.search(text) else text


class _Text:
    """The facets of an ASCII STL: line by line, and a block at once if it is written as nearly everybody does."""

    def __init__(self) -> None:
        self.numbers = array("d")
        self._opened = self._closed = self._corners = 0

    def take(self, block: bytes) -> None:
        """Read some lines in lower case. Raises ModelError."""
        numbers = _usual_facets(block) if self._opened == self._closed else None
        if numbers is None:
            self._take_lines(block)
            return
        self.numbers.extend(numbers)
        facets = len(numbers) // 9
        self._opened += facets
        self._closed += facets
        self._corners += 3 * facets

    def finish(self) -> None:
        """Raises ModelError if that was all and no facet, or only a part of one."""
        if self._opened == 0:
            raise _empty()
        self._check_facets()

    def _take_lines(self, block: bytes) -> None:
        for line in block.split(b"\n"):
            word = line.lstrip()[:9]
            if word.startswith(b"vertex"):
                self._corners += 1
                self.numbers.extend(_corner(line))
            elif word.startswith(b"facet"):
                self._opened += 1
            elif word.startswith(b"endfacet"):
                self._closed += 1
                self._check_facets()

    def _check_facets(self) -> None:
        if self._corners != 3 * self._closed or self._opened != self._closed:
            raise _broken_facet()


def _usual_facets(block: bytes) -> array[float] | None:
    """The corners of a block that is nothing but whole facets of seven lines each; else None."""
    if b"_" in block or b"|" in block:  # Python would read 1_0 as ten
        return None
    words = block.replace(b"\n", b" | ").split()
    width = len(_USUAL_FACET)
    facets, rest = divmod(len(words), width)
    if rest or any(
        words[place::width] != [word] * facets for place, word in enumerate(_USUAL_FACET) if word != b"0"
    ):
        return None
    if words.count(b"|") != facets * _USUAL_FACET.count(b"|"):  # a line that ends within a normal
        return None
    numbers = array("d", bytes(9 * 8 * facets))
    try:
        for number, place in enumerate(_COORDINATES):
            numbers[number::9] = array("d", map(float, words[place::width]))
    except ValueError:
        return None
    return numbers


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
    # Not by a regular expression: its steps grow with the square of a tail full of "endsolid".
    last_line = tail.rstrip().replace(b"\r", b"\n").rpartition(b"\n")[2]
    if b"endsolid" not in last_line.lower():
        raise ModelError("MODEL_TRUNCATED", "The STL ends in the middle; upload it again.")
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


def _broken_facet() -> ModelError:
    return ModelError(
        "MODEL_TRUNCATED", "The STL has facets without three corners; export it again or as binary STL."
    )


def bad_coordinates() -> ModelError:
    return ModelError(
        "MODEL_BAD_COORDINATES",
        "The model has coordinates that are not numbers; repair it and export it again.",
    )


def _empty() -> ModelError:
    return ModelError("MODEL_EMPTY")


def _neither(size: int, head: bytes) -> ModelError:
    count = int.from_bytes(head[80:84], "little") if size >= HEADER_BYTES else 0
    expected = HEADER_BYTES + TRIANGLE_BYTES * count
    if 0 < count <= _PLAUSIBLE_TRIANGLES and size < expected:
        return ModelError(
            "MODEL_TRUNCATED",
            f"The STL promises {count} triangles ({expected} bytes) but ends after {size} bytes; upload it again.",
        )
    return ModelError("MODEL_NOT_STL")
