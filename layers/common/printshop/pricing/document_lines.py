"""What a quote or an invoice is written from: the request's lines, priced by the price book. Pure.

A line is priced by the first of these that it has:
- `print`: a finished slice of the shop's own upload, by its settings hash; the lot is sold once
- `figures`: cm³ and hours given by hand, for a CALCULATED template or none
- `unitPriceCents`
- a FIXED template's price
"""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from printshop.kernel.base_model import StrictModel
from printshop.kernel.errors import Unprocessable
from printshop.kernel.money import QUANTITY_SCALE, round_half_up
from printshop.pricing.price_book import (
    PriceBook,
    SlicedModel,
    SliceHash,
    StoredMaterial,
    StoredTemplate,
    lot,
    print_details,
    sliced_model,
)
from printshop.pricing.print_price import RULE_VERSION, PrintCost, price_print
from printshop.pricing.totals import Discount, DiscountType, Line, Totals, totals

MAX_TOTAL_CENTS = 10**12
"""Far above any print, and far below where a number stops being exact in JavaScript or PostgreSQL."""


def _three_decimals(quantity: float) -> float:
    if Decimal(str(quantity)) * QUANTITY_SCALE % 1:
        raise ValueError("give a quantity with at most 3 decimals")
    return quantity


Id = Annotated[int, Field(ge=1, le=2**53)]
Cents = Annotated[int, Field(ge=0, le=10**10, description="Minor units of the document's currency")]
Bps = Annotated[int, Field(ge=0, le=10_000, description="Basis points: 1000 is 10 %")]
Quantity = Annotated[
    float,
    Field(gt=0, le=100_000, description="At most 3 decimals", examples=[1]),
    AfterValidator(_three_decimals),
]
Pieces = Annotated[int, Field(ge=1, le=1000)]


class SlicedPrint(StrictModel):
    """A finished slice of a file that the caller uploaded."""

    file_id: Id
    settings_hash: SliceHash
    pieces: Pieces = 1
    fast_track: bool = False


class PrintFigures(StrictModel):
    """A print that the shop figured by hand: mm³ of filament and seconds, a piece."""

    volume_mm3: Annotated[int, Field(ge=1, le=10**9, alias="volumeMm3", examples=[3346])]
    time_sec: Annotated[int, Field(ge=1, le=10**8, examples=[1719])]
    material_id: Id | None = None
    """The template's, else the shop's default."""
    pieces: Pieces = 1
    fast_track: bool = False


class _Discounted(StrictModel):
    discount_type: DiscountType = "NONE"
    discount_bps: Bps = 0
    discount_fixed_cents: Cents = 0

    @property
    def discount(self) -> Discount:
        return Discount(self.discount_type, self.discount_bps, self.discount_fixed_cents)

    @model_validator(mode="after")
    def _of_its_kind(self) -> Self:
        if self.discount_bps and self.discount_type != "PERCENT":
            raise ValueError("discountBps belongs to discountType PERCENT")
        if self.discount_fixed_cents and self.discount_type != "FIXED":
            raise ValueError("discountFixedCents belongs to discountType FIXED")
        return self


class LineRequest(_Discounted):
    """One line. A print's description, and a template's, are made when left out."""

    description: Annotated[str, Field(min_length=1, max_length=2000)] | None = None
    quantity: Quantity = 1
    unit_price_cents: Cents | None = None
    product_template_id: Id | None = None
    print: SlicedPrint | None = None
    figures: PrintFigures | None = None


class DocumentRequest(_Discounted):
    """The part of a quote or an invoice that makes its amounts. The tax rate defaults to the shop's."""

    items: Annotated[list[LineRequest], Field(min_length=1, max_length=200)]
    shipping_cents: Cents = 0
    shipping_label: Annotated[str, Field(max_length=100)] = ""
    tax_rate_bps: Bps | None = None
    notes: Annotated[str, Field(max_length=5000)] = ""
    terms: Annotated[str, Field(max_length=5000)] = ""


@dataclass(frozen=True, slots=True)
class PricedItem:
    """A line with its amounts in minor units, and what made them."""

    request: LineRequest
    description: str
    line: Line
    details: dict[str, Any]
    sliced: SlicedModel | None = None
    cost: PrintCost | None = None

    def row(self) -> dict[str, Any]:
        """As the SQL functions write_quote_items and write_invoice_items take it."""
        discount = self.line.discount
        return {
            "productTemplateId": self.request.product_template_id,
            "description": self.description,
            "quantityMilli": self.line.quantity_milli,
            "unitPriceCents": self.line.unit_price_cents,
            "discountType": discount.kind,
            "discountBps": discount.bps,
            "discountFixedCents": discount.cents,
            "totalCents": self.line.total_cents,
            "details": self.details,
        }


@dataclass(frozen=True, slots=True)
class PricedDocument:
    """A document's lines and totals in `currency`."""

    request: DocumentRequest
    currency: str
    items: tuple[PricedItem, ...]
    totals: Totals
    book: PriceBook

    def row(self) -> dict[str, Any]:
        """The columns of `quotes` and `invoices` that the amounts fill, in camelCase."""
        sums, request = self.totals, self.request
        return {
            "currency": self.currency,
            "discountType": request.discount_type,
            "discountBps": request.discount_bps,
            "discountFixedCents": request.discount_fixed_cents,
            "subtotalCents": sums.subtotal_cents,
            "discountCents": sums.discount_cents,
            "shippingCents": sums.shipping_cents,
            "shippingLabel": request.shipping_label,
            "taxRateBps": sums.tax_rate_bps,
            "taxCents": sums.tax_cents,
            "totalCents": sums.total_cents,
            "notes": request.notes,
            "terms": request.terms,
        }

    def item_rows(self) -> list[dict[str, Any]]:
        return [item.row() for item in self.items]

    def snapshot(self) -> dict[str, Any]:
        """Everything that priced it: enough to compute grams and cents again."""
        book = self.book
        return {
            "ruleVersion": RULE_VERSION,
            "currency": self.currency,
            "rates": {
                "hourlyRateCents": book.hourly_rate_cents,
                "setupCents": book.setup_cents,
                "minimumCents": book.minimum_cents,
                "fastTrackSurchargeBps": book.fast_track_surcharge_bps,
            },
            "document": self.row(),
            "items": self.item_rows(),
        }


