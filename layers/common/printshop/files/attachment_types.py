"""What may be attached, and whether a file's first and last bytes are what its name says."""

import codecs
from collections.abc import Callable
from pathlib import PurePath

MIME_TYPES = {
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".txt": "text/plain",
    ".zip": "application/zip",
}
END_BYTES = 1024
"""How much of each end `is_what_it_says` wants, or all of less."""


def mime_type_of(filename: str) -> str | None:
    """The type that the extension stands for, or None for one that is not taken."""
    return MIME_TYPES.get(PurePath(filename).suffix.lower())


def is_what_it_says(mime_type: str, head: bytes, tail: bytes) -> bool:
    """Whether a file that begins and ends so can be of this type."""
    return _LOOKS[mime_type](head, tail)


def _begins(*marks: bytes) -> Callable[[bytes, bytes], bool]:
    return lambda head, _: head.startswith(marks)


def _is_webp(head: bytes, _: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def _is_text(head: bytes, tail: bytes) -> bool:
    """UTF-8 without NUL. Either end may be cut within a character."""
    whole = tail.lstrip(bytes(range(0x80, 0xC0))) if len(tail) == END_BYTES else tail
    return (
        b"\0" not in head + tail and _is_utf8(head, cut=len(head) == END_BYTES) and _is_utf8(whole, cut=False)
    )


def _is_utf8(part: bytes, *, cut: bool) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(part, final=not cut)
    except UnicodeDecodeError:
        return False
    return True


_LOOKS = {
    "application/pdf": _begins(b"%PDF-"),
    "image/png": _begins(b"\x89PNG\r\n\x1a\n"),
    "image/jpeg": _begins(b"\xff\xd8\xff"),
    "image/webp": _is_webp,
    "text/plain": _is_text,
    "application/zip": _begins(b"PK\x03\x04", b"PK\x05\x06"),
}
