"""The papers look as they did when somebody last looked. After a change: python -m scripts.preview --references.

A page differs when a tenth of any square of 16 mm does, so a small thing counts as much as a large one; the pictures
are small and soft: a hair's breadth is no difference.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageFilter

from scripts.preview import OUTPUT, REFERENCE_DOTS, REFERENCED, REFERENCES, pages_of, write_sheets

TOLERANCE = 0.1
VISIBLE = 40
"""Of 255 greys."""

SQUARE = 32
"""Dots, 16 mm."""

STAMP = (185, 150, 238, 183)
"""Where PAID is on an invoice, in dots."""


def differing(one: Image.Image, other: Image.Image) -> float:
    """The share of the worst square of a page that differs visibly."""
    soft = [page.convert("L").filter(ImageFilter.BoxBlur(1)) for page in (one, other)]
    differs = np.asarray(ImageChops.difference(*soft)) > VISIBLE
    whole = np.pad(differs, [(0, -side % SQUARE) for side in differs.shape])
    rows, columns = (side // SQUARE for side in whole.shape)
    return float(whole.reshape(rows, SQUARE, columns, SQUARE).mean(axis=(1, 3)).max())


@pytest.mark.parametrize("name", REFERENCED)
def test_a_paper_looks_as_it_did(printed: Callable[[str], bytes], name: str) -> None:
    reference = Image.open(REFERENCES / f"{name}.png")
    now = pages_of(printed(name), REFERENCE_DOTS)[0].convert("L")
    assert now.size == reference.size
    share = differing(now, reference)
    if share > TOLERANCE:
        OUTPUT.mkdir(parents=True, exist_ok=True)
        now.save(OUTPUT / f"differs-{name}.png")
    assert share <= TOLERANCE


def test_what_a_reader_would_notice_is_a_difference() -> None:
    overdue, paid = (Image.open(REFERENCES / f"invoice-{state}.png") for state in ("overdue", "paid"))
    assert differing(overdue, paid) > TOLERANCE
    shifted = ImageChops.offset(overdue.convert("L"), 0, 3)
    assert differing(overdue, shifted) > TOLERANCE
    smaller = paid.convert("L")
    stamp = smaller.crop(STAMP)
    stamp.thumbnail((stamp.width * 9 // 10, stamp.height))
    smaller.paste(255, STAMP)
    smaller.paste(stamp, STAMP[:2])
    assert differing(paid, smaller) > TOLERANCE


def test_the_references_stay_small() -> None:
    assert {file.stem for file in REFERENCES.iterdir()} == set(REFERENCED)
    assert sum(file.stat().st_size for file in REFERENCES.iterdir()) < 300_000


def test_the_preview_writes_every_sheet_as_pdf_and_pictures(tmp_path: Path) -> None:
    pages = write_sheets(tmp_path, "receipt-pa", references=False)
    written = {file.name for file in tmp_path.iterdir()}
    assert pages == 3
    assert written == {
        "index.html", "receipt-paid.pdf", "receipt-paid-1.png", "receipt-part-paid.pdf", "receipt-part-paid-1.png",
        "receipt-partly-refunded.pdf", "receipt-partly-refunded-1.png",
    }  # fmt: skip
