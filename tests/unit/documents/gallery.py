"""Every paper in every state, and what strains a layout: for a person to look at, and for tests that do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, Final

import numpy as np
import trimesh

from printshop.documents.schemas import Business, Paper, Statement
from printshop.geometry.preview import draw_preview
from printshop.pricing.price_book import lot
from tests.unit.documents.documents import (
    CLIENT,
    LOGO,
    account_json,
    business,
    invoice,
    item,
    quote,
    receipt,
    statement,
)

SCRIPTS: Final = (
    "Łódź, Ångström, Đặng, Čeština, ß, Œuvre",
    "Ελληνικά: Γρανάζι, αριστερό μισό",
    "Кириллица: Корпус редуктора, левая половина",
    "中文：齿轮箱外壳，左半部分",
    "日本語：ギアボックスのハウジング",
    "한국어: 기어박스 하우징",
    "עברית: בית תיבת הילוכים",
    "العربية: غلاف علبة التروس",
    "ไทย: ตัวเรือนกระปุกเกียร์",
    "हिन्दी: गियरबॉक्स आवरण",
    "Symbols: ⌀ 4 mm ± 0.1 ≤ 20 °C → ✓ ⚠ 🖨️ 🧩 🚀",
)
"""What the typefaces must have a letter for."""

HOSTILE: Final = (
    '<img src="http://127.0.0.1:9/x">',
    "<script>document.title = 'owned'</script>",
    "</style><style>@import 'http://127.0.0.1:9/css'; * { display: none }",
    "url(http://127.0.0.1:9/u)",
    "{{ 7 * 7 }}{% raw %}",
    "NUL\x00byte",
    "left\u202ethgir",
)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A document, who writes it, and the pictures (PNG) of its models by their files' ids."""

    document: Paper
    business: Business = field(default_factory=lambda: business(logoDataUrl=LOGO))
    pictures: Mapping[str, bytes] = field(default_factory=dict)


def gallery() -> dict[str, Callable[[], Sheet]]:
    """The sheets by their names, which are file names; each is made when it is called for."""
    return _STATES | _STRAINS


@cache
def pictures() -> dict[str, bytes]:
    """Pictures of three models, by file id, drawn as an upload's are."""
    ring = trimesh.creation.annulus(r_min=12, r_max=20, height=10)
    box = trimesh.creation.box((40, 24, 12))
    ball = trimesh.creation.icosphere(subdivisions=3, radius=16)
    return {
        str(number): draw_preview(np.asarray(mesh.triangles, dtype=np.float32))
        for number, mesh in enumerate((box, ring, ball), 1)
    }


def _quote(status: str) -> Sheet:
    closed: dict[str, Any] = {} if status == "PENDING" else {"acceptUrl": None}
    return Sheet(quote(status=status, **closed))


def _pictured(**changes: Any) -> Sheet:
    lines = [item(number) for number in (1, 2, 3, 4)]
    for number, line in enumerate(lines[:3], 1):
        line["details"] = {**line["details"], "fileId": number}
    keys = {number: f"models/{number}.png" for number in pictures()}
    return Sheet(invoice(items=lines, pictures=keys, **changes), pictures=pictures())


def _lots() -> Sheet:
    """Lines as the product writes them, and one that the shop described itself, over several lines."""
    ordered = [
        item(1, description=lot("gearbox-left.stl", 2, "PLA")),
        item(2, description=lot("gearbox-right.3mf", 1, "PLA", fast_track=True)),
        item(3, description=lot("bracket-m4.stl", 12, "PETG")),
        item(4, description="Mounting plates\nas agreed on the phone\nwith heat-set inserts"),
    ]
    ordered[1]["details"] = {**ordered[1]["details"], "pieces": 1}
    ordered[3] |= {"quantity": 1, "unitPriceCents": 13_500}
    ordered[3]["details"] = {"pieces": 250, "grams": 1_234.5, "timeSec": 93_780, "material": "PETG"}
    return Sheet(invoice(items=ordered))


def _part_paid(**changes: Any) -> dict[str, Any]:
    payment = {
        "date": "2026-11-25",
        "method": "BANK_TRANSFER",
        "amountCents": 10_000,
        "reference": "NAB 4471 0032",
    }
    return {"payments": [payment], "receivedCents": 10_000, "balanceCents": 34_200, **changes}


