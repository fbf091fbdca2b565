"""The use case: the PDF of a document, from the local cache, from storage, or printed now.

service = PdfService(renderer, storage, PdfCache(cache_folder(settings.pdf_cache_dir)))
pdf = await service.invoice_pdf(invoice, business)
"""

import asyncio
import hashlib
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Final, Literal, Protocol

from printshop.adapters.storage.keys import pdf_filenames
from printshop.adapters.storage.objects import ORDER_FILES, PDFS, Bucket, ObjectInfo
from printshop.documents.cache import PdfCache
from printshop.documents.metadata import describe
from printshop.documents.schemas import (
    Business,
    Document,
    Invoice,
    Paper,
    Quote,
    Receipt,
    Statement,
    pdf_filename,
)
from printshop.documents.template import render_html, template_version
from printshop.kernel.errors import ApiError, NotFound, Unavailable
from printshop.kernel.log import get_logger

STORAGE_LIMIT: Final = 6.0
"""Seconds that a PDF waits for storage; without it, it is printed and served all the same."""

PICTURES: Final = 40
PICTURE_BYTES: Final = 2_500_000
"""So many pictures of models are shown at most, and of so many bytes: a PDF has to go through the gateway."""

PDF_TYPE: Final = "application/pdf"

_DATE: Final = re.compile(rb"/(CreationDate|ModDate) \(D:\d{14}")

log = get_logger()


class PdfPrinter(Protocol):
    """Prints HTML; `version` is part of the cache key, `prepare` says that a document is on its way.
    printshop.adapters.chromium.renderer.Renderer is one."""

    @property
    def version(self) -> str: ...

    def prepare(self) -> None: ...

    async def pdf(self, html: str) -> bytes: ...


class PdfStore(Protocol):
    """The part of printshop.adapters.storage.objects.Storage that PDFs need."""

    def info(self, bucket: Bucket, key: str) -> ObjectInfo: ...

    def download(self, bucket: Bucket, key: str) -> bytes: ...

    def upload(
        self,
        bucket: Bucket,
        key: str,
        contents: bytes,
        content_type: str | None = None,
        *,
        upsert: bool = True,
        metadata: Mapping[str, str] | None = None,
    ) -> str: ...

    def delete(self, bucket: Bucket, keys: Iterable[str]) -> int: ...


class PdfShelf(Protocol):
    """The part of printshop.adapters.storage.objects.Storage that hands a PDF out by its address."""

    def info(self, bucket: Bucket, key: str) -> ObjectInfo: ...

    def signed_url(self, bucket: Bucket, key: str, seconds: int, filename: str | None = None) -> str: ...

    def upload(
        self,
        bucket: Bucket,
        key: str,
        contents: bytes,
        content_type: str | None = None,
        *,
        metadata: Mapping[str, str] | None = None,
    ) -> str: ...


@dataclass(frozen=True, slots=True)
class Pdf:
    """A finished PDF. `storage_key` is its key in the `pdfs` bucket, where it stands unless storage was down or it is
    one that is not kept."""

    contents: bytes
    filename: str
    storage_key: str
    source: Literal["cache", "storage", "rendered"]
    digest: str = ""
    """Of what it was made of; empty where that is not known any more, or something is missing."""


