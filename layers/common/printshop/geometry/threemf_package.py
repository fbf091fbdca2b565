"""The ZIP package of a 3MF. Its directory is checked before anything is unpacked, because it may be hostile.

Limits apply to the number of entries, the directory's size, each and all unpacked sizes, and the compression ratio.
Errors are: encryption, duplicate names, absolute names, names with "..", and any compression but stored and deflate
(others may take gigabytes of memory). Entries are streamed and checked against their CRC.
"""

import posixpath
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from printshop.geometry.errors import ModelError

MAX_ENTRIES = 1_000
MAX_DIRECTORY_BYTES = 512 * 1024
MAX_ENTRY_BYTES = 768 * 1024 * 1024
MAX_TOTAL_BYTES = 1024 * 1024 * 1024
MAX_RATIO = 200
_RATIO_CHECKED_FROM_BYTES = 1024 * 1024
_CHUNK = 64 * 1024

# The exceptions of zipfile for a damaged package.
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, struct.error, UnicodeDecodeError)

_LOCAL_FILE = b"PK\x03\x04"
_END = struct.Struct("<4s4H2LH")  # end of central directory
_END64 = struct.Struct("<4sQ2H2L4Q")
_END64_LOCATOR = struct.Struct("<4sLQL")
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_UNSAFE_NAME = re.compile(r"\\|\A/|\A[A-Za-z]:|[\x00-\x1f]|(\A|/)\.\.(/|\Z)")


def looks_like_zip(head: bytes) -> bool:
    return head.startswith(_LOCAL_FILE)


def check_ends(size: int, head: bytes, tail: bytes) -> None:
    """Raise ModelError if the file's first and last bytes, `head` and `tail`, show that it is not a 3MF."""
    if not looks_like_zip(head):
        raise ModelError("MODEL_NOT_3MF")
    start, length = _directory(size, tail)
    in_tail = start - (size - len(tail))
    if in_tail >= 0:
        names = tail[in_tail : in_tail + length]
        if b".model" not in names.lower():
            raise ModelError("MODEL_NOT_3MF", "The ZIP holds no 3D model; export the model as 3MF.")


@contextmanager
def open_package(path: Path) -> "Iterator[Package]":
    """Open the package at `path` if its directory is within the limits. Raises ModelError, also inside the block."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - 65_557))
        _directory(size, file.read())
    try:
        with zipfile.ZipFile(path) as archive:
            yield Package(archive)
    except _DAMAGE as error:
        raise ModelError(
            "MODEL_TRUNCATED", "The 3MF package is damaged; export the model again and upload it."
        ) from error


class Package:
    """The parts of a 3MF by name (absolute in the package, without the leading slash)."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._entries: dict[str, zipfile.ZipInfo] = {}
        _check_entries(archive.infolist(), archive.start_dir)
        for entry in archive.infolist():
            name = entry.filename.lower()
            if name in self._entries:
                raise _unsafe("names a part twice")
            self._entries[name] = entry

    def __contains__(self, name: str) -> bool:
        return part_name(name) in self._entries

    def names(self) -> list[str]:
        return [entry.filename for entry in self._entries.values() if not entry.is_dir()]

    @contextmanager
    def chunks(self, name: str, limit: int = MAX_ENTRY_BYTES) -> Iterator[Iterable[bytes]]:
        """Stream the part's bytes inside the block. Raises ModelError if it is absent or larger than `limit`."""
        entry = self._entries.get(part_name(name))
        if entry is None:
            raise ModelError("MODEL_3MF_INVALID", f"The 3MF refers to a part it does not hold: {name[:80]}.")
        if entry.file_size > limit:
            raise _unsafe(f"unpacks to more than {limit} bytes")
        with self._archive.open(entry) as part:
            yield iter(partial(part.read, _CHUNK), b"")


def part_name(name: str) -> str:
    """Normalise a part's name. Names in an OPC package are case-insensitive."""
    return posixpath.normpath(name).lstrip("/").lower()


def _directory(size: int, tail: bytes) -> tuple[int, int]:
    """Start and length of the central directory, checked before zipfile reads all of it into memory."""
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) - end < _END.size:
        raise ModelError("MODEL_TRUNCATED", "The 3MF ends in the middle; upload it again.")
    *_, entries, length, start, _comment = _END.unpack_from(tail, end)
    locator = end - _END64_LOCATOR.size
    if locator >= 0 and tail[locator : locator + 4] == b"PK\x06\x07":
        # zipfile uses the 64-bit record whenever there is one, so that record is the one to check.
        end = locator - _END64.size
        if end < 0 or tail[end : end + 4] != b"PK\x06\x06":
            raise _unsafe("has a directory that contradicts itself")
        *_, entries, length, start = _END64.unpack_from(tail, end)
    if entries > MAX_ENTRIES or length > MAX_DIRECTORY_BYTES:
        raise _unsafe(f"holds more than {MAX_ENTRIES} files")
    if start + length != size - len(tail) + end:
        raise _unsafe("has a directory that contradicts itself")
    return start, length


def _check_entries(entries: list[zipfile.ZipInfo], directory: int) -> None:
    """Check the entries; `directory` is the offset of the central directory, which follows them all."""
    if len(entries) > MAX_ENTRIES:
        raise _unsafe(f"holds more than {MAX_ENTRIES} files")
    total = 0
    for entry in entries:
        total += entry.file_size
        if entry.flag_bits & _ENCRYPTED:
            raise _unsafe("is encrypted")
        if not 0 <= entry.header_offset < directory:
            raise _unsafe("has a directory that points outside of it")
        # orig_filename still holds the NUL or backslash that zipfile removes from filename.
        if _UNSAFE_NAME.search(entry.orig_filename):
            raise _unsafe("holds a path that leaves the package")
        if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise _unsafe("uses a compression that 3MF does not allow")
        if entry.file_size > _RATIO_CHECKED_FROM_BYTES and entry.file_size > MAX_RATIO * entry.compress_size:
            raise _unsafe(f"is compressed more than {MAX_RATIO}-fold")
    if total > MAX_TOTAL_BYTES:
        raise _unsafe(f"unpacks to more than {MAX_TOTAL_BYTES // 2**20} MB")


def _unsafe(reason: str) -> ModelError:
    return ModelError(
        "MODEL_PACKAGE_UNSAFE", f"The 3MF package {reason}; export the plain model again, or as STL."
    )
