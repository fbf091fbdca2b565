"""Object keys: ASCII, short, without a way out of their folder. The name itself is kept verbatim in the row."""

import hashlib
import re
import unicodedata
from pathlib import PurePath
from uuid import UUID, uuid4

MAX_NAME = 100


def safe_name(filename: str) -> str:
    """`filename` as a key's last part: "Ünder käse.STL" becomes "Under_kase.stl"."""
    path = PurePath(filename.replace("\\", "/").split("/")[-1])
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", _ascii(path.stem)).strip("_") or "file"
    suffix = re.sub(r"[^a-z0-9.]", "", _ascii(path.suffix).lower())[:20]
    return stem[: MAX_NAME - len(suffix)] + suffix


def _ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def tmp_key(user_id: int, filename: str, folder: UUID | None = None) -> str:
    """`{userId}/{uuid}/{filename}`"""
    return f"{user_id}/{folder or uuid4()}/{safe_name(filename)}"


def order_key(client_id: int, folder: UUID, filename: str) -> str:
    """`{clientId}/{uuid}/{filename}`"""
    return f"{client_id}/{folder}/{safe_name(filename)}"


def attachment_key(invoice_id: int, filename: str, *, mark: str = "") -> str:
    """`{invoiceId}/{filename}`; `mark`, before the extension, tells it from another of that name."""
    name = PurePath(safe_name(filename))
    return f"{invoice_id}/{name.stem}-{mark}{name.suffix}" if mark else f"{invoice_id}/{name}"


def pdf_filename(kind: str, number: str) -> str:
    """`invoice-INV-0001.pdf`: its name for people and its key in the `pdfs` bucket.

    A prefix is the business's own choice; what is not safe in a file name becomes `_`.
    """
    return f"{kind}-{re.sub(r'[^A-Za-z0-9._-]', '_', number)}.pdf"


def sent_pdf_key(filename: str, contents: bytes) -> str:
    """`sent/invoice-INV-0001-3f786850e387.pdf`: its key as it went out, which no other contents ever have."""
    return f"sent/{PurePath(filename).stem}-{hashlib.sha256(contents).hexdigest()[:12]}.pdf"


def pdf_filenames(kind: str, number: str) -> list[str]:
    """Of all papers that are kept of an `invoice` or a `quote`."""
    papers = ("invoice", "receipt") if kind == "invoice" else (kind,)
    return [pdf_filename(paper, number) for paper in papers]
