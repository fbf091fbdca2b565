"""The message as bytes: what a mail client reads, and what nobody can smuggle in."""

import re
from datetime import UTC, date, datetime
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest

from printshop.documents.schemas import Business, Client, Invoice, Quote
from printshop.documents.service import Pdf
from printshop.mail.address import AddressRefused, mailbox, named_mailbox
from printshop.mail.compose import Letter, compose

NOW = datetime(2026, 7, 3, 9, 30, tzinfo=UTC)
PDF = Pdf(b"%PDF-1.4 \x00\xff", "invoice-INV-0001.pdf", "invoice-INV-0001.pdf", "rendered")
AMOUNTS: dict[str, Any] = {
    "issue_date": date(2026, 7, 3),
    "currency": "AUD",
    "items": (),
    "subtotal_cents": 10000,
    "tax_rate_bps": 1000,
    "tax_cents": 1000,
    "total_cents": 11000,
}


def invoice(name: str = "Ada Lovelace", **changes: Any) -> Invoice:
    given = {"status": "PENDING", "balance_cents": 11000, "due_date": date(2026, 7, 10)} | changes
    return Invoice(number="INV-0001", client=Client(name=name), **AMOUNTS, **given)


def letter(document: Invoice | Quote | None = None, **changes: Any) -> Letter:
    given: dict[str, Any] = {
        "document": document or invoice(),
        "business": Business(name="3D Print Bureau", email="office@example.com", abn="51824753556"),
        "message": "",
        "sender": named_mailbox("3D Print Bureau <shop@example.com>"),
        "to": mailbox("ada@example.com", "Ada Lovelace"),
        "identity": "4d1c8f6e",
    }
    return Letter(**(given | changes))


def sent(written: Letter, pdf: Pdf = PDF) -> EmailMessage:
    """What arrives: the message through its bytes, which are ASCII in short lines."""
    contents = compose(written, pdf, NOW).as_bytes()
    assert contents.isascii()
    assert all(len(line) <= 998 for line in contents.split(b"\r\n"))
    assert b"\n" not in contents.replace(b"\r\n", b"")
    mail = message_from_bytes(contents, policy=default)
    assert isinstance(mail, EmailMessage)
    return mail


def text_of(mail: EmailMessage, kind: str = "plain") -> str:
    part = mail.get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def header(mail: EmailMessage, name: str) -> str:
    """A header as RFC 2047 reads it: between two encoded words stands nothing, which the parser overlooks."""
    raw = message_from_bytes(mail.as_bytes())[name]
    return " ".join(str(make_header(decode_header(raw))).split())


def unquoted(mailbox: str) -> str:
    """`Name <address>` without the quotes that a name needs."""
    name, _, address = mailbox.rpartition(" <")
    if name.startswith('"') and name.endswith('"'):
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    return f"{name} <{address}"


def test_the_headers_say_who_to_whom_and_what() -> None:
    assert dict(sent(letter())) | {"Content-Type": ""} == {
        "From": "3D Print Bureau <shop@example.com>",
        "To": "Ada Lovelace <ada@example.com>",
        "Reply-To": "3D Print Bureau <office@example.com>",
        "Subject": "Invoice INV-0001 from 3D Print Bureau",
        "Date": "Fri, 03 Jul 2026 09:30:00 +0000",
        "Message-ID": "<4d1c8f6e@example.com>",
        "Auto-Submitted": "auto-generated",
        "MIME-Version": "1.0",
        "Content-Type": "",
    }


def test_text_and_html_are_alternatives_beside_the_pdf() -> None:
    mail = sent(letter())
    assert mail.get_content_type() == "multipart/mixed"
    alternatives, attached = mail.iter_parts()
    assert [part.get_content_type() for part in alternatives.iter_parts()] == ["text/plain", "text/html"]
    assert (attached.get_filename(), attached.get_content()) == (PDF.filename, PDF.contents)
    assert attached.get_content_disposition() == "attachment"


def test_an_owed_invoice_says_its_figures_and_where_to_pay() -> None:
    owed = invoice(pay_url="https://shop.example.com/api/pay/abc", balance_cents=6000)
    mail = sent(letter(owed, message="See you.\nAda's printer"))
    assert text_of(mail) == (
        "Hello Ada Lovelace,\n\n"
        "Invoice INV-0001 from 3D Print Bureau is attached to this mail.\n\n"
        "Total: $110.00 AUD\nLeft to pay: $60.00\nDue: 10 July 2026\n\n"
        "See you.\nAda's printer\n\n"
        "Pay by card:\nhttps://shop.example.com/api/pay/abc\n\n"
        "-- \n3D Print Bureau\noffice@example.com\nABN 51 824 753 556\n"
    )
    assert 'href="https://shop.example.com/api/pay/abc"' in text_of(mail, "html")


