"""A worker's side of the database: claim a slice, report on it, settle it. Each call is one transaction there.

An attempt is counted when it is claimed, so that a killed worker's attempt counts; a claim lives as long as its
worker reports, and its token makes a late worker's word worthless.
"""

from collections.abc import Mapping
from typing import Any, Literal, Protocol, Self

from pydantic import BaseModel, Field, model_validator

from printshop.geometry.dimensions import Geometry
from printshop.kernel.base_model import CamelModel
from printshop.slicing.settings import PrintProfile, SliceSettings


class Rpc(Protocol):
    """What is needed of `printshop.adapters.database.Database`."""

    def call(self, function: str, /, **params: Any) -> Any: ...


class SliceMessage(CamelModel):
    """The body of a message in the slice queues: a slice that was asked for, or a model to be looked at."""

    file_id: int = Field(gt=0, le=2**53)
    task: Literal["slice", "inspect"] = "slice"
    request_id: str = Field(default="", max_length=100)

    @model_validator(mode="after")
    def _names_its_request(self) -> Self:
        if self.task == "slice" and not self.request_id:
            raise ValueError("a slice names its request")
        return self


class Claim(CamelModel):
    """The right to slice one file, for as long as it is reported on."""

    claim_token: str
    attempt: int
    file_id: int
    storage_key: str
    filename: str
    size_bytes: int
    content_hash: str
    geometry: Geometry
    settings: SliceSettings
    profile: PrintProfile
    printer: str | None
    """The printer's name, for people."""


class Busy(CamelModel):
    """Another worker holds a live claim."""

    retry_after_seconds: int


class Result(CamelModel):
    """A slice's figures (milligrams, mm³, mm, seconds), what made them, and the gzipped g-code as stored."""

    mass_mg: int
    volume_mm3: int = Field(alias="volumeMm3")
    filament_mm: int
    time_sec: int
    slicer: str
    slicer_version: str
    profile: str
    notes: list[str]
    gcode_key: str
    gcode_bytes: int


class Inspected(CamelModel):
    """A model that is to be looked at."""

    file_id: int
    storage_key: str
    filename: str
    content_hash: str


class Claims:
    """The slice queue's SQL functions, typed. Every method may raise `printshop.kernel.errors.Unavailable`."""

    def __init__(self, database: Rpc) -> None:
        self._database = database

    def claim(self, message: SliceMessage, lease_seconds: int) -> Claim | Busy | None:
        """The claim; Busy when somebody holds one; None when there is nothing left to do."""
        answer = self._database.call(
            "claim_slice",
            p_file_id=message.file_id,
            p_request_id=message.request_id,
            p_lease_seconds=lease_seconds,
        )
        if answer["outcome"] == "claimed":
            return Claim.model_validate(answer)
        if answer["outcome"] == "busy":
            return Busy.model_validate(answer)
        return None

    def report(self, claim: Claim, percent: int, stage: str, lease_seconds: int) -> bool:
        """Store the progress and renew the claim; False when it is lost and the slicer should stop."""
        answer = self._database.call(
            "report_slice_progress",
            p_file_id=claim.file_id,
            p_claim_token=claim.claim_token,
            p_percent=percent,
            p_stage=stage,
            p_lease_seconds=lease_seconds,
        )
        return bool(answer)

    def complete(self, claim: Claim, result: Result) -> Literal["stored", "surplus", "late"]:
        """Store the result. "surplus": another's g-code was there first; "late": somebody else holds the claim, and
        nothing was stored. Either way this g-code is to go."""
        answer = self._database.call(
            "complete_slice",
            p_file_id=claim.file_id,
            p_claim_token=claim.claim_token,
            p_result=_json(result),
        )
        outcome = answer["outcome"]
        return outcome if outcome in {"surplus", "late"} else "stored"

    def fail(
        self, claim: Claim, code: str, reason: str, *, final: bool, log_tail: str
    ) -> Literal["retry", "failed", "late"]:
        """Store the failure. "retry": hand the message back; otherwise the matter is settled."""
        answer = self._database.call(
            "fail_slice",
            p_file_id=claim.file_id,
            p_claim_token=claim.claim_token,
            p_code=code,
            p_reason=reason,
            p_final=final,
            p_log_tail=log_tail,
        )
        outcome = answer["outcome"]
        return outcome if outcome in {"retry", "late"} else "failed"

    def begin_inspection(self, file_id: int) -> Inspected | None:
        """The model to look at; None when that was done, or the file is gone."""
        answer = self._database.call("get_inspection_input", p_file_id=file_id)
        return Inspected.model_validate(answer) if answer else None

    def store_inspection(self, file_id: int, inspection: Mapping[str, Any], preview_key: str | None) -> bool:
        """Keep what was seen. False: it is not wanted any more, and the picture is to go."""
        answer = self._database.call(
            "store_inspection", p_file_id=file_id, p_inspection=dict(inspection), p_preview_key=preview_key
        )
        return bool(answer)

    def give_back(self, claim: Claim) -> bool:
        """Let the job go without counting the attempt; False when it was no longer ours."""
        answer = self._database.call(
            "release_slice", p_file_id=claim.file_id, p_claim_token=claim.claim_token
        )
        return bool(answer)

    def heartbeat(self, detail: Mapping[str, Any]) -> None:
        """Tell readiness that a slicer worker lives: `{"binary", "product", "version", "tmpWritable"}`."""
        self._database.call("record_heartbeat", p_component="slicer", p_detail=dict(detail))


def _json(model: BaseModel) -> dict[str, Any]:
    return model.model_dump(mode="json", by_alias=True)
