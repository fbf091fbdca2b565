"""What can be said of a model before it is sliced: where it fits, what looks wrong, about what it will take."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from printshop.files.slicing_context import SlicedPrinter, SlicingContext
from printshop.geometry.dimensions import Geometry
from printshop.geometry.fit import Fit, fit
from printshop.geometry.model_warnings import ModelWarning, find_warnings
from printshop.kernel.base_model import CamelModel
from printshop.pricing.print_price import price_print
from printshop.slicing.estimate import Range, estimate
from printshop.slicing.inspection import MeshTopology, TopologyWarning
from printshop.slicing.profiles import max_layer_height_mm
from printshop.slicing.settings import SliceSettings, Supports

USUAL_SETTINGS = SliceSettings(
    layer_height=0.2, infill=15, supports=Supports(enabled=False, pattern="normal", angle=45)
)
"""What a model is estimated by until its customer has chosen."""


class ModelEstimate(CamelModel):
    """About what one piece will take, from its geometry alone. It is no offer: the slicer's figures replace it."""

    settings: SliceSettings
    material: Annotated[str, Field(examples=["PLA"])]
    mass_mg: Range
    time_sec: Range
    price_cents: Annotated[Range, Field(description="Ex GST and shipping, in the shop's currency")]
    currency: Annotated[str, Field(examples=["AUD"])]


class ModelReport(CamelModel):
    """Of a model whose upload is complete."""

    fits: list[Fit]
    warnings: list[ModelWarning | TopologyWarning]
    estimate: ModelEstimate | None


def report(
    context: SlicingContext,
    geometry: Geometry,
    settings: SliceSettings,
    currency: str,
    *,
    topology: MeshTopology | None = None,
    printer_id: int | None = None,
) -> ModelReport:
    """The model's report at `settings`, priced in `currency` unless the shop's settings name another.

    `topology` adds its warnings, once the worker has looked at the model; `printer_id` is the chosen printer.
    """
    places = printer_fits(context.printers, geometry, settings)
    asked_for = next((printer for printer in context.printers if printer.id == printer_id), None)
    return ModelReport(
        fits=[place for _, place in places],
        warnings=[*find_warnings(geometry), *(topology.warnings if topology else [])],
        estimate=_estimate(
            context, geometry, settings, asked_for or chosen_printer(places, settings), currency
        ),
    )


def topology_of(inspection: dict[str, Any] | None) -> MeshTopology | None:
    """What the worker saw, if it could."""
    found = (inspection or {}).get("topology")
    return MeshTopology.model_validate(found) if found else None


def printer_fits(
    printers: Sequence[SlicedPrinter], geometry: Geometry, settings: SliceSettings
) -> list[tuple[SlicedPrinter, Fit]]:
    """Each printer with how the scaled model stands on it."""
    volumes = [printer.build_volume for printer in printers]
    places = fit(geometry.box, volumes, settings.scale, settings.brim_width)
    return list(zip(printers, places, strict=True))


def chosen_printer(
    places: Sequence[tuple[SlicedPrinter, Fit]], settings: SliceSettings
) -> SlicedPrinter | None:
    """The smallest that the model fits and whose nozzle lays such layers, else the smallest that it fits, else the
    largest; None of no printers. `places` come smallest first."""
    fitting = [printer for printer, place in places if place.fits]
    able = [printer for printer in fitting if settings.layer_height <= max_layer_height_mm(printer.nozzle_um)]
    if able or fitting:
        return (able or fitting)[0]
    return places[-1][0] if places else None


def _estimate(
    context: SlicingContext,
    geometry: Geometry,
    settings: SliceSettings,
    printer: SlicedPrinter | None,
    currency: str,
) -> ModelEstimate | None:
    material = context.material
    if material is None:
        return None
    guess = estimate(geometry, settings, context.profile(printer, material))

    def price(mass_mg: int, time_sec: int) -> int:
        return price_print(
            volume_mm3=mass_mg * 1000 // material.density_mg_cm3,
            time_sec=time_sec,
            pieces=1,
            material=material.rated,
            rates=context.rates.rates,
        ).total_cents

    return ModelEstimate(
        settings=settings,
        material=material.name,
        mass_mg=guess.mass_mg,
        time_sec=guess.time_sec,
        price_cents=Range(
            low=price(guess.mass_mg.low, guess.time_sec.low),
            likely=price(guess.mass_mg.likely, guess.time_sec.likely),
            high=price(guess.mass_mg.high, guess.time_sec.high),
        ),
        currency=context.rates.currency or currency,
    )
