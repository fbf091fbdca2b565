"""STL in both kinds, binary and ASCII: told apart, read in one pass, and marked so that the slicer tells them apart.

A binary STL has 80 bytes of header, the number of triangles as a little-endian uint32, and 50 bytes a triangle. Many
binary files begin with "solid" like ASCII ones, so the file's size is compared first.
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
# If a file's size does not match its count and the count is larger than this, the file was never an STL.
_PLAUSIBLE_TRIANGLES = 40_000_000
LINE_BYTES = 65_536
_BLOCK_BYTES = 65_536

_BLANK_LINE = re.compile(rb"\n[^\S\n]*+\n")
_LINE_END = re.compile(rb"\n\s*+")
# The words of a facet in the usual form; a bar ends each line, and 0 stands for any number.
_USUAL_FACET = (
    b"facet normal 0 0 0 | outer loop | vertex 0 0 0 | vertex 0 0 0 | vertex 0 0 0 | endloop | endfacet |"
).split()
_COORDINATES = [
    place + axis for place, word in enumerate(_USUAL_FACET) if word == b"vertex" for axis in (1, 2, 3)
]

# The bytes by which PrusaSlicer (2.5 and 2.9) decides: it reads a file as binary if any of them is above 127.
_SNIFFED = slice(84, 84 + 128)
_FIRST_ATTRIBUTE = 84 + 48

_LEADING_SOLID = re.compile(rb"\A(?:\xef\xbb\xbf)?\s*solid\b", re.I)
_TEXT_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1f]")


def check_ends(size: int, head: bytes, tail: bytes) -> bool:
    """Tell from the ends of the file whether it is binary (True) or ASCII (False). Raises ModelError."""
    if size >= HEADER_BYTES:
        count = int.from_bytes(head[80:84], "little")
        if size == HEADER_BYTES + TRIANGLE_BYTES * count:
            if count == 0:
                raise _empty()
            return True
    if _LEADING_SOLID.match(head) and not _TEXT_CONTROLS.search(head):
        _check_ascii_ends(head, tail)
        return False
    raise _not_stl(size, head)


def is_binary(path: Path) -> bool:
    """Whether a checked STL is binary, by its size."""
    with path.open("rb") as file:
        count = file.read(HEADER_BYTES)[80:]
    return path.stat().st_size == HEADER_BYTES + TRIANGLE_BYTES * int.from_bytes(count, "little")


def read_text(path: Path, numbers_at_once: int, deadline: Deadline) -> Iterator[array[float]]:
    """The corners of an ASCII STL, nine numbers a triangle, in arrays of about `numbers_at_once` numbers.

    Raises ModelError if a facet does not have three corners or is not closed, MODEL_EMPTY if there is no facet.
    """
    facets = _FacetReader()
    with path.open("rb") as file:
        for block in deadline.watch(_blocks(file)):
            facets.read(block)
            if len(facets.numbers) >= numbers_at_once:
                yield facets.numbers
                facets.numbers = array("d")
    facets.finish()
    if facets.numbers:
        yield facets.numbers


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    """The file in blocks of whole lines in lower case, without long runs of blank lines.

    A block ends at the end of a facet where facets have the usual form.
    """
    while block := file.read(_BLOCK_BYTES):
        lines = [block]
        for _ in range(2 * _USUAL_FACET.count(b"|")):  # a few may be blank
            lines.append(file.readline(LINE_BYTES))
            if lines[-1].lstrip()[:8].lower() == b"endfacet":
                break
        text = b"".join(lines).lower()
        yield _LINE_END.sub(b"\n", text).lstrip() if _BLANK_LINE.search(text) else text


class _FacetReader:
    """Reads the facets of an ASCII STL: a whole block at once if its form is the usual one, else line by line."""

    def __init__(self) -> None:
        self.numbers = array("d")
        self._opened = self._closed = self._corners = 0

    def read(self, block: bytes) -> None:
        """Read a block of lines in lower case. Raises ModelError."""
        numbers = _usual_facets(block) if self._opened == self._closed else None
        if numbers is None:
            self._read_lines(block)
            return
        self.numbers.extend(numbers)
        count = len(numbers) // 9
        self._opened += count
        self._closed += count
        self._corners += 3 * count

    def finish(self) -> None:
        """Check the end of the file. Raises ModelError if there was no facet, or the last one is incomplete."""
        if self._opened == 0:
            raise _empty()
        self._check_facets()

    def _read_lines(self, block: bytes) -> None:
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
    """The corners of a block that holds only whole facets of seven lines each; None for any other block."""
    if b"_" in block or b"|" in block:  # Python would read 1_0 as 10
        return None
    words = block.replace(b"\n", b" | ").split()
    width = len(_USUAL_FACET)
    facets, rest = divmod(len(words), width)
    if rest or any(
        words[place::width] != [word] * facets for place, word in enumerate(_USUAL_FACET) if word != b"0"
    ):
        return None
    if words.count(b"|") != facets * _USUAL_FACET.count(b"|"):  # a line break inside a normal
        return None
    numbers = array("d", bytes(9 * 8 * facets))
    try:
        for number, place in enumerate(_COORDINATES):
            numbers[number::9] = array("d", map(float, words[place::width]))
    except ValueError:
        return None
    return numbers


def make_unambiguous(path: Path, *, binary: bool) -> None:
    """Change the STL at `path` in place so that PrusaSlicer recognises its kind; the geometry stays as it is.

    PrusaSlicer reads a binary STL as ASCII when 128 certain bytes are all below 128 (a 190 mm cube is enough), and an
    ASCII STL with an accented name as binary. So the first triangle's attribute, which no slicer reads, is set in a
    binary file, and accents are replaced in the name of an ASCII one.
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
    # Not a regular expression: its time would grow with the square of the number of "endsolid" in the tail.
    last_line = tail.rstrip().replace(b"\r", b"\n").rpartition(b"\n")[2]
    if b"endsolid" not in last_line.lower():
        raise ModelError("MODEL_TRUNCATED", "The STL ends in the middle; upload it again.")
    if b"facet" not in head.lower():
        raise _empty()


def _corner(line: bytes) -> tuple[float, float, float]:
    try:
        _, x, y, z = line.split()
        if b"_" not in line:  # Python would read 1_0 as 10
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


def _not_stl(size: int, head: bytes) -> ModelError:
    count = int.from_bytes(head[80:84], "little") if size >= HEADER_BYTES else 0
    expected = HEADER_BYTES + TRIANGLE_BYTES * count
    if 0 < count <= _PLAUSIBLE_TRIANGLES and size < expected:
        return ModelError(
            "MODEL_TRUNCATED",
            f"The STL promises {count} triangles ({expected} bytes) but ends after {size} bytes; upload it again.",
        )
    return ModelError("MODEL_NOT_STL")
