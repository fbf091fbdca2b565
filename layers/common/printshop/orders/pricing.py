"""An order's price: stored slices, the shop's rates and an address in; lines and totals out."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from printshop.kernel.base_model import CamelModel, StrictModel
from printshop.pricing.price_book import (
    ShopRates,
    SliceHash,
    StoredMaterial,
    StoredModel,
    StoredSlice,
    sliced_model,
)
from printshop.pricing.print_factors import PrintFactor
from printshop.pricing.print_price import RULE_VERSION, PrintCost, price_print
from printshop.pricing.shipping import ShippingRegion, region_for
from printshop.pricing.totals import Totals, totals


class OrderedModel(StrictModel):
    """One line of an order: a sliced file, by the hash of the slice, and how many pieces."""

    file_id: Annotated[int, Field(ge=1, le=2**53, examples=[12])]
    settings_hash: SliceHash
    quantity: Annotated[int, Field(ge=1, le=1000, examples=[2])] = 1
    fast_track: bool = False


class Address(StrictModel):
    """Where the parcel goes; state and postcode choose the shipping region."""

    state: Annotated[str, Field(max_length=40, examples=["NSW"])] = ""
    postcode: Annotated[str, Field(max_length=12, examples=["2000"])] = ""


class PriceRequest(StrictModel):
    """What to price."""

    items: Annotated[list[OrderedModel], Field(min_length=1, max_length=50)]
    shipping: Address
    client_id: Annotated[int | None, Field(ge=1, le=2**53)] = None
    """An admin orders for this client; clients order for themselves."""


class LineBreakdown(CamelModel):
    """What one line costs and why. Material, machine time and so on add up to `totalCents`."""

    file_id: int
    filename: str
    settings_hash: str
    quantity: int
    fast_track: bool
    material: Annotated[str, Field(examples=["PLA"])]
    mass_mg: Annotated[int, Field(description="Of one piece")]
    time_sec: Annotated[int, Field(description="Of one piece")]
    print_factor: Annotated[
        PrintFactor | None, Field(description="What real prints correct the price by; null: it is as sliced")
    ]
    material_cents: Annotated[int, Field(examples=[54])]
    machine_cents: Annotated[int, Field(examples=[3900])]
    setup_cents: Annotated[int, Field(description="Once a line", examples=[2000])]
    minimum_applied: Annotated[bool, Field(description="The line costs the shop's minimum", examples=[False])]
    minimum_top_up_cents: int
    fast_track_cents: int
    total_cents: Annotated[int, Field(examples=[5954])]


class ShippingChoice(CamelModel):
    """The region that the address falls into, and its price."""

    code: Annotated[str, Field(examples=["metro"])]
    label: Annotated[str, Field(examples=["Metro delivery"])]
    cents: Annotated[int, Field(examples=[1250])]


class PriceBreakdown(CamelModel):
    """An order's price, in minor units of `currency`."""

    currency: str
    rule_version: Annotated[int, Field(description="Of the pricing rules", examples=[1])]
    items: list[LineBreakdown]
    shipping: ShippingChoice
    subtotal_cents: Annotated[int, Field(examples=[5954])]
    discount_cents: int
    shipping_cents: Annotated[int, Field(examples=[1250])]
    tax_rate_bps: int
    tax_cents: Annotated[int, Field(examples=[720])]
    total_cents: Annotated[int, Field(description="Send it as expectedTotalCents", examples=[7924])]


class OrderInputs(CamelModel):
    """Everything that prices an order, read at one moment."""

    models: list[StoredModel | None]
    settings: ShopRates
    client: dict[str, Any]


@dataclass(frozen=True, slots=True)
class PricedLine:
    """A line with its breakdown. The amounts are minor units."""

    model: StoredModel
    ordered: OrderedModel
    slice: StoredSlice
    material: StoredMaterial
    cost: PrintCost


@dataclass(frozen=True, slots=True)
class PricedOrder:
    """An order with its breakdown."""

    currency: str
    lines: tuple[PricedLine, ...]
    region: ShippingRegion
    totals: Totals

    def breakdown(self) -> PriceBreakdown:
        """The answer of `price`, and the details of `PRICE_CHANGED`."""
        sums = self.totals
        return PriceBreakdown(
            currency=self.currency,
            rule_version=RULE_VERSION,
            items=[_breakdown(line) for line in self.lines],
            shipping=ShippingChoice(code=self.region.code, label=self.region.label, cents=self.region.cents),
            subtotal_cents=sums.subtotal_cents,
            discount_cents=sums.discount_cents,
            shipping_cents=sums.shipping_cents,
            tax_rate_bps=sums.tax_rate_bps,
            tax_cents=sums.tax_cents,
            total_cents=sums.total_cents,
        )


def _breakdown(line: PricedLine) -> LineBreakdown:
    cost = line.cost
    return LineBreakdown(
        file_id=line.model.file_id,
        filename=line.model.filename,
        settings_hash=line.ordered.settings_hash,
        quantity=line.ordered.quantity,
        fast_track=line.ordered.fast_track,
        material=line.material.name,
        mass_mg=line.slice.mass_mg,
        time_sec=line.slice.time_sec,
        print_factor=line.model.print_factor,
        material_cents=cost.material_cents,
        machine_cents=cost.machine_cents,
        setup_cents=cost.setup_cents,
        minimum_applied=cost.minimum_applied,
        minimum_top_up_cents=cost.minimum_top_up_cents,
        fast_track_cents=cost.fast_track_cents,
        total_cents=cost.total_cents,
    )


def price_order(
    inputs: OrderInputs, items: list[OrderedModel], address: Address, currency: str
) -> PricedOrder:
    """Price every line from its stored slice, in `currency` unless the shop's settings name another.

    Raises NotFound, Conflict NEEDS_REVIEW or NOT_SLICED.
    """
    shop = inputs.settings
    lines = tuple(
        _price_line(model, item, index, shop)
        for index, (model, item) in enumerate(zip(inputs.models, items, strict=True))
    )
    region = region_for(shop.shipping_regions, state=address.state, postcode=address.postcode)
    sums = totals(
        [line.cost.total_cents for line in lines], tax_rate_bps=shop.tax_rate_bps, shipping_cents=region.cents
    )
    return PricedOrder(shop.currency or currency, lines, region, sums)


def _price_line(found: StoredModel | None, item: OrderedModel, index: int, shop: ShopRates) -> PricedLine:
    sliced = sliced_model(found, f"items.{index}")
    cost = price_print(
        volume_mm3=sliced.slice.volume_mm3,
        time_sec=sliced.slice.time_sec,
        pieces=item.quantity,
        material=sliced.material.rated,
        rates=shop.rates,
        fast_track=item.fast_track,
        correction=sliced.correction,
    )
    return PricedLine(sliced.model, item, sliced.slice, sliced.material, cost)
