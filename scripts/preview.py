"""`make preview`: prints every document in every state as PDF and PNG, to be looked at.

    python -m scripts.preview [--output .local/preview] [--only invoice] [--references]

`--references` writes the pictures that tests/integration/documents/test_look.py compares with: look at them first.
"""

import argparse
import asyncio
import html
import sys
import time
from pathlib import Path

import pypdfium2
from PIL import Image

from printshop.adapters.chromium.installation import find_chromium
from printshop.adapters.chromium.renderer import Renderer
from printshop.documents.metadata import describe
from printshop.documents.service import pin_dates
from printshop.documents.template import render_html
from tests.unit.documents.gallery import Sheet, gallery

ROOT = Path(__file__).parents[1]
INSTALLED = ROOT / ".local" / "chromium" / "chromium.zst"
OUTPUT = ROOT / ".local" / "preview"
REFERENCES = ROOT / "tests" / "integration" / "documents" / "look"

DOTS = 110
"""Dots per inch of the pictures for a person."""

REFERENCE_DOTS = 50
"""Dots per inch of the pictures for the test: a page in 15 kB."""

REFERENCED = (
    "quote-pending",
    "invoice-overdue",
    "invoice-paid",
    "receipt-paid",
    "statement",
    "strain-pictures",
    "strain-60-lines",
    "strain-every-script",
    "strain-long-names",
)


async def print_sheet(renderer: Renderer, sheet: Sheet) -> bytes:
    """The PDF as the API serves it."""
    document, business = sheet.document, sheet.business
    contents = await renderer.pdf(render_html(document, business, sheet.pictures))
    return describe(pin_dates(contents, document.issue_date), document, business, document.issue_date)


def pages_of(contents: bytes, dots: int) -> list[Image.Image]:
    """The pages as pictures with `dots` per inch."""
    with pypdfium2.PdfDocument(contents) as pdf:
        return [page.render(scale=dots / 72).to_pil() for page in pdf]


def write_reference(contents: bytes, name: str) -> None:
    """Write the first page as a reference, in sixteen greys."""
    REFERENCES.mkdir(exist_ok=True)
    small = pages_of(contents, REFERENCE_DOTS)[0].convert("L").quantize(16)
    small.save(REFERENCES / f"{name}.png", optimize=True)


def write_sheets(output: Path, only: str, *, references: bool) -> int:
    """Print the sheets whose name contains `only` into the folder; returns the number of pages."""
    output.mkdir(parents=True, exist_ok=True)
    for old in output.iterdir():
        old.unlink()
    shown = []
    for name, contents in asyncio.run(_printed(only)).items():
        (output / f"{name}.pdf").write_bytes(contents)
        for number, page in enumerate(pages_of(contents, DOTS), 1):
            page.save(output / f"{name}-{number}.png")
            shown.append(f"{name}-{number}.png")
        if references and name in REFERENCED:
            write_reference(contents, name)
    (output / "index.html").write_text(_index(shown))
    return len(shown)


async def _printed(only: str) -> dict[str, bytes]:
    renderer = Renderer(find_chromium(str(INSTALLED)))
    try:
        return {name: await print_sheet(renderer, make()) for name, make in gallery().items() if only in name}
    finally:
        await renderer.close()


def _index(pictures: list[str]) -> str:
    figures = (
        f'<figure><a href="{picture.rpartition("-")[0]}.pdf"><img src="{picture}" width="420"></a>'
        f"<figcaption>{html.escape(picture.removesuffix('.png'))}</figcaption></figure>"
        for picture in pictures
    )
    style = "body{background:#ddd;font:14px sans-serif}figure{display:inline-block;margin:12px}"
    return f'<!doctype html><meta charset="utf-8"><title>Documents</title><style>{style}</style>{"".join(figures)}'


def main() -> int:
    parser = argparse.ArgumentParser(prog="make preview")
    parser.add_argument(
        "--output", type=Path, default=OUTPUT, help="where the documents go; its files are replaced"
    )
    parser.add_argument("--only", default="", help="only sheets whose name contains this")
    parser.add_argument("--references", action="store_true", help="write what the visual test compares with")
    arguments = parser.parse_args()
    began = time.monotonic()
    pages = write_sheets(arguments.output, arguments.only, references=arguments.references)
    print(f"  {pages} pages in {time.monotonic() - began:.0f} s: {arguments.output / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
