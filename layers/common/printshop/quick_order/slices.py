"""Slice requests: committed first, then sent; a sent-less one is sent again by the janitor."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from printshop.database import Database
from printshop.errors import Unavailable
from printshop.http.envelope import Model
from printshop.log import get_logger
from printshop.queue import SliceQueue
from printshop.slicing.settings import DEFAULT_PROFILE, SliceSettings, canonical_json
from printshop.storage.tmp_files import TmpFile

WAITING_LIMIT = 10
"""Slices that one user may have waiting or running."""

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
        return SliceSettings(layer_height=self.layer_height, infill=self.infill, supports=self.supports)


class SliceRequest(Model):
    """`materialId` defaults to the shop's."""

    file: SliceFile
    material_id: Annotated[int | None, Field(ge=1, le=2**53)] = None


class SliceFigures(BaseModel):
    """What the slicer found, of one piece."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    mass_mg: int
    volume_mm3: Annotated[int, Field(alias="volumeMm3", examples=[12400])]
    filament_mm: Annotated[int, Field(examples=[5150])]
    time_sec: int
    slicer: Annotated[str, Field(examples=["prusa-slicer"])]
    slicer_version: Annotated[str, Field(examples=["2.9.2"])]
    profile: Annotated[str, Field(examples=["default"])]
    notes: Annotated[list[str], Field(description="What was done differently than asked, and why")]


class SliceStatus(TmpFile):
    """A file and its slice. `metadata.fallback` true: the figures are a guess that is never charged."""

    place_in_queue: int | None = None
    result: SliceFigures | None = None
    output_id: int | None = None
    """The g-code's own file: GET /api/tmp-files/{outputId} downloads it."""


def request_slice(database: Database, queue: SliceQueue, user_id: int, request: SliceRequest) -> TmpFile:
    """Queue a slice. Raises NotFound, Conflict SLICE_RUNNING, Unprocessable, TooManyRequests."""
    settings = request.file.settings
    row = database.call(
        "request_slice",
        p_user_id=user_id,
        p_file=str(request.file.id),
        p_settings=settings.model_dump(mode="json", by_alias=True),
        p_canonical=canonical_json(settings),
        p_material_id=request.material_id,
        p_profile=DEFAULT_PROFILE,
        p_waiting_limit=WAITING_LIMIT,
    )
    try:
        queue.send(row["id"], row["requestId"])
    except Unavailable as error:
        # The request is committed: the janitor sends what nobody claimed, so the customer need not ask again.
        log.warn(scope="slicer.queue", message="The message was not sent yet", error=error)
    return TmpFile.model_validate(row)


def slice_status(database: Database, user_id: int, file: str) -> SliceStatus:
    """Status, progress, place in queue and figures of the user's file."""
    return SliceStatus.model_validate(database.call("slice_status", p_user_id=user_id, p_file=file))
