"""Sample documents, in the database's own JSON."""

import base64
from fractions import Fraction
from typing import Any

from printshop.documents.schemas import Business, Invoice, Quote, Receipt, Statement
from printshop.kernel.money import round_half_up

LOGO_SVG = """
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 262 60">
  <g fill="none" stroke="#0b4f55" stroke-width="5" stroke-linejoin="round">
    <path d="M8 44 34 54 60 44M8 32l26 10 26-10M34 6 8 18l26 10 26-10z"/>
  </g>
  <text x="76" y="42" font-family="Open Sans" font-weight="bold" font-size="30" fill="#0b4f55">Layerworks</text>
</svg>
"""
LOGO = f"data:image/svg+xml;base64,{base64.b64encode(LOGO_SVG.encode()).decode()}"

BUSINESS: dict[str, Any] = {
    "name": "Layerworks 3D Printing",
    "address": "Unit 4, 18 Foundry Lane\nMarrickville NSW 2204",
    "phone": "02 5550 1212",
    "email": "hello@layerworks.example",
    "abn": "51824753556",
    "bankDetails": "Layerworks 3D Printing Pty Ltd\nBSB 062-000\nAccount 1234 5678",
    "logoDataUrl": None,
    "locale": "en-AU",
}

CLIENT: dict[str, Any] = {
    "name": "Imogen Castellano",
    "company": "Harbour Robotics Pty Ltd",
    "email": "imogen@harbourrobotics.example",
    "phone": "0491 570 156",
    "abn": "53004085616",
    "address": {
        "line1": "Level 2, 40 Bridge Street",
        "line2": None,
        "suburb": "Sydney",
        "state": "NSW",
        "postcode": "2000",
        "country": "AU",
    },
}

_PLA = {"material": "PLA", "layerHeight": 0.2, "infill": 15}
_PETG = {"material": "PETG", "layerHeight": 0.15, "infill": 40}
_LINES: tuple[tuple[str, float, int, dict[str, Any] | None], ...] = (
    ("Gearbox housing, left half", 1, 9700, {"pieces": 2, "grams": 83.4, "timeSec": 12_000, **_PLA}),
    ("Gearbox housing, right half", 1, 9700, {"pieces": 2, "grams": 81.9, "timeSec": 11_700, **_PLA}),
    (
        "Mounting bracket with heat-set inserts, M4",
        1,
        9480,
        {"pieces": 12, "grams": 11.2, "timeSec": 2_340, **_PETG},
    ),
    ("Design review", 1.5, 9000, None),
)
"""A print is sold as a lot, once, whatever its pieces; its weight and time are one piece's."""


def item(position: int, *, discount: tuple[str, int] = ("NONE", 0), **changes: Any) -> dict[str, Any]:
    """One line, its total worked out. `discount` is ("PERCENT", bps) or ("FIXED", cents)."""
    description, quantity, price, details = _LINES[(position - 1) % len(_LINES)]
    line: dict[str, Any] = {
        "position": position,
        "description": description,
        "quantity": quantity,
        "unitPriceCents": price,
        "discountType": discount[0],
        "discountBps": discount[1] if discount[0] == "PERCENT" else 0,
        "discountFixedCents": discount[1] if discount[0] == "FIXED" else 0,
        "details": details,
        **changes,
    }
    gross = round_half_up(Fraction(str(line["quantity"])) * line["unitPriceCents"])
    off = round_half_up(Fraction(gross * line["discountBps"], 10_000)) + line["discountFixedCents"]
    return {"totalCents": max(0, gross - off), **line}


def _document(lines: list[dict[str, Any]], discount: int, shipping: int, **changes: Any) -> dict[str, Any]:
    subtotal = sum(line["totalCents"] for line in lines)
    tax = round_half_up(Fraction((subtotal - discount + shipping) * 1000, 10_000))
    return {
        "currency": "AUD",
        "issueDate": "2026-11-23",
        "client": CLIENT,
        "items": lines,
        "subtotalCents": subtotal,
        "discountCents": discount,
        "shippingCents": shipping,
        "shippingLabel": "metro" if shipping else None,
        "taxRateBps": 1000,
        "taxCents": tax,
        "totalCents": subtotal - discount + shipping + tax,
        "notes": "Thank you for printing with us. Parts are ready for pick-up or delivery two days after payment.",
        "terms": "Payment within 14 days. Goods remain ours until they are paid for.",
        **changes,
    }


