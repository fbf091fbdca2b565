"""The message: text and a little HTML that say the same, and the document as a PDF beside them.

What people wrote (names, numbers, the shop's message) is text everywhere: in HTML escaped, in headers on one line.
"""

from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from functools import cache
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from printshop.documents.schemas import Business, Document, Quote
from printshop.documents.service import Pdf
from printshop.documents.template import figures_of, format_abn
from printshop.mail.address import AddressRefused, mailbox, one_line

FOLDER: Final = Path(__file__).with_name("templates")


@dataclass(frozen=True, slots=True)
class Letter:
    """What a mail says, of which document, from whom and to whom.

    `identity` names the mail for ever, so that a second sending is the same message. (SES itself writes Date and
    Message-ID anew on the way out; other relays keep them.)
    """

    document: Document
    business: Business
    message: str
    sender: Address
    to: Address
    identity: str


def compose(letter: Letter, pdf: Pdf, now: datetime) -> EmailMessage:
    """The message as it goes on the wire, by `as_bytes()`: ASCII, CRLF, no line above 998 bytes."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = letter.sender
    mail["To"] = letter.to
    if reply_to := _reply_to(letter.business):
        mail["Reply-To"] = reply_to
    mail["Subject"] = one_line(f"{_title(letter.document)} from {letter.business.name}")
    mail["Date"] = now
    mail["Message-ID"] = f"<{letter.identity}@{letter.sender.domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    words = _words(letter)
    text, html = (_environment().get_template(f"mail.{kind}.j2").render(words) for kind in ("txt", "html"))
    # Quoted-printable keeps every line short, whatever was pasted into the message.
    mail.set_content(text, cte="quoted-printable")
    mail.add_alternative(html, subtype="html", cte="quoted-printable")
    mail.add_attachment(pdf.contents, maintype="application", subtype="pdf", filename=pdf.filename)
    return mail


def _title(document: Document) -> str:
    return f"{'Quote' if isinstance(document, Quote) else 'Invoice'} {document.number}"


def _reply_to(business: Business) -> Address | None:
    """The shop's own address. One that cannot be written to stops no mail."""
    try:
        return mailbox(business.email, business.name) if business.email else None
    except AddressRefused:
        return None


def _words(letter: Letter) -> dict[str, object]:
    document, business = letter.document, letter.business
    if isinstance(document, Quote):
        link, label, note = document.accept_url, "View and accept the quote", None
        day = ("Valid until", document.valid_until)
    else:
        link, label, note = document.pay_url, "Pay by card", document.pay_note
        day = ("Due", document.due_date)
    figures = figures_of(document, business)
    facts = [("Total", f"{figures.money(document.total_cents)} {figures.currency_note}".strip())]
    if not isinstance(document, Quote) and document.balance_cents != document.total_cents:
        facts.append(("Left to pay", figures.money(document.balance_cents)))
    if day[1]:
        facts.append((day[0], figures.day(day[1])))
    return {
        "greeting": f"Hello {one_line(document.client.name)},",
        "opening": f"{_title(document)} from {business.name} is attached to this mail.",
        "facts": facts,
        "message": letter.message.strip(),
        "link": link,
        "link_label": label,
        "note": note,
        "business_name": business.name,
        "business_lines": _business_lines(business),
    }


def _business_lines(business: Business) -> list[str]:
    abn = f"ABN {format_abn(business.abn)}" if business.abn else None
    address = business.address.splitlines() if business.address else []
    return [line for line in (*address, business.phone, business.email, abn) if line]


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=select_autoescape(["html.j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