def price_document(request: DocumentRequest, book: PriceBook, currency: str) -> PricedDocument:
    """Price every line, in `currency` unless the shop's settings name another.

    `book.models` are those of the request's `print` lines, in order. Raises NotFound, Conflict NEEDS_REVIEW or
    NOT_SLICED, Unprocessable UNKNOWN_TEMPLATE, UNKNOWN_MATERIAL, LINE_WITHOUT_PRICE, AMOUNT_TOO_LARGE.
    """
    models = iter(book.models)
    items = []
    for index, line in enumerate(request.items):
        field = f"items.{index}"
        sliced = sliced_model(next(models, None), f"{field}.print") if line.print else None
        items.append(_price_line(line, sliced, book, field))
    sums = totals(
        [item.line.total_cents for item in items],
        tax_rate_bps=book.tax_rate_bps if request.tax_rate_bps is None else request.tax_rate_bps,
        shipping_cents=request.shipping_cents,
        discount=request.discount,
    )
    if sums.total_cents > MAX_TOTAL_CENTS:
        raise Unprocessable("AMOUNT_TOO_LARGE")
    return PricedDocument(request, book.currency or currency, tuple(items), sums, book)


def _price_line(request: LineRequest, sliced: SlicedModel | None, book: PriceBook, field: str) -> PricedItem:
    template = _template(request, book, field)
    if sliced and request.print:
        ordered = request.print
        cost = price_print(
            volume_mm3=sliced.slice.volume_mm3,
            time_sec=sliced.slice.time_sec,
            pieces=ordered.pieces,
            material=sliced.material.rated,
            rates=book.rates,
            fast_track=ordered.fast_track,
            correction=sliced.correction,
        )
        details = print_details(
            sliced, pieces=ordered.pieces, fast_track=ordered.fast_track, rule_version=RULE_VERSION
        )
        name = lot(sliced.model.filename, ordered.pieces, sliced.material.name, fast_track=ordered.fast_track)
        return _lot_item(request, request.description or name, cost, details, field, sliced)
    if request.figures:
        return _figured(request, request.figures, template, book, field)
    price = request.unit_price_cents
    if price is None and template:
        price = template.unit_price_cents
    description = request.description or (template.name if template else None)
    if price is None or description is None:
        raise Unprocessable("LINE_WITHOUT_PRICE", details=[{"field": field}])
    return PricedItem(request, description, Line(_milli(request.quantity), price, request.discount), {})


def _figured(
    request: LineRequest, figures: PrintFigures, template: StoredTemplate | None, book: PriceBook, field: str
) -> PricedItem:
    wanted = figures.material_id or (template.material_id if template else None) or book.default_material_id
    material = next((each for each in book.materials if each.id == wanted), None)
    if material is None:
        raise Unprocessable(
            "UNKNOWN_MATERIAL",
            "Choose one of the shop's active materials.",
            [{"field": f"{field}.figures.materialId"}],
        )
    cost = price_print(
        volume_mm3=figures.volume_mm3,
        time_sec=figures.time_sec,
        pieces=figures.pieces,
        material=material.rated,
        rates=book.rates,
        fast_track=figures.fast_track,
    )
    name = template.name if template else "3D print"
    description = request.description or f"{name}, {figures.pieces} pieces in {material.name}"
    return _lot_item(request, description, cost, _figured_details(figures, material), field, None)


def _figured_details(figures: PrintFigures, material: StoredMaterial) -> dict[str, Any]:
    mass_mg = round_half_up(Fraction(figures.volume_mm3 * material.density_mg_cm3, 1000))
    return {
        "material": material.name,
        "materialId": material.id,
        "costPerKgCents": material.cost_per_kg_cents,
        "densityMgCm3": material.density_mg_cm3,
        "pieces": figures.pieces,
        "fastTrack": figures.fast_track,
        "massMg": mass_mg,
        "grams": mass_mg / 1000,
        "timeSec": figures.time_sec,
        "volumeMm3": figures.volume_mm3,
        "ruleVersion": RULE_VERSION,
    }


def _lot_item(
    request: LineRequest,
    description: str,
    cost: PrintCost,
    details: dict[str, Any],
    field: str,
    sliced: SlicedModel | None,
) -> PricedItem:
    if request.quantity != 1 or request.unit_price_cents is not None:
        raise Unprocessable("LOT_HAS_ITS_PRICE", details=[{"field": field}])
    line = Line(QUANTITY_SCALE, cost.total_cents, request.discount)
    return PricedItem(request, description, line, details, sliced, cost)


def _template(request: LineRequest, book: PriceBook, field: str) -> StoredTemplate | None:
    if request.product_template_id is None:
        return None
    for template in book.templates:
        if template.id == request.product_template_id:
            return template
    raise Unprocessable("UNKNOWN_TEMPLATE", details=[{"field": f"{field}.productTemplateId"}])


def _milli(quantity: float) -> int:
    return int(Decimal(str(quantity)) * QUANTITY_SCALE)
