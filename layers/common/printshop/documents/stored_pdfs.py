"""Stored PDFs: `{quote|invoice}-{number}.pdf`, made again whenever they are missing."""

from collections.abc import Mapping

from printshop.adapters.storage.objects import PDFS, Storage


def upload_pdf(
    storage: Storage,
    filename: str,
    contents: bytes,
    content_type: str = "application/pdf",
    metadata: Mapping[str, str] | None = None,
) -> str:
    """Store a PDF, over an older one of its name; its storage key."""
    return storage.upload(PDFS, filename, contents, content_type, metadata=metadata)


def get_pdf_signed_url(storage: Storage, filename: str, seconds: int) -> str:
    return storage.signed_url(PDFS, filename, seconds, filename)


def delete_pdf(storage: Storage, filename: str) -> bool:
    """Remove a stored PDF; False when there was none."""
    return storage.delete(PDFS, [filename]) > 0


def list_pdfs(storage: Storage, prefix: str = "") -> list[str]:
    """Names of stored PDFs that begin with `prefix`, such as "invoice-"."""
    return sorted(key for key, _ in storage.list_keys(PDFS) if key.startswith(prefix))
