"""PDFs as they were sent: kept beside the current one, unchangeable, for as long as the document."""

from contextlib import suppress
from typing import Literal

from printshop.accounts.users import User
from printshop.adapters.database import Database
from printshop.adapters.storage.keys import pdf_filename, sent_pdf_key
from printshop.adapters.storage.objects import PDFS, Storage
from printshop.documents.service import PDF_TYPE, Pdf
from printshop.kernel.errors import Conflict


def keep_sent(storage: Storage, pdf: Pdf) -> str:
    """Store the PDF that is about to go out; its key, which is that of its bytes. Raises Unavailable."""
    key = sent_pdf_key(pdf.filename, pdf.contents)
    with suppress(Conflict):  # these very bytes went out before
        storage.upload(PDFS, key, pdf.contents, PDF_TYPE, upsert=False)
    return key


def read_sent(
    database: Database, storage: Storage, user: User, kind: Literal["invoice", "quote"], document_id: int
) -> Pdf:
    """The PDF as it was last sent to the customer.

    Raises NotFound, also for another client's document, Conflict NOT_SENT, and Unavailable.
    """
    sent = database.call("get_sent_pdf", p_kind=kind, p_id=document_id, p_client_id=user.client_scope)
    return Pdf(
        contents=storage.download(PDFS, sent["storageKey"]),
        filename=pdf_filename(kind, sent["number"]),
        storage_key=sent["storageKey"],
        source="storage",
    )
