"""An order's price: stored slices, the shop's rates and an address in; lines and totals out."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from printshop.documents import Totals, totals
from printshop.errors import ApiError, Conflict, NotFound
from printshop.http.envelope import Model
from printshop.pricing import RULE_VERSION, Material, PrintCost, Rates, price_print
from printshop.shipping import ShippingRegion, region_for

SliceHash = Annotated[
    str, Field(pattern=r"^[0-9a-f]{64}$", description="`settingsHash` of the finished slice")
]


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


class Stored(BaseModel):
    """JSON of the database, camelCase."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)


class StoredMaterial(Stored):
    id: int
    name: str
    cost_per_kg_cents: int
    density_mg_cm3: Annotated[int, Field(alias="densityMgCm3")]


class StoredSlice(Stored):
    mass_mg: int
    volume_mm3: Annotated[int, Field(alias="volumeMm3")]
    filament_mm: int
    time_sec: int
    slicer: str
    slicer_version: str
    profile: str


class StoredObject(Stored):
    storage_key: str
    filename: str
    size_bytes: int
    mime_type: str


class StoredModel(StoredObject):
    """A model as the order sees it: its file, its slice of the named hash, its material."""

    file_id: int
    content_hash: str | None
    settings_hash: str
    busy: bool
    uploaded: bool
    is_output: bool
    is_current: bool
    fallback: bool
    error: str | None
    settings: dict[str, Any] | None
    slice: StoredSlice | None
    material: StoredMaterial | None
    output: StoredObject | None


class ShopRates(Stored):
    currency: str | None
    tax_rate_bps: int
    hourly_rate_cents: int
    setup_cents: int
    minimum_cents: int
    fast_track_surcharge_bps: int
    shipping_regions: list[ShippingRegion]

    @property
    def rates(self) -> Rates:
        return Rates(
            self.hourly_rate_cents, self.setup_cents, self.minimum_cents, self.fast_track_surcharge_bps
        )


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


def required_model(model: StoredModel | None, index: int) -> StoredModel:
    if model is None:
        raise NotFound(
            "FILE_NOT_FOUND", "There is no such file of yours.", [{"field": f"items.{index}.fileId"}]
        )
    return model


def _price_line(found: StoredModel | None, item: OrderedModel, index: int, shop: ShopRates) -> PricedLine:
    model = required_model(found, index)
    if model.slice is None or model.material is None or model.fallback:
        raise _no_figures(model, index)
    cost = price_print(
        volume_mm3=model.slice.volume_mm3,
        time_sec=model.slice.time_sec,
        pieces=item.quantity,
        material=Material(model.material.cost_per_kg_cents, model.material.density_mg_cm3),
        rates=shop.rates,
        fast_track=item.fast_track,
    )
    return PricedLine(model, item, model.slice, model.material, cost)


def _no_figures(model: StoredModel, index: int) -> ApiError:
    where = [{"field": f"items.{index}.settingsHash"}]
    if model.fallback:
        return Conflict(
            "NEEDS_REVIEW",
            f"{model.filename} could not be sliced, so it has no price; check out with review: true and the shop "
            "will quote it by hand.",
            where,
        )
    return Conflict(
        "NOT_SLICED", f"{model.filename} has no finished slice of these settings; slice it first.", where
    )
