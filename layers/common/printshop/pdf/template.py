"""A document as one page of HTML that needs nothing from outside. Jinja2, everything escaped."""

import base64
import hashlib
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from printshop.money import format_amount
from printshop.pdf.document import Business, Item, Paper, PrintDetails

FOLDER: Final = Path(__file__).with_name("templates")

_STAMPS: Final = {
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
_TITLES: Final = {
    "quote": "Quote",
    "invoice": "Tax invoice",
    "receipt": "Receipt",
    "statement": "Statement of account",
}
_METHODS: Final = {"STRIPE": "card", "BANK_TRANSFER": "bank transfer", "CASH": "cash", "OTHER": ""}


def render_html(document: Paper, business: Business, pictures: Mapping[str, bytes] | None = None) -> str:
    """The page for a paper, with the `pictures` (PNG) of its models by their files' ids."""
    environment = _environment()
    template = environment.get_template(f"{document.kind}.html.j2")
    return template.render(
        document=document,
        business=business,
        title=_TITLES[document.kind],
        name=_name(document),
        stamp=None if document.kind == "statement" else _STAMPS.get(document.status),
        has_discounts=document.kind != "statement"
        and any(item.discount_type != "NONE" for item in document.items),
        footer=" · ".join(filter(None, (business.name, business.abn and f"ABN {format_abn(business.abn)}"))),
        stylesheet=_stylesheet(),
        pictures={file: _data_url(picture) for file, picture in (pictures or {}).items()},
    )


def _name(document: Paper) -> str:
    """What tells a paper from its like: its number, of a statement its period."""
    if document.kind == "statement":
        return f"{format_day(document.first)} – {format_day(document.last)}"
    return document.number


@cache
def template_version() -> str:
    """Changes with every change of the templates or of this module, so that no stored PDF outlives its design."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for file in sorted(FOLDER.iterdir()):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def format_day(day: date) -> str:
    """`3 July 2026`."""
    return f"{day.day} {day:%B %Y}"


def format_quantity(quantity: Decimal) -> str:
    """At most three decimals, none that say nothing: `1.5`, `12`."""
    return f"{quantity.normalize():f}"


def format_percent(bps: int) -> str:
    """Basis points as percent: 1000 is `10%`, 1250 is `12.5%`."""
    return f"{format_quantity(Decimal(bps) / 100)}%"


def format_abn(abn: str) -> str:
    """Eleven digits as the register writes them: `51 824 753 556`."""
    digits = "".join(abn.split())
    return f"{digits[:2]} {digits[2:5]} {digits[5:8]} {digits[8:]}" if len(digits) == 11 else abn


def format_duration(seconds: int) -> str:
    """`3 h 20 min`; never less than a minute."""
    hours, minutes = divmod(max(1, round(seconds / 60)), 60)
    return " ".join(
        part for part in (f"{hours} h" if hours else "", f"{minutes} min" if minutes else "") if part
    )


def format_print_details(details: PrintDetails) -> str:
    """`PLA · 0.2 mm layers · 15% infill · 83 g · 3 h 20 min`, of what is known."""
    parts = (
        details.material,
        details.layer_height and f"{details.layer_height:g} mm layers",
        details.infill is not None and f"{details.infill:g}% infill",
        details.grams and f"{details.grams:.4g} g",
        details.time_sec and format_duration(details.time_sec),
    )
    return " · ".join(part for part in parts if part)


def css_string(text: str) -> Markup:
    """`text` as a CSS string in which nothing can end the string, the rule or the style element."""
    safe = (char if char.isascii() and char.isalnum() else f"\\{ord(char):06x}" for char in text)
    return Markup('"{}"'.format("".join(safe)))  # noqa: S704  (only letters, digits and escapes are left)


@pass_context
def _money(context: Context, minor: int, currency: str | None = None) -> str:
    """In the document's currency, or in the one that is named: a statement has several."""
    return format_amount(minor, currency or context["document"].currency).replace("-", "−", 1)


@pass_context
def _discount(context: Context, item: Item) -> str:
    if item.discount_type == "PERCENT":
        return format_percent(item.discount_bps)
    if item.discount_type == "FIXED":
        return _money(context, item.discount_fixed_cents)
    return "–"


def _data_url(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _method(method: str) -> str:
    return _METHODS.get(method, method.lower())


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
        day=format_day,
        discount=_discount,
        method=_method,
        money=_money,
        percent=format_percent,
        print_details=format_print_details,
        quantity=format_quantity,
    )
    return environment
