"""Mailer: takes the mail queue, one mail at a time, and sends the document that it names."""

import asyncio
import json
from functools import lru_cache
from typing import Any

from printshop.adapters.ses import Sender
from printshop.documents.factory import make_pdf_service
from printshop.documents.schemas import Business, Document
from printshop.documents.service import Pdf, PdfService
from printshop.kernel.errors import ApiError
from printshop.kernel.log import get_logger
from printshop.mail.outbox import Outbox
from printshop.services import get_services

log = get_logger()
get_services()


@lru_cache(maxsize=1)
def _loop() -> asyncio.Runner:
    """The one event loop of the process, for the browser belongs to one."""
    return asyncio.Runner()


_sender = lru_cache(maxsize=1)(Sender)


@lru_cache(maxsize=1)
def _pdf_service() -> PdfService:
    services = get_services()
    return make_pdf_service(services.settings, services.database, services.storage)


def _printed(document: Document, business: Business) -> Pdf:
    return _loop().run(_pdf_service().pdf(document, business))


@log.defects("mail.defect")
def handler(event: dict[str, Any], _context: Any) -> dict[str, list[dict[str, str]]]:
    """Reports the messages that have to come again."""
    services = get_services()
    outbox = Outbox(services.database, services.storage, services.settings, _printed, _sender)
    return {
        "batchItemFailures": [
            {"itemIdentifier": record["messageId"]}
            for record in event["Records"]
            if not _deliver(outbox, record)
        ]
    }


def _deliver(outbox: Outbox, record: dict[str, Any]) -> bool:
    log.begin(record["messageId"])
    try:
        return outbox.deliver(int(json.loads(record["body"])["mailId"]))
    except ApiError as error:
        log.warn(scope="mail.unavailable", error=error)
        return False
