"""The typefaces of the layer: a letter for whatever a customer's name is written in, and room to spare."""

from functools import cache
from pathlib import Path

import pytest
from PIL import ImageFont

from printshop.adapters.chromium.installation import Chromium
from tests.unit.documents.gallery import SCRIPTS

MEGABYTE = 1024 * 1024
LETTERS = {
    "Latin": (0x00A1, 0x017F, 0.99),
    "Vietnamese": (0x1EA0, 0x1EF9, 1.0),
    "Greek": (0x0391, 0x03C9, 0.98),
    "Cyrillic": (0x0401, 0x045F, 0.98),
    "Hebrew": (0x05D0, 0x05EA, 1.0),
    "Arabic": (0x0621, 0x064A, 0.9),
    "Thai": (0x0E01, 0x0E3A, 1.0),
    "Devanagari": (0x0905, 0x0939, 1.0),
    "Kana": (0x3041, 0x30FE, 0.95),
    "Han": (0x4E00, 0x9FA5, 0.98),
    "Hangul": (0xAC00, 0xD7A3, 0.99),
}
"""First and last code point, and how many of them have a letter: the rest is unassigned, or of dead languages."""


def typefaces(chromium: Chromium) -> list[Path]:
    assert chromium.fonts
    return sorted((chromium.fonts.parent / "fonts").glob("*.ttf"))


@cache
def _opened(file: Path) -> tuple[ImageFont.FreeTypeFont, bytes]:
    font = ImageFont.truetype(file, 12)
    return font, bytes(font.getmask("\uffff"))


def has_letter(file: Path, character: str) -> bool:
    font, absent = _opened(file)
    return bytes(font.getmask(character)) != absent


def lacks(chromium: Chromium, text: str) -> list[str]:
    files = typefaces(chromium)
    return [character for character in text if not any(has_letter(file, character) for file in files)]


@pytest.mark.parametrize("text", SCRIPTS)
def test_no_letter_of_the_gallery_is_missing(chromium: Chromium, text: str) -> None:
    assert lacks(chromium, text.replace("\ufe0f", "")) == []


@pytest.mark.parametrize("script", LETTERS)
def test_a_script_has_its_letters(chromium: Chromium, script: str) -> None:
    first, last, share = LETTERS[script]
    characters = [chr(number) for number in range(first, last + 1)][:: max(1, (last - first) // 400)]
    assert len(lacks(chromium, "".join(characters))) <= (1 - share) * len(characters)


def test_every_typeface_comes_with_its_licence_and_all_fit_the_layer(chromium: Chromium) -> None:
    files = typefaces(chromium)
    assert files
    licences = list(files[0].parent.glob("LICENSE-*"))
    assert len(licences) == 11
    assert all("SIL Open Font License" in licence.read_text() for licence in licences)
    assert sum(file.stat().st_size for file in files) < 24 * MEGABYTE