def invoice_json(
    lines: int = 4, *, paid: bool = False, discount: int = 2500, **changes: Any
) -> dict[str, Any]:
    """An invoice of `lines` lines, or of `items`, its totals worked out; `paid` in two parts."""
    items = [item(n, discount=("PERCENT", 1000) if n == 3 else ("NONE", 0)) for n in range(1, lines + 1)]
    document = _document(changes.get("items", items), discount, 1250)
    total = document["totalCents"]
    document |= {
        "kind": "invoice",
        "number": "INV-0042",
        "status": "PAID" if paid else "PENDING",
        "dueDate": "2026-12-07",
        "receivedCents": total if paid else 0,
        "balanceCents": 0 if paid else total,
        "payUrl": None if paid else "https://print.layerworks.example/api/pay/pl_8Jx2mWq0c4TtY7vN",
        "payNote": None,
        "payments": [
            {
                "date": "2026-11-25",
                "method": "BANK_TRANSFER",
                "amountCents": 10_000,
                "reference": "NAB 4471 0032",
            },
            {
                "date": "2026-12-01",
                "method": "STRIPE",
                "amountCents": total - 10_000,
                "reference": "pi_3QKz8rLkdIwHu7ix",
            },
        ]
        if paid
        else [],
    }
    return document | changes


def quote_json(lines: int = 4, **changes: Any) -> dict[str, Any]:
    items = changes.get("items", [item(n) for n in range(1, lines + 1)])
    document = _document(items, 0, 2500)
    document |= {
        "kind": "quote",
        "number": "QT-0007",
        "status": "PENDING",
        "validUntil": "2026-12-23",
        "acceptUrl": "https://print.layerworks.example/quotes/q_5Gd8sLk1p0RrX3",
    }
    return document | changes


def invoice(lines: int = 4, **changes: Any) -> Invoice:
    return Invoice.model_validate(invoice_json(lines, **changes))


def quote(lines: int = 4, **changes: Any) -> Quote:
    return Quote.model_validate(quote_json(lines, **changes))


def receipt(lines: int = 4, **changes: Any) -> Receipt:
    """The receipt of an invoice that was paid in two parts."""
    return Receipt.model_validate(invoice_json(lines, paid=True, kind="receipt", **changes))


_MOVES = (
    ("INVOICE", 44_200), ("PAYMENT", -44_200), ("REFUND", 5_000), ("CREDIT", -5_000), ("WRITE_OFF", -100),
)  # fmt: skip


def account_json(
    entries: int = 5, currency: str = "AUD", opening: int = 12_000, **changes: Any
) -> dict[str, Any]:
    """An account of so many entries, all of it not yet due."""
    balance, lines = opening, []
    for number in range(entries):
        kind, cents = _MOVES[number % len(_MOVES)]
        balance += cents
        lines.append(
            {
                "date": "2026-03-02", "kind": kind, "number": f"INV-{number // 5 + 1:04}",
                "dueDate": "2026-03-16" if kind == "INVOICE" else None,
                "method": "STRIPE" if kind in {"PAYMENT", "REFUND"} else None,
                "amountCents": cents, "balanceCents": balance,
            }
        )  # fmt: skip
    ageing = {
        "currentCents": balance, "days1To30Cents": 0, "days31To60Cents": 0, "days61To90Cents": 0,
        "daysOver90Cents": 0, "creditCents": 0,
    }  # fmt: skip
    account = {"currency": currency, "openingCents": opening, "closingCents": balance}
    return {**account, "entries": lines, "ageing": ageing, **changes}


def statement(entries: int = 5, *accounts: dict[str, Any], **changes: Any) -> Statement:
    """A statement of one account of `entries`, or of `accounts`."""
    return Statement.model_validate(
        {
            "kind": "statement", "clientId": 7, "client": CLIENT, "from": "2025-12-01", "to": "2026-11-24",
            "issueDate": "2026-11-24", "accounts": list(accounts) or [account_json(entries)], **changes,
        }
    )  # fmt: skip


def business(**changes: Any) -> Business:
    return Business.model_validate(BUSINESS | changes)
