"""PDF: quotes and invoices on paper, each to whom it belongs; the shop may have them made anew."""

from typing import Annotated

from fastapi import Path, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse

from printshop.http import AdminUser, ClientOrAdmin, Data, Model, Provided, create_app, lambda_handler
from printshop.pdf.papers import read_invoice, read_quote
from printshop.pdf.provide import pdf_service
from printshop.pdf.service import PDF_TYPE, Pdf
from printshop.services import Services
from printshop.storage import PDFS

app = create_app("PDF")
handler = lambda_handler(app)

Id = Annotated[int, Path(ge=1, le=2**53)]

MAX_ANSWER = 4 * 1024 * 1024
"""Bytes: Lambda answers 6 MB, of which base64 takes a quarter. A larger PDF is fetched from storage."""


class Deleted(Model):
    deleted: bool


@app.get("/api/invoices/{id}/pdf")
async def invoice_pdf(id: Id, user: ClientOrAdmin, services: Provided) -> Response:
    invoice, business = await run_in_threadpool(read_invoice, services.database, services.settings, user, id)
    return _answer(services, await pdf_service().invoice_pdf(invoice, business))


@app.get("/api/quotes/{id}/pdf")
async def quote_pdf(id: Id, user: ClientOrAdmin, services: Provided) -> Response:
    quote, business = await run_in_threadpool(read_quote, services.database, services.settings, user, id)
    return _answer(services, await pdf_service().quote_pdf(quote, business))


@app.delete("/api/invoices/{id}/pdf")
async def delete_invoice_pdf(id: Id, admin: AdminUser, services: Provided) -> Data[Deleted]:
    invoice, _ = await run_in_threadpool(read_invoice, services.database, services.settings, admin, id)
    return Data(data=Deleted(deleted=await pdf_service().delete("invoice", invoice.number)))


@app.delete("/api/quotes/{id}/pdf")
async def delete_quote_pdf(id: Id, admin: AdminUser, services: Provided) -> Data[Deleted]:
    quote, _ = await run_in_threadpool(read_quote, services.database, services.settings, admin, id)
    return Data(data=Deleted(deleted=await pdf_service().delete("quote", quote.number)))


def _answer(services: Services, pdf: Pdf) -> Response:
    if len(pdf.contents) > MAX_ANSWER:
        seconds = services.settings.download_url_seconds
        return RedirectResponse(
            services.storage.signed_url(PDFS, pdf.storage_key, seconds, pdf.filename), 302
        )
    disposition = f'inline; filename="{pdf.filename}"'
    return Response(pdf.contents, media_type=PDF_TYPE, headers={"Content-Disposition": disposition})
