"""An order's price: stored slices, the shop's rates and an address in; lines and totals out."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from printshop.documents import Totals, totals
from printshop.http.envelope import Model
from printshop.price_book import (
    ShopRates,
    SliceHash,
    Stored,
    StoredMaterial,
    StoredModel,
    StoredSlice,
    sliced_model,
)
from printshop.pricing import RULE_VERSION, PrintCost, price_print
from printshop.shipping import ShippingRegion, region_for


class OrderedModel(Model):
    """One line of an order: a sliced file, by the hash of the slice, and how many pieces."""

    file_id: Annotated[int, Field(ge=1, le=2**53)]
    settings_hash: SliceHash
    quantity: Annotated[int, Field(ge=1, le=1000)] = 1
    fast_track: bool = False


class Address(Model):
    """Where the parcel goes; state and postcode choose the shipping region."""

    state: Annotated[str, Field(max_length=40, examples=["NSW"])] = ""
    postcode: Annotated[str, Field(max_length=12, examples=["2000"])] = ""


class PriceRequest(Model):
    """What to price."""

    items: Annotated[list[OrderedModel], Field(min_length=1, max_length=50)]
    shipping: Address
    client_id: Annotated[int | None, Field(ge=1, le=2**53)] = None
    """An admin orders for this client; a client for himself."""


class OrderInputs(Stored):
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

    def breakdown(self) -> dict[str, Any]:
        """The answer of `price`, and the details of `PRICE_CHANGED`."""
        sums = self.totals
        return {
            "currency": self.currency,
            "ruleVersion": RULE_VERSION,
            "items": [
                {
                    "fileId": line.model.file_id,
                    "filename": line.model.filename,
                    "settingsHash": line.ordered.settings_hash,
                    "quantity": line.ordered.quantity,
                    "fastTrack": line.ordered.fast_track,
                    "material": line.material.name,
                    "massMg": line.slice.mass_mg,
                    "timeSec": line.slice.time_sec,
                    "materialCents": line.cost.material_cents,
                    "machineCents": line.cost.machine_cents,
                    "setupCents": line.cost.setup_cents,
                    "minimumApplied": line.cost.minimum_applied,
                    "minimumTopUpCents": line.cost.minimum_top_up_cents,
                    "fastTrackCents": line.cost.fast_track_cents,
                    "totalCents": line.cost.total_cents,
                }
                for line in self.lines
            ],
            "shipping": {"code": self.region.code, "label": self.region.label, "cents": self.region.cents},
            "subtotalCents": sums.subtotal_cents,
            "discountCents": sums.discount_cents,
            "shippingCents": sums.shipping_cents,
            "taxRateBps": sums.tax_rate_bps,
            "taxCents": sums.tax_cents,
            "totalCents": sums.total_cents,
        }


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
    )
    return PricedLine(sliced.model, item, sliced.slice, sliced.material, cost)