def _overpaid() -> list[dict[str, Any]]:
    return [{"date": "2026-11-25", "method": "BANK_TRANSFER", "amountCents": 50_000, "reference": "NAB 4471"}]


def _partly_refunded(**changes: Any) -> dict[str, Any]:
    """Paid in full by card, and a part of it given back since."""
    payments = [
        {"date": "2026-11-25", "method": "STRIPE", "amountCents": 44_200, "reference": "pi_3QKz8rLkdIwHu7ix"},
        {"date": "2026-12-02", "method": "STRIPE", "amountCents": -5_000, "reference": "Refunded"},
    ]
    money = {"receivedCents": 44_200, "refundedCents": 5_000, "creditedCents": 5_000, "balanceCents": 0}
    return {"status": "PAID", "payUrl": None, "payments": payments, **money, **changes}


def _every_script() -> Sheet:
    lines = [item(number, description=text) for number, text in enumerate(SCRIPTS, 1)]
    client = {**CLIENT, "company": "شركة الميناء للروبوتات", "name": "山田 太郎 · Παύλος · Семён"}
    return Sheet(invoice(items=lines, client=client, notes=" ".join(SCRIPTS)))


def _hostile() -> Sheet:
    text = " ".join(HOSTILE)
    lines = [item(number, description=part) for number, part in enumerate(HOSTILE, 1)]
    shop = business(
        **dict.fromkeys(("name", "phone", "email", "bankDetails"), HOSTILE[0]), address="\n".join(HOSTILE)
    )
    return Sheet(invoice(items=lines, notes=text, terms=text, client={"name": text}), shop)


def hostile_papers(text: str) -> list[Sheet]:
    """Every kind of paper, `text` in every field of it that takes text."""
    address = dict.fromkeys(("line1", "line2", "suburb", "state", "postcode", "country"), text)
    client = {**dict.fromkeys(("name", "company", "email", "phone", "abn"), text), "address": address}
    payment = {"date": "2026-11-25", "method": text, "amountCents": 1, "reference": text}
    texts: dict[str, Any] = {
        "client": client,
        "items": [item(1, description=text, details={"material": text})],
        **dict.fromkeys(("number", "notes", "terms", "shippingLabel"), text),
    }
    moves = account_json(5)
    for entry in moves["entries"]:
        entry["number"] = entry["method"] = text
    papers: list[Paper] = [
        quote(**texts),
        invoice(**texts, payments=[payment], payUrl=None, payNote=text),
        receipt(**texts, payments=[payment]),
        statement(0, moves, client=client),
    ]
    shop = business(**dict.fromkeys(("name", "address", "phone", "email", "abn", "bankDetails"), text))
    return [Sheet(paper, shop) for paper in papers]


def _ten_thousand_letters() -> Sheet:
    word = "Ŵ" * 10_000
    address = dict.fromkeys(("line1", "line2", "suburb", "state", "postcode", "country"), "A" * 500)
    client = {**dict.fromkeys(("name", "company", "email", "phone", "abn"), "C" * 500), "address": address}
    payments = [{"date": "2026-11-25", "method": "M" * 500, "amountCents": 1, "reference": "R" * 500}]
    lines = [item(1, description=word, details={"material": "P" * 500}), item(2)]
    shop = business(**dict.fromkeys(("name", "address", "phone", "email", "abn", "bankDetails"), "B" * 500))
    texts: dict[str, Any] = {
        "notes": word,
        "terms": word,
        "shippingLabel": "S" * 500,
        "payNote": "N" * 500,
        "number": "I" * 200,
    }
    return Sheet(invoice(items=lines, client=client, payments=payments, payUrl=None, **texts), shop)


_AUCKLAND: Final = {"line1": "12 Quay Street", "suburb": "Auckland", "postcode": "1010", "country": "NZ"}

_LONG: Final = (
    "The Very Honourable and Exceedingly Long-Named Company of Additive Manufacturers of Greater Marrickville"
)

