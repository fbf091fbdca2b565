"""CSV as spreadsheets read it: RFC 4180 with CRLF, UTF-8 with a byte order mark, no cell that is a formula.

The mark is for Excel, which takes a file without it for the code page of the machine.
"""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from printshop.kernel.money import decimal_text

type Cell = str | int | bool | None
type Kind = Literal["TEXT", "WHOLE", "AMOUNT", "THOUSANDTHS"]

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What makes a spreadsheet compute a text, or look for a formula behind it."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column's title and what its cells are. An AMOUNT is in minor units of the row's currency."""

    title: str
    kind: Kind = "TEXT"


def write_csv(path: Path, columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> int:
    """Write the header and the rows, as they come; the number of rows. Memory is one row's."""
    titles = [column.title for column in columns]
    currency = titles.index("Currency") if "Currency" in titles else None
    count = 0
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow(titles)
        for row in rows:
            code = str(row[currency]) if currency is not None else ""
            writer.writerow(
                [shown(cell, column.kind, code) for cell, column in zip(row, columns, strict=True)]
            )
            count += 1
    return count


def shown(cell: Cell, kind: Kind, currency: str = "") -> str:
    """A cell's text. Numbers stay numbers; a text that would be a formula gets an apostrophe in front."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if kind == "TEXT" or not isinstance(cell, int):
        text = str(cell)
        return f"'{text}" if text.startswith(FORMULA) else text
    if kind == "AMOUNT":
        return decimal_text(cell, currency)
    return f"{cell // 1000}.{cell % 1000:03d}" if kind == "THOUSANDTHS" else str(cell)
