"""Slice requests: decided, committed, then sent; one whose figures are known is answered at once."""

from typing import Annotated, Any

from pydantic import Field

from printshop.adapters.database import Database
from printshop.adapters.queues import Lane, SliceQueue
from printshop.files.model_report import (
    USUAL_SETTINGS,
    ModelReport,
    chosen_printer,
    printer_fits,
    report,
    topology_of,
)
from printshop.files.slicing_context import SlicedMaterial, SlicedPrinter, SlicingContext
from printshop.files.tmp_files import StoredTmpFile, TmpFile
from printshop.geometry.dimensions import Box, Geometry
from printshop.geometry.fit import Fit
from printshop.kernel.base_model import CamelModel, StrictModel
from printshop.kernel.errors import NotFound, Unavailable, Unprocessable
from printshop.kernel.log import get_logger
from printshop.slicing.inspection import MeshTopology
from printshop.slicing.profiles import check_layer_height, profile_digest
from printshop.slicing.settings import SliceSettings, settings_hash

WAITING_LIMIT = 10
"""Slices that one user may have waiting or running."""
LARGE_TRIANGLES = 500_000
LARGE_BOX_MM3 = 5_000_000
"""A model beyond either keeps the slicer for minutes, not seconds. The box counts at layers of 0.2 mm."""

UNMEASURED = Geometry(
    triangles=0, box=Box(x=0, y=0, z=0), volume_mm3=0, area_mm2=0, is_inverted=False, unit=None
)
"""What has not been measured is refused by the database; until then it fits everywhere."""

log = get_logger()


class SliceFile(SliceSettings):
    """The seed's body: which file (its id or storage key) and how it is to be printed."""

    id: (
        Annotated[int, Field(ge=1, le=2**53, examples=[12])]
        | Annotated[str, Field(max_length=300, pattern=r"^[\x21-\x7e]+$")]
    )
    filename: Annotated[str | None, Field(max_length=255)] = None

    @property
    def settings(self) -> SliceSettings:
        return SliceSettings(**{name: getattr(self, name) for name in SliceSettings.model_fields})


class SliceRequest(StrictModel):
    """`materialId` defaults to the shop's; `printerId` to the smallest active printer that the model fits and
    whose nozzle lays such layers (of all printers, while none is active)."""

    file: SliceFile
    material_id: Annotated[int | None, Field(ge=1, le=2**53)] = None
    printer_id: Annotated[int | None, Field(ge=1, le=2**53)] = None


class SliceFigures(CamelModel):
    """What the slicer found, of one piece."""

    mass_mg: int
    volume_mm3: Annotated[int, Field(alias="volumeMm3", examples=[12400])]
    filament_mm: Annotated[int, Field(examples=[5150])]
    time_sec: int
    slicer: Annotated[str, Field(examples=["PrusaSlicer"])]
    slicer_version: Annotated[str, Field(examples=["2.9.2"])]
    profile: Annotated[str, Field(description="Printer and material profile", examples=["generic/pla"])]
    notes: Annotated[list[str], Field(description="What was done differently than asked, and why")]


class SliceStatus(TmpFile):
    """A file and its slice. `metadata.fallback` true: the figures are a guess that is never charged."""

    place_in_queue: Annotated[int | None, Field(description="In its lane: small and large models wait apart")]
    result: SliceFigures | None
    output_id: Annotated[int | None, Field(description="The g-code's file, for GET /api/tmp-files/{id}")]
    topology: Annotated[MeshTopology | None, Field(description="Once the worker has looked at the model")]
    preview_url: Annotated[str | None, Field(examples=["/api/quick-order/files/12/preview.png"])]
    report: Annotated[ModelReport | None, Field(description="Its estimate goes when the figures come")]
    slicer_log: Annotated[
        str | None, Field(description="The slicer's last lines after a failure: the shop's to see")
    ]


