"""What prices a document, as the database tells it at one moment: rates, catalogue, and stored slices.

Volume and time of a print come from a stored slice alone, named by its settings hash.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from printshop.kernel.base_model import CamelModel
from printshop.kernel.errors import Conflict, NotFound
from printshop.pricing.print_factors import PrintFactor
from printshop.pricing.print_price import AS_SLICED, Correction, Material, Rates
from printshop.pricing.shipping import ShippingRegion

SliceHash = Annotated[
    str, Field(pattern=r"^[0-9a-f]{64}$", description="`settingsHash` of the finished slice")
]


class StoredMaterial(CamelModel):
    """A material of the catalogue."""

    id: int
    name: str
    cost_per_kg_cents: int
    density_mg_cm3: Annotated[int, Field(alias="densityMgCm3")]

    @property
    def rated(self) -> Material:
        """As pricing takes it."""
        return Material(self.cost_per_kg_cents, self.density_mg_cm3)


class StoredSlice(CamelModel):
    mass_mg: int
    volume_mm3: Annotated[int, Field(alias="volumeMm3")]
    filament_mm: int
    time_sec: int
    slicer: str
    slicer_version: str
    profile: str
    nozzle_um: int | None = None
    """Of the printer that it was made for; None where that was not kept."""


class StoredObject(CamelModel):
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
    log_tail: str | None
    """The slicer's last lines after a failure, for the shop's eyes."""
    settings: dict[str, Any] | None
    slice: StoredSlice | None
    material: StoredMaterial | None
    preview: StoredObject | None
    output: StoredObject | None
    print_factor: PrintFactor | None = None
    """Of the printer and material that it was sliced for; None where the shop prices as sliced."""


class ShopRates(CamelModel):
    """The shop's prices. `currency` null is the deployment's STRIPE_CURRENCY."""

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


class StoredTemplate(CamelModel):
    """A product template: FIXED has its price, CALCULATED is priced by volume and time."""

    id: int
    name: str
    description: str
    pricing_type: Literal["FIXED", "CALCULATED"]
    unit_price_cents: int | None
    material_id: int | None


class PriceBook(ShopRates):
    """The rates, the active catalogue, and the slices that a request names, in its order."""

    default_material_id: int | None
    materials: list[StoredMaterial]
    templates: list[StoredTemplate]
    models: list[StoredModel | None]


@dataclass(frozen=True, slots=True)
class SlicedModel:
    """A model with the figures that price it."""

    model: StoredModel
    slice: StoredSlice
    material: StoredMaterial

    @property
    def correction(self) -> Correction:
        factor = self.model.print_factor
        return factor.correction if factor else AS_SLICED


def required_model(model: StoredModel | None, field: str) -> StoredModel:
    """The model that `field` of the request names. Raises NotFound."""
    if model is None:
        raise NotFound("FILE_NOT_FOUND", "There is no such file of yours.", [{"field": f"{field}.fileId"}])
    return model


def sliced_model(found: StoredModel | None, field: str) -> SlicedModel:
    """The model that `field` of the request names, with its figures.

    Raises NotFound, Conflict NEEDS_REVIEW or NOT_SLICED.
    """
    model = required_model(found, field)
    where = [{"field": f"{field}.settingsHash"}]
    if model.fallback:
        raise Conflict(
            "NEEDS_REVIEW",
            f"{model.filename} could not be sliced, so it has no price; check out with review: true and the shop "
            "will quote it by hand.",
            where,
        )
    if model.slice is None or model.material is None:
        raise Conflict(
            "NOT_SLICED", f"{model.filename} has no finished slice of these settings; slice it first.", where
        )
    return SlicedModel(model, model.slice, model.material)


def print_details(sliced: SlicedModel, *, pieces: int, fast_track: bool, rule_version: int) -> dict[str, Any]:
    """What priced a printed line, kept with it for the paper, the job and `make verify-quote`."""
    settings = sliced.model.settings or {}
    factor = sliced.model.print_factor
    return {
        "fileId": sliced.model.file_id,
        "contentHash": sliced.model.content_hash,
        "settingsHash": sliced.model.settings_hash,
        "settings": settings,
        "layerHeight": settings.get("layerHeight"),
        "infill": settings.get("infill"),
        "material": sliced.material.name,
        "materialId": sliced.material.id,
        "costPerKgCents": sliced.material.cost_per_kg_cents,
        "densityMgCm3": sliced.material.density_mg_cm3,
        "pieces": pieces,
        "fastTrack": fast_track,
        "massMg": sliced.slice.mass_mg,
        "grams": sliced.slice.mass_mg / 1000,
        "timeSec": sliced.slice.time_sec,
        "volumeMm3": sliced.slice.volume_mm3,
        "slicer": sliced.slice.slicer,
        "slicerVersion": sliced.slice.slicer_version,
        "profile": sliced.slice.profile,
        "nozzleUm": sliced.slice.nozzle_um,
        "ruleVersion": rule_version,
        **(factor.details(time_sec=sliced.slice.time_sec, mass_mg=sliced.slice.mass_mg) if factor else {}),
    }


CUSTOMERS_DETAILS = frozenset(
    ("material", "pieces", "fastTrack", "massMg", "grams", "timeSec", "layerHeight", "infill", "settings")
)


def for_customer(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Lines as a customer reads them: what is printed, not what the material costs the shop nor how it is filed; time
    and mass are those that the price is of, corrected or not."""
    return [
        {**item, "details": _for_customer(item["details"])} if item["details"] else item for item in items
    ]


def _for_customer(details: dict[str, Any]) -> dict[str, Any]:
    shown = {key: value for key, value in details.items() if key in CUSTOMERS_DETAILS}
    if "correctedTimeSec" in details:
        mass_mg = details["correctedMassMg"]
        shown |= {"timeSec": details["correctedTimeSec"], "massMg": mass_mg, "grams": mass_mg / 1000}
    return shown


def lot(name: str, pieces: int, material: str | None, *, fast_track: bool = False) -> str:
    """A printed line's description. Set-up and minimum belong to the lot, so the lot is what is sold, once."""
    count = "1 piece" if pieces == 1 else f"{pieces} pieces"
    made_of = f" in {material}" if material else ""
    return f"3D print of {name}, {count}{made_of}{', fast track' if fast_track else ''}"


def named_slices(body: Any) -> Sequence[dict[str, str]]:
    """The slices that an unvalidated request names, as the database looks them up; what is malformed is left out,
    for the request is refused anyway."""
    items = body.get("items") if isinstance(body, dict) else None
    named = [item.get("print") for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    return [
        {"file": str(each.get("fileId")), "settingsHash": str(each.get("settingsHash"))}
        for each in named[:200]
        if isinstance(each, dict)
    ]
