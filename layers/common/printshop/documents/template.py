"""A document as one page of HTML that needs nothing from outside. Jinja2, everything escaped."""

import base64
import hashlib
import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from printshop.documents.formats import (
    Figures,
    format_abn,
    format_duration,
    format_percent,
    format_quantity,
    locale_named,
)
from printshop.documents.qr import qr_code
from printshop.documents.schemas import Business, Invoice, Item, Paper, PrintDetails, Quote

__all__ = [
    "FOLDER",
    "css_string",
    "format_abn",
    "format_duration",
    "format_percent",
    "format_print_details",
    "format_quantity",
    "full_title",
    "paper_title",
    "render_html",
    "template_version",
]

FOLDER: Final = Path(__file__).with_name("templates")

STAMPS: Final = {
    "PAID": "PAID",
    "OVERDUE": "OVERDUE",
    "VOID": "VOID",
    "WRITTEN_OFF": "WRITTEN OFF",
    "REFUNDED": "REFUNDED",
    "DRAFT": "DRAFT",
    "ACCEPTED": "ACCEPTED",
    "DECLINED": "DECLINED",
    "EXPIRED": "EXPIRED",
    "CONVERTED": "INVOICED",
}
"""By status; what waits for its customer has none."""

FOOTER_LENGTH: Final = 60
"""Characters of a name at the foot of a page, where nothing wraps; ABN and number get half of it."""

REMARK_LINE: Final = 60
REMARK_LINES: Final = 10
"""Characters in a line beside the sums, and lines."""

_TURNS: Final = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""The characters that turn a line's direction by themselves."""

_TITLES: Final = {"quote": "Quote", "receipt": "Receipt", "statement": "Statement of account"}
_METHODS: Final = {"STRIPE": "Card", "BANK_TRANSFER": "Bank transfer", "CASH": "Cash", "OTHER": "Other"}
_SOURCES: Final = Path(__file__).parents[1]

LOOKS: Final = (
    "kernel/currency.py",
    "kernel/money.py",
    "adapters/chromium/browser.py",
    *(f"documents/{name}.py" for name in "formats loaders metadata qr schemas service template".split()),
)
"""What shapes the page besides its templates, or writes the file: how it is printed, and what is done to it after."""

LIBRARIES: Final = ("babel", "jinja2", "segno")


def render_html(document: Paper, business: Business, pictures: Mapping[str, bytes] | None = None) -> str:
    """The page of a document, with the `pictures` (PNG) of its models by their files' ids."""
    figures = figures_of(document, business)
    return (
        _environment()
        .get_template(f"{document.kind}.html.j2")
        .render(
            document=document,
            business=business,
            figures=figures,
            language=figures.locale.replace("_", "-"),
            title=paper_title(document, business),
            name=_name(document, figures),
            stamp=STAMPS.get(getattr(document, "status", "")),
            has_discounts=any(item.discount_type != "NONE" for item in getattr(document, "items", ())),
            footer=_footer(business),
            stylesheet=_stylesheet(),
            pictures={file: _data_url(picture) for file, picture in (pictures or {}).items()},
        )
    )


def figures_of(document: Paper, business: Business) -> Figures:
    """How amounts and days are written on a paper. A statement has no currency of its own: each account has."""
    currency = "" if document.kind == "statement" else document.currency
    return Figures(locale_named(business.locale), currency)


def full_title(document: Paper, business: Business) -> str:
    """`Tax invoice INV-0042`: what tells the paper from every other."""
    return f"{paper_title(document, business)} {_name(document, figures_of(document, business))}"


def paper_title(document: Paper, business: Business) -> str:
    """What the paper calls itself. The tax office keeps "Tax invoice" for a taxed sale by a business that names
    itself and its ABN."""
    if document.kind != "invoice":
        return _TITLES[document.kind]
    return "Tax invoice" if business.name and business.abn and document.tax_rate_bps else "Invoice"


