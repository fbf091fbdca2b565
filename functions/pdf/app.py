"""PDF: quotes, invoices, receipts and statements, each to whom it belongs; the shop may have them made anew."""

from datetime import date
from functools import lru_cache
from typing import Annotated, Any

from fastapi import Query, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse
from pydantic import Field

from printshop.adapters.chromium.renderer import GATEWAY_LIMIT
from printshop.documents.archive import read_sent
from printshop.documents.factory import make_pdf_service
from printshop.documents.loaders import read_invoice, read_quote, read_receipt, read_statement
from printshop.documents.service import PDF_TYPE, Pdf, PdfService, stored_url
from printshop.http.app import create_app, lambda_handler
from printshop.http.dependencies import AdminUser, ClientOrAdmin, ServicesDep
from printshop.http.errors import error_responses
from printshop.http.parameters import RowId
from printshop.kernel.base_model import Data, StrictModel
from printshop.services import Services, get_services

app = create_app("PDF")
handler = lambda_handler(app)


Day = Annotated[date, Field(ge=date(2000, 1, 1), le=date(2100, 1, 1))]
"""Of a statement. Near the year 1, a year before it is none that Python can read."""

First = Annotated[
    Day | None,
    Query(alias="from", description="First day, from 2000-01-01 on; by default a year before the last"),
]
Last = Annotated[
    Day | None, Query(alias="to", description="Last day, included, up to 2100-01-01; by default today")
]

AsSent = Annotated[
    bool,
    Query(description="The PDF as it was last sent to the customer; by default as it stands now"),
]

MAX_ANSWER = 4 * 1024 * 1024
"""Bytes: Lambda answers 6 MB, of which base64 takes a quarter. A larger PDF is fetched from storage."""


RENDERER_DOWN = ("503 RENDERER_UNAVAILABLE", "503 RENDER_FAILED")


class Deleted(StrictModel):
    """Whether a PDF was kept."""

    deleted: bool


class PdfFile(Response):
    """The PDF itself, or 302 to it in storage when it is above 4 MB."""

    media_type = PDF_TYPE


@lru_cache(maxsize=1)
def _pdf_service() -> PdfService:
    """The process's one browser; it starts with the first document."""
    services = get_services()
    return make_pdf_service(services.settings, services.database, services.storage, time_limit=GATEWAY_LIMIT)


SENT = ("409 NOT_SENT", "404 FILE_NOT_FOUND")


def _paper(*causes: str) -> dict[int | str, dict[str, Any]]:
    return {302: {"description": "The PDF is large: fetch it from storage"}} | error_responses(
        *causes, *RENDERER_DOWN
    )


@app.get(
    "/api/invoices/{id}/pdf",
    tags=["PDF"],
    response_class=PdfFile,
    responses=_paper("404 INVOICE_NOT_FOUND", *SENT),
)
async def invoice_pdf(
    id: RowId, user: ClientOrAdmin, services: ServicesDep, sent: AsSent = False
) -> Response:
    """The invoice as a PDF, as it stands now or as it was sent."""
    if sent:
        kept = await run_in_threadpool(read_sent, services.database, services.storage, user, "invoice", id)
        return _answer(services, kept)
    invoice, business = await run_in_threadpool(read_invoice, services.database, services.settings, user, id)
    return _answer(services, await _pdf_service().invoice_pdf(invoice, business))


@app.get(
    "/api/quotes/{id}/pdf",
    tags=["PDF"],
    response_class=PdfFile,
    responses=_paper("404 QUOTE_NOT_FOUND", *SENT),
)
async def quote_pdf(id: RowId, user: ClientOrAdmin, services: ServicesDep, sent: AsSent = False) -> Response:
    """The quote as a PDF, as it stands now or as it was sent."""
    if sent:
        kept = await run_in_threadpool(read_sent, services.database, services.storage, user, "quote", id)
        return _answer(services, kept)
    quote, business = await run_in_threadpool(read_quote, services.database, services.settings, user, id)
    return _answer(services, await _pdf_service().quote_pdf(quote, business))


@app.get(
    "/api/invoices/{id}/receipt.pdf",
    tags=["PDF"],
    response_class=PdfFile,
    responses=_paper("404 INVOICE_NOT_FOUND", "409 NOT_PAID"),
)
async def invoice_receipt(id: RowId, user: ClientOrAdmin, services: ServicesDep) -> Response:
    """The receipt of an invoice, for what was paid of it so far."""
    receipt, business = await run_in_threadpool(read_receipt, services.database, user, id)
    return _answer(services, await _pdf_service().receipt_pdf(receipt, business))


@app.get(
    "/api/clients/{id}/statement.pdf",
    tags=["PDF"],
    response_class=PdfFile,
    responses=_paper("404 CLIENT_NOT_FOUND", "422 PERIOD_REVERSED", "422 STATEMENT_TOO_LONG"),
)
async def client_statement(
    id: RowId, user: ClientOrAdmin, services: ServicesDep, first: First = None, last: Last = None
) -> Response:
    """A client's account from day to day, an account a currency: invoices, payments, refunds, credits, and the age of
    what is owed at the end."""
    statement, business = await run_in_threadpool(read_statement, services.database, user, id, first, last)
    return _answer(services, await _pdf_service().statement_pdf(statement, business))


@app.delete("/api/invoices/{id}/pdf", tags=["PDF"], responses=error_responses("404 INVOICE_NOT_FOUND"))
async def delete_invoice_pdf(id: RowId, admin: AdminUser, services: ServicesDep) -> Data[Deleted]:
    """Forget the stored PDF and the receipt; the next reader has them made anew."""
    invoice, _ = await run_in_threadpool(read_invoice, services.database, services.settings, admin, id)
    return Data(data=Deleted(deleted=await _pdf_service().delete("invoice", invoice.number)))


@app.delete("/api/quotes/{id}/pdf", tags=["PDF"], responses=error_responses("404 QUOTE_NOT_FOUND"))
async def delete_quote_pdf(id: RowId, admin: AdminUser, services: ServicesDep) -> Data[Deleted]:
    """Forget the stored PDF; the next reader has it made anew."""
    quote, _ = await run_in_threadpool(read_quote, services.database, services.settings, admin, id)
    return Data(data=Deleted(deleted=await _pdf_service().delete("quote", quote.number)))


def _answer(services: Services, pdf: Pdf) -> Response:
    if len(pdf.contents) > MAX_ANSWER:
        return RedirectResponse(
            stored_url(services.storage, pdf, services.settings.download_url_seconds), 302
        )
    disposition = f'inline; filename="{pdf.filename}"'
    return PdfFile(pdf.contents, headers={"Content-Disposition": disposition})
