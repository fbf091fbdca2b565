"""A logo as it is kept: checked by its content, drawn anew, and small enough to stand in every paper's HTML."""

import base64
import io
import struct
import warnings
import zlib
from typing import TYPE_CHECKING

from printshop.kernel.errors import PayloadTooLarge, Unprocessable
from printshop.shop.svg import clean_svg

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_BYTES = 1024 * 1024
MAX_SIDE = 4000
"""Pixels of an uploaded picture: what it takes to decode is bounded before it is decoded."""
KEPT_SIDE = 800
"""Pixels of the picture that is kept."""
MAX_KEPT_BYTES = 512 * 1024
FORMATS = ("PNG", "JPEG", "WEBP")


def as_data_url(contents: bytes) -> str:
    """The logo as a data URL: PNG, JPEG and WebP as a fresh PNG without metadata, SVG rewritten from an allow-list.

    Raises PayloadTooLarge LOGO_TOO_LARGE, Unprocessable LOGO_NOT_AN_IMAGE or LOGO_SVG_UNSAFE.
    """
    if len(contents) > MAX_BYTES:
        raise PayloadTooLarge("LOGO_TOO_LARGE")
    if _looks_like_xml(contents):
        kind, kept = "svg+xml", clean_svg(contents)
        if len(kept) > MAX_KEPT_BYTES:
            raise PayloadTooLarge("LOGO_TOO_LARGE", "This SVG is above 512 kB; simplify its paths.")
    else:
        kind, kept = "png", _redrawn(contents)
    return f"data:image/{kind};base64,{base64.b64encode(kept).decode()}"


def _looks_like_xml(contents: bytes) -> bool:
    return contents.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<"


def _redrawn(contents: bytes) -> bytes:
    image = _decoded(contents)
    side = KEPT_SIDE
    while True:
        image.thumbnail((side, side))
        kept = _png(image)
        if len(kept) <= MAX_KEPT_BYTES:
            return kept
        side = side * 3 // 4


def _decoded(contents: bytes) -> "Image":
    """The picture's first frame, upright, in plain colours. Only here is Pillow needed, and only here imported."""
    from PIL import Image, ImageOps  # noqa: PLC0415

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(contents), formats=FORMATS)
            if max(image.size) > MAX_SIDE:
                raise Unprocessable(
                    "LOGO_TOO_MANY_PIXELS",
                    f"A logo has at most {MAX_SIDE} × {MAX_SIDE} pixels; scale it down.",
                )
            image.load()
            has_alpha = image.has_transparency_data
            return ImageOps.exif_transpose(image).convert("RGBA" if has_alpha else "RGB")
    except (
        OSError,  # an unknown format is one, and so is a cut-off file
        SyntaxError,
        ValueError,
        ArithmeticError,
        LookupError,
        TypeError,
        EOFError,
        struct.error,
        zlib.error,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as error:
        raise Unprocessable("LOGO_NOT_AN_IMAGE") from error


def _png(image: "Image") -> bytes:
    """Pixels alone: a fresh picture has no comments, places or profiles."""
    from PIL import Image  # noqa: PLC0415

    fresh = Image.new(image.mode, image.size)
    fresh.paste(image)
    out = io.BytesIO()
    fresh.save(out, "PNG", optimize=True)
    return out.getvalue()