_STATES: Final[dict[str, Callable[[], Sheet]]] = {
    **{
        f"quote-{status.lower()}": partial(_quote, status)
        for status in ("DRAFT", "PENDING", "ACCEPTED", "DECLINED", "EXPIRED", "CONVERTED")
    },
    "invoice-pending": lambda: Sheet(invoice()),
    "invoice-part-paid": lambda: Sheet(invoice(**_part_paid())),
    "invoice-paid": lambda: Sheet(invoice(paid=True)),
    "invoice-overdue": lambda: Sheet(invoice(status="OVERDUE")),
    "invoice-void": lambda: Sheet(invoice(status="VOID", payUrl=None, balanceCents=0)),
    "invoice-overpaid": lambda: Sheet(
        invoice(paid=True, receivedCents=50_000, inCreditCents=5_800, payments=_overpaid())
    ),
    "invoice-partly-refunded": lambda: Sheet(invoice(**_partly_refunded())),
    "invoice-written-off": lambda: Sheet(
        invoice(
            **_part_paid(status="WRITTEN_OFF", payUrl=None, balanceCents=0, writtenOffCents=34_200),
        )
    ),
    "invoice-refunded": lambda: Sheet(
        invoice(
            status="REFUNDED",
            payUrl=None,
            balanceCents=0,
            receivedCents=44_200,
            refundedCents=44_200,
            creditedCents=44_200,
            payments=[
                {"date": "2026-11-25", "method": "STRIPE", "amountCents": 44_200},
                {"date": "2026-12-02", "method": "STRIPE", "amountCents": -44_200},
            ],
        )
    ),
    "receipt-paid": lambda: Sheet(receipt()),
    "statement": lambda: Sheet(statement()),
    "statement-empty": lambda: Sheet(Statement.model_validate({**statement().model_dump(), "accounts": []})),
    "statement-two-currencies": lambda: Sheet(statement(0, account_json(40), account_json(3, "USD", -9_000))),
    "receipt-partly-refunded": lambda: Sheet(receipt(**_partly_refunded())),
    "receipt-part-paid": lambda: Sheet(receipt(status="PENDING", **_part_paid())),
}

_STRAINS: Final[dict[str, Callable[[], Sheet]]] = {
    "strain-lots": _lots,
    "strain-pictures": _pictured,
    "strain-one-line": lambda: Sheet(invoice(1, discount=0, notes=None, terms=None)),
    "strain-60-lines": lambda: Sheet(invoice(60)),
    "strain-200-lines": lambda: Sheet(invoice(200)),
    "strain-name-only": lambda: Sheet(invoice(client={"name": "Jo"})),
    "strain-abroad": lambda: Sheet(invoice(client={**CLIENT, "abn": None, "address": _AUCKLAND})),
    "strain-bare-business": lambda: Sheet(invoice(), Business(name="3D Print Bureau")),
    "strain-no-gst": lambda: Sheet(
        invoice(1, discount=0, taxRateBps=0, taxCents=0, totalCents=10_950, balanceCents=10_950)
    ),
    "strain-dollars": lambda: Sheet(invoice(currency="USD")),
    "strain-yen": lambda: Sheet(invoice(currency="JPY")),
    "strain-no-card": lambda: Sheet(
        invoice(payUrl=None, payNote="Card payments are off. Pay by bank transfer, please.")
    ),
    "strain-millions": lambda: Sheet(
        invoice(
            items=[
                item(1, quantity=12_000.125, unitPriceCents=99_999_999),
                item(2, discount=("FIXED", 123_456)),
            ]
        )
    ),
    "strain-long-names": lambda: Sheet(
        invoice(
            client={
                **CLIENT,
                "company": _LONG,
                "name": _LONG,
                "email": f"{'imogen' * 12}@harbourrobotics.example",
            },
            items=[item(1, description=f"{_LONG}, {_LONG}"), item(2)],
        ),
        business(name=_LONG),
    ),
    "strain-long-words": lambda: Sheet(
        invoice(
            items=[item(1, description="W" * 3000), item(2)], client={"name": "N" * 400}, notes="M" * 2000
        )
    ),
    "strain-ten-thousand-letters": _ten_thousand_letters,
    "strain-long-terms": lambda: Sheet(invoice(terms="Goods remain ours until they are paid for.\n" * 120)),
    "strain-every-script": _every_script,
    "strain-hostile": _hostile,
}
