"""The janitor's round: what time, crashes and lost messages leave behind. Harmless twice."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from printshop.adapters.database import Database, DatabaseError
from printshop.adapters.queues import DeadLetters, MailQueue, SliceQueue
from printshop.adapters.storage.objects import ATTACHMENTS, ORDER_FILES, PDFS, TMP, Bucket, Storage
from printshop.kernel.errors import ApiError, Unavailable
from printshop.kernel.log import get_logger
from printshop.slicing.claims import SliceMessage

if TYPE_CHECKING:
    from printshop.adapters.stripe import StripeGateway

BATCH = 500
GCODE_RETENTION_HOURS = 30 * 24
SECONDS = 240
"""A round stops in time for its function's limit; the next one goes on."""

SWEPT: tuple[Bucket, ...] = (TMP, PDFS)
"""Buckets whose strays go; those of others are a person's to judge."""

STRIPE_SECONDS = 120
"""The reconciler's share of it."""

log = get_logger()


def make_round(
    database: Database,
    storage: Storage,
    queue: SliceQueue,
    mail_queue: Callable[[], MailQueue],
    dead_letters: Callable[[], DeadLetters],
    stripe: "Callable[[], StripeGateway] | None",
    *,
    retention_hours: int,
) -> dict[str, Any]:
    """One round; what it did, in counts. A part that cannot be reached is said and leaves the others be.

    `mail_queue` opens the mail queue, which a round without mails does not touch; `dead_letters` those of the slicer;
    `stripe` the account, if there is one.
    """
    deadline = time.monotonic() + SECONDS
    report: dict[str, Any] = {}
    for name, task in (
        ("deadLetters", lambda: settle_dead_slices(database, dead_letters())),
        ("slices", lambda: repair_slices(database, queue)),
        ("mails", lambda: resend_mails(database, mail_queue)),
        ("documents", lambda: dict(database.call("age_documents"))),
        ("expired", lambda: expire_tmp_files(database, storage, retention_hours, deadline)),
        ("gcode", lambda: expire_gcode(database, storage)),
        ("attachments", lambda: expire_attachments(database, storage)),
        ("stripe", lambda: reconcile_stripe(database, stripe, deadline)),
        ("strays", lambda: sweep_strays(database, storage, deadline)),
    ):
        try:
            report[name] = task()
        except (ApiError, DatabaseError) as error:
            log.error(scope=f"janitor.{name}", error=error)
            report[name] = {"failed": error.code if isinstance(error, ApiError) else "DATABASE"}
    database.call("record_heartbeat", p_component="janitor", p_detail=report)
    log.info(scope="janitor.round", data=report)
    return report


def repair_slices(database: Database, queue: SliceQueue) -> dict[str, Any]:
    """Settle slices whose worker is gone; send again what was committed but never taken."""
    found = database.call("requeue_slices")
    messages: list[dict[str, Any]] = found["messages"]
    for sent, message in enumerate(messages):
        try:
            queue.send_message(message)
        except Unavailable:
            # They did not go, so they do not count: the next round sends them first.
            database.call("undo_slice_sends", p_messages=messages[sent:])
            raise
    return {"settled": found["settled"], "sent": len(messages)}


def settle_dead_slices(database: Database, dead_letters: DeadLetters) -> dict[str, Any]:
    """Say of the files that the queues gave up on that they failed."""
    slices = [letter for letter in map(_slice_of, dead_letters.read()) if letter]
    settled = database.call("fail_dead_letter_slices", p_messages=slices)["settled"] if slices else 0
    return {"letters": len(slices), "settled": settled}


def _slice_of(letter: str) -> dict[str, Any] | None:
    try:
        message = SliceMessage.model_validate_json(letter)
    except ValidationError:
        return None
    return message.model_dump(by_alias=True) if message.task == "slice" else None


def resend_mails(database: Database, mail_queue: Callable[[], MailQueue]) -> dict[str, Any]:
    """Put mails into the queue again that were committed and never sent, or whose mailer is gone."""
    mail_ids = database.call("requeue_mails")["mailIds"]
    return {"sent": mail_queue().send_all(mail_ids) if mail_ids else 0}


def reconcile_stripe(
    database: Database, stripe: "Callable[[], StripeGateway] | None", deadline: float
) -> dict[str, Any]:
    """Read again at Stripe what it could not tell. Its client is imported where there is an account."""
    if stripe is None:
        return {}
    from printshop.payments.reconcile import reconcile  # noqa: PLC0415

    return reconcile(database, stripe(), min(deadline, time.monotonic() + STRIPE_SECONDS))


def expire_tmp_files(
    database: Database, storage: Storage, retention_hours: int, deadline: float
) -> dict[str, Any]:
    """Remove tmp files past retention: rows first, then their objects; what a crash leaves is a stray."""
    gone = 0
    while time.monotonic() < deadline:
        found = database.call("expire_tmp_files", p_retention_hours=retention_hours, p_limit=BATCH)
        storage.delete(TMP, found["storageKeys"])
        gone += found["files"]
        if found["files"] < BATCH:
            break
    return {"deleted": gone}


def expire_gcode(database: Database, storage: Storage) -> dict[str, Any]:
    """Forget cached g-code that nobody asked for in a month; its figures stay."""
    keys = database.call("expire_gcode", p_retention_hours=GCODE_RETENTION_HOURS, p_limit=BATCH)[
        "storageKeys"
    ]
    storage.delete(TMP, keys)
    return {"deleted": len(keys)}


def expire_attachments(database: Database, storage: Storage) -> dict[str, Any]:
    """Remove attachments whose upload was never completed, once their upload URLs are dead."""
    keys = database.call("expire_attachments", p_limit=BATCH)["storageKeys"]
    storage.delete(ATTACHMENTS, keys)
    return {"deleted": len(keys)}


def sweep_strays(database: Database, storage: Storage, deadline: float) -> dict[str, Any]:
    """Objects that no row knows: tmp ones and PDFs go at the second look, 48 hours after the first; others, which
    nobody could make again, are flagged."""
    buckets = (TMP, ORDER_FILES, ATTACHMENTS, PDFS)
    return {bucket: _sweep(database, storage, bucket, deadline) for bucket in buckets}


def _sweep(database: Database, storage: Storage, bucket: Bucket, deadline: float) -> dict[str, int]:
    strays = deleted = 0
    page: list[str] = []

    def look(keys: list[str]) -> tuple[int, int]:
        noted = database.call("record_stray_objects", p_bucket=bucket, p_keys=keys)
        ripe = noted["ripe"] if bucket in SWEPT else []
        if ripe:
            storage.delete(bucket, ripe)
            database.call("forget_stray_objects", p_bucket=bucket, p_keys=ripe)
        return noted["strays"], len(ripe)

    for key, _ in storage.list_keys(bucket):
        page.append(key)
        if len(page) == BATCH:
            found, gone = look(page)
            strays, deleted, page = strays + found, deleted + gone, []
        if time.monotonic() > deadline:
            break
    if page:
        found, gone = look(page)
        strays, deleted = strays + found, deleted + gone
    if strays and bucket not in SWEPT:
        log.warn(
            scope="janitor.mismatch",
            message="Objects without a row",
            data={"bucket": bucket, "count": strays},
        )
    return {"strays": strays, "deleted": deleted}
