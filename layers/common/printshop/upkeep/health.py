"""Is everything there? Readiness proves each part by using it; nothing is taken from configuration alone."""

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

from pydantic import BaseModel, Field

from printshop.adapters.database import Database, DatabaseError
from printshop.adapters.storage.objects import BUCKETS, Bucket, Storage
from printshop.config.settings import Settings, SettingsError
from printshop.kernel.base_model import CamelModel
from printshop.kernel.errors import ApiError
from printshop.kernel.log import get_logger
from printshop.payments.events import StripeProvider

if TYPE_CHECKING:
    from printshop.adapters.queues import MailQueue, SliceQueue

STALE_AFTER_SECONDS = {"janitor": 30 * 60}
"""The janitor comes every ten minutes; slicer and browser report when they start, so theirs may be old."""

log = get_logger()


class Part(CamelModel, extra="allow"):
    """What was found of one part. Besides these, what its heartbeat tells, such as the janitor's counts."""

    ok: bool
    ms: Annotated[int | None, Field(description="How long the try took", examples=[4])] = None
    reason: Annotated[str | None, Field(description="Why it is broken, or was not tried")] = None
    migrated: Annotated[bool | None, Field(description="database: the schema is there")] = None
    deleted: Annotated[bool | None, Field(description="storage: what was uploaded went again")] = None
    waiting: Annotated[int | None, Field(description="queue and mailQueue: messages", examples=[0])] = None
    livemode: Annotated[bool | None, Field(description="stripe: the key takes real money")] = None
    age_seconds: Annotated[int | None, Field(description="Since the heartbeat", examples=[120])] = None
    binary: Annotated[str | None, Field(examples=["/usr/bin/prusa-slicer"])] = None
    version: Annotated[str | None, Field(examples=["2.9.2"])] = None
    tmp_writable: bool | None = None


class Readiness(BaseModel):
    """`ready` when no part that takes requests is broken."""

    ready: bool
    parts: Annotated[dict[str, Part], Field(examples=[{"database": {"ok": True, "ms": 4, "migrated": True}}])]


def readiness(
    database: Database,
    storage: Storage,
    settings: Settings,
    *,
    queue: "Callable[[], SliceQueue]",
    mail_queue: "Callable[[], MailQueue]",
    stripe: StripeProvider,
) -> Readiness:
    """Try every part. Queues and Stripe are made within their checks: one that is not set up is a broken part."""
    schema = _check(lambda: dict(database.call("readiness")))
    schema["ok"] = schema["ok"] and schema.get("migrated", False)
    beats = schema.pop("components", None)
    parts: dict[str, dict[str, Any]] = {
        "database": schema,
        **{f"storage.{bucket}": _check(partial(_try_bucket, storage, bucket)) for bucket in BUCKETS},
        "queue": _check(lambda: {"waiting": queue().depth()}),
        "mailQueue": _check(lambda: {"waiting": mail_queue().depth()}),
        "stripe": _check_stripe(settings, stripe),
        "webhook": {"ok": bool(settings.webhook_secret) or not settings.stripe_key},
    }
    if beats is not None:
        parts |= _components(beats)
    return Readiness.model_validate({"ready": all(part["ok"] for part in parts.values()), "parts": parts})


def _check(probe: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    started = time.perf_counter()
    try:
        found = {"ok": True, **probe()}
    except (ApiError, SettingsError, DatabaseError) as error:
        log.warn(scope="health.check", error=error)
        reason = error.message if isinstance(error, ApiError) else "It is not set up; see the log."
        found = {"ok": False, "reason": reason}
    return {**found, "ms": round((time.perf_counter() - started) * 1000)}


def _try_bucket(storage: Storage, bucket: Bucket) -> dict[str, Any]:
    key = f"health/{uuid4()}.pdf"  # the pdfs bucket takes nothing else
    storage.upload(bucket, key, b"%PDF-1.4 health\n", "application/pdf")
    deleted = storage.delete(bucket, [key]) == 1
    return {"ok": deleted, "deleted": deleted}


def _check_stripe(settings: Settings, stripe: StripeProvider) -> dict[str, Any]:
    if not settings.stripe_key:
        return {
            "ok": settings.app_env == "development",
            "reason": "No Stripe key: no card payments.",
        }
    return _check(lambda: {"livemode": stripe().check_key()})


def _components(beats: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Heartbeats: slicer and pdf write binary, version and whether their temp folder is writable."""
    parts: dict[str, dict[str, Any]] = {}
    for name in ("slicer", "pdf", "janitor"):
        beat = beats.get(name)
        if beat is None:
            # Nothing has run yet: not a fault, for a function starts with its first request.
            parts[name] = {"ok": True, "reason": "It has not started yet."}
        else:
            fresh = beat["ageSeconds"] <= STALE_AFTER_SECONDS.get(name, beat["ageSeconds"])
            whole = beat.get("tmpWritable", True) and beat.get("binary", "") is not None
            parts[name] = {"ok": fresh and whole, **beat}
    return parts