def request_slice(
    database: Database, queue: SliceQueue, user_id: int, request: SliceRequest, context: SlicingContext
) -> TmpFile:
    """Queue a slice, or answer it from the cache.

    Raises NotFound, Conflict SLICE_RUNNING, Unprocessable, TooManyRequests.
    """
    settings = request.file.settings
    file, material, geometry = _named(request, context)
    places = printer_fits(context.printers, geometry, settings)
    printer = chosen_printer(places, settings)
    profile = context.profile(printer, material)
    check_layer_height(settings, profile)
    lane = queue_for(geometry, settings)
    row = database.call(
        "request_slice",
        p_user_id=user_id,
        p_file=str(file.id),
        p_settings=settings.model_dump(mode="json", by_alias=True),
        p_settings_hash=settings_hash(
            settings,
            profile,
            material_id=material.id,
            printer_id=printer.id if printer else None,
            profile_digest=profile_digest(profile),
        ),
        p_profile=profile.model_dump(mode="json", by_alias=True),
        p_material_id=material.id,
        p_printer_id=printer.id if printer else None,
        p_queue=lane,
        p_failure=_failure(places),
        p_waiting_limit=WAITING_LIMIT,
    )
    if row["queued"]:
        try:
            queue.send(row["id"], row["requestId"], lane)
        except Unavailable as error:
            # The request is committed: the janitor sends what nobody claimed, so the customer need not ask again.
            log.warn(scope="slicer.queue", message="The message was not sent yet", error=error)
    return TmpFile.model_validate(row)


def queue_for(geometry: Geometry, settings: SliceSettings) -> Lane:
    """Whether a model keeps the slicer for seconds or for minutes."""
    box = geometry.box
    volume = box.x * box.y * box.z * (settings.scale / 100) ** 3
    is_large = geometry.triangles > LARGE_TRIANGLES or volume * 0.2 / settings.layer_height > LARGE_BOX_MM3
    return "LARGE" if is_large else "SMALL"


def slice_status(
    database: Database, user_id: int, file: str, *, for_shop: bool, currency: str
) -> SliceStatus:
    """Status, progress, place in queue and figures of the user's file; of anybody's for the shop."""
    answer = database.call("slice_status", p_user_id=user_id, p_file=file, p_for_shop=for_shop)
    context = SlicingContext.model_validate(answer)
    stored = context.file
    if stored is None:
        raise NotFound("FILE_NOT_FOUND")
    geometry = stored.geometry
    said = None
    if geometry is not None:
        said = report(
            context,
            geometry,
            _settings_of(stored),
            currency,
            topology=topology_of(stored.inspection),
            printer_id=stored.printer_id,
        )
        if answer["result"]:
            said = said.model_copy(update={"estimate": None})
    return SliceStatus.model_validate(
        {
            **answer["file"],
            "placeInQueue": answer["placeInQueue"],
            "result": answer["result"],
            "outputId": answer["outputId"],
            "slicerLog": answer["slicerLog"],
            "topology": topology_of(stored.inspection),
            "previewUrl": f"/api/quick-order/files/{stored.id}/preview.png" if stored.preview_key else None,
            "report": said,
        }
    )


def _named(request: SliceRequest, context: SlicingContext) -> tuple[StoredTmpFile, SlicedMaterial, Geometry]:
    """What the request names. Raises NotFound, Unprocessable."""
    if context.file is None:
        raise NotFound("FILE_NOT_FOUND")
    if context.material is None:
        raise Unprocessable("UNKNOWN_MATERIAL", details=[{"field": "materialId"}])
    if request.printer_id and not context.printers:
        raise Unprocessable("UNKNOWN_PRINTER", details=[{"field": "printerId"}])
    return context.file, context.material, context.file.geometry or UNMEASURED


def _failure(places: list[tuple[SlicedPrinter, Fit]]) -> dict[str, Any] | None:
    """Why no printer takes the model: how far it is from fitting the largest."""
    if not places or any(place.fits for _, place in places):
        return None
    return {
        "code": "MODEL_TOO_LARGE",
        "reason": f"The model is {places[-1][1].reason}; scale it down or split it.",
    }


def _settings_of(file: StoredTmpFile) -> SliceSettings:
    asked = file.metadata.get("settings")
    return SliceSettings.model_validate(asked) if asked else USUAL_SETTINGS
