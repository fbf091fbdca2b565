"""CSV files as spreadsheets and programs read them."""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from printshop.kernel.money import decimal_text
from printshop.reports.csv_file import FORMULA, Cell, Column, Kind, shown, write_csv

COLUMNS = (Column("Client"), Column("Currency"), Column("Amount", "AMOUNT"), Column("Flagged"))


def written(path: Path, *rows: tuple[Cell, ...]) -> list[list[str]]:
    assert write_csv(path, COLUMNS, iter(rows)) == len(rows)
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


def test_a_file_has_a_mark_a_header_and_crlf(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    written(path, ('Ü, "Söhne"', "AUD", 123450, True))
    assert path.read_bytes() == (
        b"\xef\xbb\xbfClient,Currency,Amount,Flagged\r\n" + '"Ü, ""Söhne""",AUD,1234.50,yes\r\n'.encode()
    )


@pytest.mark.parametrize("text", ["=1+1", "+61 2 9000", "-5", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_a_text_that_would_be_a_formula_is_disarmed(tmp_path: Path, text: str) -> None:
    assert written(tmp_path / "a.csv", (text, "AUD", 1, False))[1][0] == f"'{text}"


@pytest.mark.parametrize("text", ["1=1", " a", "INV-0001", "'quoted", "a\r\nb", ""])
def test_any_other_text_stays_as_it_is(tmp_path: Path, text: str) -> None:
    assert written(tmp_path / "a.csv", (text, "AUD", 1, False))[1][0] == text


@pytest.mark.parametrize(
    ("cell", "kind", "currency", "text"),
    [
        (-1200, "AMOUNT", "AUD", "-12.00"),
        (-5, "AMOUNT", "AUD", "-0.05"),
        (1234, "AMOUNT", "JPY", "1234"),
        (1234, "AMOUNT", "KWD", "1.234"),
        (10**12, "AMOUNT", "AUD", "10000000000.00"),
        (-3, "WHOLE", "", "-3"),
        (4150, "THOUSANDTHS", "", "4.150"),
        (None, "AMOUNT", "AUD", ""),
        (None, "TEXT", "", ""),
        (False, "TEXT", "", "no"),
    ],
)
def test_a_number_stays_a_number(cell: Cell, kind: Kind, currency: str, text: str) -> None:
    assert shown(cell, kind, currency) == text


@given(st.integers(-(10**12), 10**12), st.sampled_from(["AUD", "JPY", "KWD"]))
def test_an_amount_reads_back_as_its_minor_units(minor: int, currency: str) -> None:
    digits = decimal_text(minor, currency).replace(".", "")
    assert int(digits) == minor


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30))
def test_every_text_reads_back_and_none_begins_a_formula(text: str) -> None:
    cell = shown(text, "TEXT")
    assert cell.removeprefix("'") == text.removeprefix("'") or cell == text
    assert not cell.startswith(FORMULA)
