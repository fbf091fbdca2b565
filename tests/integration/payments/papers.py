"""What a customer receives: the text of an invoice's PDF and of the mail that brought it."""

import io
import time
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any
from uuid import uuid4

import pypdf

from devstack.aws import Aws
from tests.conftest import Client
from tests.support.invoices import keyed

SECONDS = 60


def paper_text(client: Client, invoice: dict[str, Any]) -> str:
    """The text of the invoice's PDF, and the addresses that it links to."""
    response = client.get(f"invoices/{invoice['id']}/pdf")
    assert response.status_code == 200, response.text
    pages = pypdf.PdfReader(io.BytesIO(response.content)).pages
    links = [
        str(note.get_object()["/A"]["/URI"])
        for page in pages
        for note in page.get("/Annots") or []
        if "/A" in note.get_object()
    ]
    return " ".join(" ".join([*(page.extract_text() for page in pages), *links]).split())


def mail_text(aws: Aws, shop: Client, invoice: dict[str, Any]) -> str:
    """Send the invoice by e-mail; the mail's plain text."""
    address = f"{uuid4().hex[:12]}@example.com"
    shop.data("POST", f"invoices/{invoice['id']}/send", {"to": address}, headers=keyed())
    deadline = time.monotonic() + SECONDS
    while True:
        for file in aws.mails():
            mail = message_from_bytes(file.read_bytes(), policy=default)
            if isinstance(mail, EmailMessage) and address in str(mail["To"]):
                part = mail.get_body(("plain",))
                assert part is not None
                return " ".join(str(part.get_content()).split())
        assert time.monotonic() < deadline, f"no mail after {SECONDS} s"
        time.sleep(0.05)