@cache
def template_version(sources: Path = _SOURCES) -> str:
    """Changes with every change of the look and of a PDF's bytes, so that no stored one outlives its design.

    `sources` is the folder of the package.
    """
    templates = sources / FOLDER.relative_to(_SOURCES)
    digest = hashlib.sha256(" ".join(f"{name} {version(name)}" for name in LIBRARIES).encode())
    for file in (*(sources / name for name in LOOKS), *sorted(templates.iterdir())):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def format_print_details(details: PrintDetails, figures: Figures) -> str:
    """`PLA · 0.2 mm layers · 15% infill · 83 g · 3 h 20 min`, of what is known. A lot says how many pieces it has,
    for its weight and time are one piece's: `12 pieces · PLA · … · 83 g and 3 h 20 min each`."""
    of_one = [
        part
        for part in (
            details.grams and figures.weight(details.grams),
            details.time_sec and format_duration(details.time_sec),
        )
        if part
    ]
    pieces = format_pieces(details)
    if pieces and of_one:
        of_one = [f"{' and '.join(of_one)} each"]
    parts = (
        pieces,
        details.material and isolated(details.material),
        details.layer_height and f"{_number(details.layer_height, figures)} mm layers",
        details.infill is not None and f"{_number(details.infill, figures)}% infill",
        *of_one,
    )
    return " · ".join(part for part in parts if part)


def format_pieces(details: PrintDetails) -> str:
    """`12 pieces`; nothing of a single one."""
    return f"{details.pieces} pieces" if (details.pieces or 1) > 1 else ""


def _number(value: float, figures: Figures) -> str:
    return figures.quantity(Decimal(str(value)))


def _name(document: Paper, figures: Figures) -> str:
    """What tells a paper from its like: its number, of a statement its days."""
    if document.kind == "statement":
        return f"{figures.day(document.first)} – {figures.day(document.last)}"
    return document.number


def css_string(text: str) -> Markup:
    """`text` as a CSS string in which nothing can end the string, the rule or the style element."""
    safe = (char if char.isascii() and char.isalnum() else f"\\{ord(char):06x}" for char in text)
    return Markup('"{}"'.format("".join(safe)))  # noqa: S704  (only letters, digits and escapes are left)


def shortened(text: str, length: int = FOOTER_LENGTH // 2) -> str:
    """`text` for a line that it shares, its end left out where it is too long."""
    return isolated(text if len(text) <= length else f"{text[:length]}…")


def isolated(text: str) -> str:
    """`text` so that its direction stays its own: what follows in the line, as the page's number, is not turned."""
    if text.isascii():
        return text
    return f"\u2068{_TURNS.sub('', text)}\u2069"


def _footer(business: Business) -> str:
    abn = business.abn and f"ABN {shortened(format_abn(business.abn))}"
    return " · ".join(filter(None, (shortened(business.name, FOOTER_LENGTH), abn)))


def remarks_fit(document: Invoice | Quote) -> bool:
    """Whether notes and terms are short enough to stand beside the sums, where they save the end of the page."""
    texts = [text for text in (document.notes, document.terms) if text]
    lines = sum(1 + len(line) // REMARK_LINE for text in texts for line in text.split("\n"))
    return lines + len(texts) + len(getattr(document, "payments", ())) <= REMARK_LINES


@pass_context
def _money(context: Context, minor: int, currency: str | None = None) -> str:
    """In the document's currency, or in the one that is named: a statement has several."""
    figures: Figures = context["figures"]
    return figures.money(minor, currency)


@pass_context
def _day(context: Context, day: date) -> str:
    figures: Figures = context["figures"]
    return figures.day(day)


@pass_context
def _quantity(context: Context, quantity: Decimal) -> str:
    figures: Figures = context["figures"]
    return figures.quantity(quantity)


@pass_context
def _percent(context: Context, bps: int) -> str:
    figures: Figures = context["figures"]
    return figures.percent(bps)


@pass_context
def _print_details(context: Context, details: PrintDetails) -> str:
    return format_print_details(details, context["figures"])


@pass_context
def _discount(context: Context, item: Item) -> str:
    if item.discount_type == "PERCENT":
        return _percent(context, item.discount_bps)
    if item.discount_type == "FIXED":
        return _money(context, item.discount_fixed_cents)
    return "–"


def _data_url(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _method(method: str) -> str:
    return _METHODS.get(method, method)


@cache
def _stylesheet() -> Markup:
    return Markup((FOLDER / "style.css").read_text())  # noqa: S704  (our own file)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        abn=format_abn,
        css_string=css_string,
        day=_day,
        discount=_discount,
        method=_method,
        money=_money,
        percent=_percent,
        pieces=format_pieces,
        print_details=_print_details,
        qr_code=qr_code,
        quantity=_quantity,
        isolated=isolated,
        remarks_fit=remarks_fit,
        shortened=shortened,
    )
    return environment