class PdfService:
    """Makes, keeps and forgets PDFs. An unchanged document never starts a browser."""

    def __init__(
        self, printer: PdfPrinter, store: PdfStore, cache: PdfCache, *, storage_limit: float = STORAGE_LIMIT
    ) -> None:
        self._printer = printer
        self._store = store
        self._cache = cache
        self._storage_limit = storage_limit

    async def pdf(self, document: Document, business: Business) -> Pdf:
        """A quote's or an invoice's. Raises Unavailable when it has to be printed and cannot be."""
        return await self._pdf(document, business)

    async def invoice_pdf(self, invoice: Invoice, business: Business) -> Pdf:
        """`invoice-{number}.pdf`. Raises Unavailable when it has to be printed and cannot be."""
        return await self._pdf(invoice, business)

    async def receipt_pdf(self, receipt: Receipt, business: Business) -> Pdf:
        """`receipt-{number}.pdf`. Raises Unavailable when it has to be printed and cannot be."""
        return await self._pdf(receipt, business)

    async def quote_pdf(self, quote: Quote, business: Business) -> Pdf:
        """`quote-{number}.pdf`. Raises Unavailable when it has to be printed and cannot be."""
        return await self._pdf(quote, business)

    async def statement_pdf(self, statement: Statement, business: Business) -> Pdf:
        """`statement-{clientId}-{from}-{to}.pdf`, which is not kept in storage: tomorrow's is another one.

        Raises Unavailable when it has to be printed and cannot be.
        """
        filename = pdf_filename(statement.kind, statement.number)
        digest = input_hash(statement, business, self._printer.version)
        if (cached := self._cache.get(filename, digest)) is not None:
            return self._answer(cached, filename, digest, "cache")
        self._printer.prepare()
        contents = await self._printed(statement, business, {})
        self._cache.put(filename, digest, contents)
        return self._answer(contents, filename, digest, "rendered")

    async def delete(self, kind: Literal["invoice", "quote"], number: str) -> bool:
        """Forget a document's PDF, and an invoice's receipt, cached and stored; False when none was stored.

        Raises Unavailable when storage does not answer.
        """
        filenames = pdf_filenames(kind, number)
        for filename in filenames:
            self._cache.remove(filename)
        return await asyncio.to_thread(self._store.delete, PDFS, filenames) > 0

    async def _pdf(self, document: Document | Receipt, business: Business) -> Pdf:
        filename = pdf_filename(document.kind, document.number)
        digest = input_hash(document, business, self._printer.version)
        if (cached := self._cache.get(filename, digest)) is not None:
            return self._answer(cached, filename, digest, "cache")
        stored, storage_answers = await self._stored(filename, digest)
        if stored is not None:
            self._cache.put(filename, digest, stored)
            return self._answer(stored, filename, digest, "storage")
        self._printer.prepare()
        pictures, complete = await self._pictures(document) if storage_answers else ({}, False)
        contents = await self._printed(document, business, pictures)
        if document.picture_keys and not complete:
            return self._answer(
                contents, filename, "", "rendered"
            )  # printed anew tomorrow, with its pictures
        self._cache.put(filename, digest, contents)
        if storage_answers:
            await self._keep(filename, digest, contents)
        return self._answer(contents, filename, digest, "rendered")

    async def _pictures(self, document: Document | Receipt) -> tuple[dict[str, bytes], bool]:
        """The models' pictures by their files' ids, as many as fit, and whether all that belong there came."""
        wanted = list(document.picture_keys.items())[:PICTURES]
        got = await asyncio.gather(
            *(self._limited(partial(self._store.download, ORDER_FILES, key)) for _, key in wanted),
            return_exceptions=True,
        )
        pictures: dict[str, bytes] = {}
        complete, room = True, PICTURE_BYTES
        for (file, key), picture in zip(wanted, got, strict=True):
            if isinstance(picture, bytes):
                room -= len(picture)
                if room >= 0:
                    pictures[file] = picture
            elif isinstance(picture, ApiError | TimeoutError):
                # One that is gone stays gone; one that did not answer may come.
                complete = complete and isinstance(picture, NotFound)
                log.warn(scope="pdf.picture", error=picture, data={"key": key})
            else:
                raise picture
        return pictures, complete

    async def _printed(self, document: Paper, business: Business, pictures: Mapping[str, bytes]) -> bytes:
        started = time.monotonic()
        contents = await self._printer.pdf(render_html(document, business, pictures))
        data = {
            "document": document.number,
            "bytes": len(contents),
            "ms": round((time.monotonic() - started) * 1000),
        }
        log.info(scope="pdf.render", message="PDF printed", data=data)
        return describe(pin_dates(contents, document.issue_date), document, business, document.issue_date)

    async def _stored(self, key: str, digest: str) -> tuple[bytes | None, bool]:
        """The stored PDF if it was made from these inputs, and whether storage answers at all.

        Looked at and fetched at once, for mostly it is as it was, and a second request would be a second wait.
        """
        fetching = asyncio.ensure_future(self._limited(lambda: self._store.download(PDFS, key)))
        fetching.add_done_callback(_retrieved)
        try:
            info = await self._limited(lambda: self._store.info(PDFS, key))
            contents = await fetching if info.metadata.get("hash") == digest else None
            # Replaced between the two, it is of other inputs.
            return contents if contents is not None and len(contents) == info.size else None, True
        except NotFound:
            return None, True
        except (ApiError, TimeoutError) as error:
            log.warn(scope="pdf.storage", message="Storage was not read", error=error, data={"key": key})
            return None, not isinstance(error, Unavailable | TimeoutError)

    async def _keep(self, key: str, digest: str, contents: bytes) -> None:
        try:
            await self._limited(
                lambda: self._store.upload(
                    PDFS, key, contents, PDF_TYPE, upsert=True, metadata={"hash": digest}
                )
            )
        except (ApiError, TimeoutError) as error:
            log.warn(scope="pdf.storage", message="The PDF was not stored", error=error, data={"key": key})

    async def _limited[Answer](self, request: Callable[[], Answer]) -> Answer:
        return await asyncio.wait_for(asyncio.to_thread(request), self._storage_limit)

    def _answer(
        self, contents: bytes, filename: str, digest: str, source: Literal["cache", "storage", "rendered"]
    ) -> Pdf:
        log.info(scope="pdf.serve", data={"file": filename, "source": source, "bytes": len(contents)})
        return Pdf(contents=contents, filename=filename, storage_key=filename, source=source, digest=digest)


def stored_url(storage: PdfShelf, pdf: Pdf, seconds: int) -> str:
    """A URL that downloads this very PDF for `seconds`; it is stored first where another is, or none, as when storage
    was down.

    Raises Unavailable.
    """
    if not _is_stored(storage, pdf):
        storage.upload(PDFS, pdf.storage_key, pdf.contents, PDF_TYPE, metadata={"hash": pdf.digest})
    return storage.signed_url(PDFS, pdf.storage_key, seconds, pdf.filename)


def _is_stored(storage: PdfShelf, pdf: Pdf) -> bool:
    if pdf.source == "storage":
        return True
    try:
        there = storage.info(PDFS, pdf.storage_key)
    except NotFound:
        return False
    return bool(pdf.digest) and there.metadata.get("hash") == pdf.digest


def _retrieved(fetching: asyncio.Future[bytes]) -> None:
    """Look at the outcome of what nobody waits for any more, or asyncio complains of neglect."""
    if not fetching.cancelled():
        fetching.exception()


def input_hash(document: Paper, business: Business, renderer_version: str) -> str:
    """SHA-256, in hex, of everything that a PDF depends on."""
    inputs = {
        "document": document.model_dump(mode="json"),
        "business": business.model_dump(mode="json"),
        "template": template_version(),
        "renderer": renderer_version,
    }
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def pin_dates(contents: bytes, day: date) -> bytes:
    """The same PDF, dated the day of its document instead of the moment of printing, byte for byte as long."""
    return _DATE.sub(rb"/\1 (D:" + f"{day:%Y%m%d}000000".encode(), contents)
