"""A worker's side of the database: claim a slice, report on it, settle it. Each call is one transaction there.

An attempt is counted when it is claimed, so that a killed worker's attempt counts; a claim lives for its lease,
and its token makes a late worker's word worthless.
"""

from collections.abc import Mapping
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from printshop.slicing.settings import SliceSettings


class Rpc(Protocol):
    """What is needed of `printshop.database.Database`."""

    def call(self, function: str, /, **params: Any) -> Any: ...


class _Camel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class SliceMessage(_Camel):
    """The body of a message in the slice queue."""

    model_config = ConfigDict(extra="ignore")

    file_id: int = Field(gt=0)
    request_id: str = Field(min_length=1, max_length=100)


class Claim(_Camel):
    """The right to slice one file for one lease."""

    claim_token: str
    attempt: int
    file_id: int
    user_id: int
    storage_key: str
    filename: str
    size_bytes: int
    settings: SliceSettings
    settings_hash: str
    density_mg_cm3: int = Field(alias="densityMgCm3")


class Busy(_Camel):
    """Another worker holds a live claim."""

    retry_after_seconds: int


class Output(_Camel):
    """The g-code as stored in the tmp bucket; it becomes a tmp file of its own."""

    storage_key: str
    filename: str
    size_bytes: int
    mime_type: str = "text/x-gcode"


class Result(_Camel):
    """A slice's figures: milligrams, mm³, mm, seconds; the model's SHA-256; what made them."""

    mass_mg: int
    volume_mm3: int = Field(alias="volumeMm3")
    filament_mm: int
    time_sec: int
    content_hash: str
    slicer: str
    slicer_version: str
    profile: str
    notes: list[str]


class Claims:
    """The slice queue's SQL functions, typed. Every method may raise `printshop.errors.Unavailable`."""

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

    def report(self, claim: Claim, percent: int, stage: str) -> bool:
        """Store the progress; False when the claim is lost and the slicer should stop."""
        answer = self._database.call(
            "report_slice_progress",
            p_file_id=claim.file_id,
            p_claim_token=claim.claim_token,
            p_percent=percent,
            p_stage=stage,
        )
        return bool(answer)

    def complete(self, claim: Claim, result: Result, output: Output) -> Literal["stored", "late"]:
        """Store the result and its g-code; "late" when somebody else holds the claim, and nothing was stored."""
        answer = self._database.call(
            "complete_slice",
            p_file_id=claim.file_id,
            p_claim_token=claim.claim_token,
            p_result=_json(result),
            p_output=_json(output),
        )
        return "late" if answer["outcome"] == "late" else "stored"

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

    def heartbeat(self, detail: Mapping[str, Any]) -> None:
        """Tell readiness that a slicer worker lives: `{"binary", "version", "tmpWritable"}`."""
        self._database.call("record_heartbeat", p_component="slicer", p_detail=dict(detail))


def _json(model: BaseModel) -> dict[str, Any]:
    return model.model_dump(mode="json", by_alias=True)