def test_without_card_payments_a_sentence_stands_in_the_links_place() -> None:
    mail = sent(letter(invoice(pay_note="Please pay by bank transfer.")))
    for kind in ("plain", "html"):
        assert "Please pay by bank transfer." in text_of(mail, kind)
        assert "Pay by card" not in text_of(mail, kind)


def test_a_quote_says_how_long_it_is_valid_and_where_to_accept_it() -> None:
    quote = Quote(
        number="QT-0001",
        client=Client(name="Ada"),
        status="PENDING",
        valid_until=date(2026, 8, 2),
        accept_url="https://shop.example.com/api/public/quotes/abc",
        **AMOUNTS,
    )
    mail = sent(letter(quote))
    assert mail["Subject"] == "Quote QT-0001 from 3D Print Bureau"
    assert "Valid until: 2 August 2026" in text_of(mail)
    assert "https://shop.example.com/api/public/quotes/abc" in text_of(mail)


def test_what_people_wrote_is_text_in_html() -> None:
    attack = '<img src=x onerror=alert(1)> "quoted" & more'
    mail = sent(
        letter(invoice(attack), message=attack, business=Business(name=attack, address=f"{attack}\nline"))
    )
    html = text_of(mail, "html")
    assert "<img" not in html
    assert html.count("&lt;img src=x onerror=alert(1)&gt;") == 5
    assert attack in text_of(mail)


@pytest.mark.parametrize("break_", ["\r\n", "\n", "\r", "\u2028", "\x0b", "\x85"])
def test_no_name_adds_a_header(break_: str) -> None:
    name = f"Ada{break_}Bcc: thief@example.com{break_}{break_}body"
    mail = sent(
        letter(
            invoice(name),
            to=mailbox("ada@example.com", name),
            business=Business(name=name, email="office@example.com"),
        )
    )
    assert mail["Bcc"] is None
    assert mail["To"].addresses[0].addr_spec == "ada@example.com"
    assert len(mail["To"].addresses) == 1
    assert mail["Subject"].startswith("Invoice INV-0001 from Ada")


@pytest.mark.parametrize(
    "name",
    [
        'Zoë Müller-Lüdenscheidt, Ltd. ("Print" <x@y>); 東京',
        "東京都千代田区の三次元印刷所" * 14,
        "long " * 40,
        "unbroken" * 25,
        "😀" * 100,
        'quo"te\\back',
    ],
)
def test_long_and_foreign_names_arrive_as_they_were_written(name: str) -> None:
    written = " ".join(name.split())
    mail = sent(
        letter(
            invoice(name),
            to=mailbox("ada@example.com", name),
            business=Business(name=name, email="o@b.example"),
        )
    )
    for field, address in (("To", "ada@example.com"), ("Reply-To", "o@b.example")):
        assert unquoted(header(mail, field)) == f"{written} <{address}>"
        assert [found.addr_spec for found in mail[field].addresses] == [address]
    assert mail["Subject"] == f"Invoice INV-0001 from {written}"
    assert f"Hello {written}," in text_of(mail)


def test_a_message_of_one_endless_line_is_broken_on_the_wire_and_whole_on_arrival() -> None:
    message = "é" * 5000
    assert message in text_of(sent(letter(message=message)))


def test_a_business_address_that_is_none_costs_the_reply_to_alone() -> None:
    mail = sent(letter(business=Business(name="Bureau", email="ask us")))
    assert mail["Reply-To"] is None


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ada",
        "ada@",
        "@example.com",
        "ada@example",
        "a b@example.com",
        "ada@example.com\r\nBcc: x@example.com",
        "ada@example.com, x@example.com",
        "<ada@example.com>",
        "jürgen@example.com",
        "ada@exa_mple.com",
        "a" * 65 + "@example.com",
        "ada@" + "a." * 130 + "com",
        "ada..x@example.com",
    ],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(AddressRefused):
        mailbox(address)


def test_an_international_domain_travels_in_ascii() -> None:
    assert mailbox("ada@bücher.example").addr_spec == "ada@xn--bcher-kva.example"


@pytest.mark.parametrize(
    ("text", "name", "address"),
    [
        ("shop@example.com", "", "shop@example.com"),
        ("3D Print Bureau <shop@example.com>", "3D Print Bureau", "shop@example.com"),
        ('"Bureau, Print & Co." <shop@example.com>', "Bureau, Print & Co.", "shop@example.com"),
        ("<shop@example.com>", "", "shop@example.com"),
    ],
)
def test_the_sender_is_read_with_its_name(text: str, name: str, address: str) -> None:
    found = named_mailbox(text)
    assert (found.display_name, found.addr_spec) == (name, address)
