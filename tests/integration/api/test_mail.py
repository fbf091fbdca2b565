"""Mail on the real line: queue, mailer, Chromium, SES's stand-in; and what is left when one of them dies."""

import io
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any
from uuid import uuid4

import psycopg
import pypdf
import pytest

from devstack import SENDER, Stack
from tests.conftest import Client, sign_up
from tests.integration.api.test_upkeep import round_of
from tests.support.invoices import book, refused, written
from tests.support.models import cube_stl
from tests.support.orders import checked_out, sliced
from tests.template.roles import load_roles

LATE = "update mails set queued_at = now() - interval '3 minutes' where id = %s"
LEASE_IS_OVER = "update mails set lease_until = now() - interval '1 second' where id = %s"


@pytest.fixture(scope="module")
def ada(stack: Stack) -> Client:
    return sign_up(stack, "Ada Lovelace")


@pytest.fixture(scope="module")
def invoice(ada: Client) -> dict[str, Any]:
    return checked_out(ada, sliced(ada, "cube.stl", cube_stl(13)))


@pytest.fixture
def address() -> str:
    """An address of the test's own, so that its mails are known among all others."""
    return f"{uuid4().hex[:12]}@example.com"


@pytest.fixture
def stuck_printing(stack: Stack) -> Iterator[Callable[[], None]]:
    """Mailers claim a document not printed yet and wait for storage, until the test calls this (or ends)."""
    with psycopg.connect(stack.postgres.url) as lock:
        lock.execute("lock table storage.objects in access exclusive mode")
        yield lock.rollback
        lock.rollback()


def queued(
    database: psycopg.Connection, kind: str, document_id: int, to: str | None, message: str = ""
) -> int:
    """A committed mail whose message is not in the queue yet; its id."""
    row = database.execute(
        "select queue_mail(%s::mail_kind, %s, %s, %s, null)", (kind, document_id, to, message)
    ).fetchone()
    assert row is not None
    return int(row[0])


def delivery(mail_id: int) -> dict[str, Any]:
    """The event that the queue makes of a mail's message."""
    return {"Records": [{"messageId": str(uuid4()), "body": json.dumps({"mailId": mail_id})}]}


def put_in_queue(stack: Stack, mail_id: int) -> None:
    stack.aws.client("sqs").send_message(
        QueueUrl=stack.mail_queue_url, MessageBody=json.dumps({"mailId": mail_id})
    )


def status_of(database: psycopg.Connection, mail_id: int) -> str:
    row = database.execute("select status::text from mails where id = %s", (mail_id,)).fetchone()
    assert row is not None
    return str(row[0])


def wait_until(database: psycopg.Connection, mail_id: int, status: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while (found := status_of(database, mail_id)) != status:
        assert time.monotonic() < deadline, f"the mail is {found} after {seconds} s"
        time.sleep(0.02)


def mails_to(stack: Stack, address: str) -> list[EmailMessage]:
    """What SES's stand-in took for an address."""
    mails = [message_from_bytes(file.read_bytes(), policy=default) for file in stack.aws.mails()]
    return [mail for mail in mails if isinstance(mail, EmailMessage) and address in mail["To"]]


def only_mail_to(stack: Stack, address: str) -> EmailMessage:
    (mail,) = mails_to(stack, address)
    return mail


def text_of(mail: EmailMessage, kind: str = "plain") -> str:
    part = mail.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def activity_of(database: psycopg.Connection, mail_id: int) -> list[tuple[str, int | None, int | None]]:
    return database.execute(
        """select action, quote_id, invoice_id from activity_logs
            where metadata ->> 'mailId' = %s order by id""",
        (str(mail_id),),
    ).fetchall()


def open_quote(database: psycopg.Connection, client_id: int) -> tuple[int, str]:
    """A sent quote over 110.00; its id and number."""
    number = f"QT-{uuid4().hex[:6]}"
    row = database.execute(
        """with made as (
             insert into quotes (number, client_id, status, issue_date, valid_until, currency, subtotal_cents,
                                 tax_rate_bps, tax_cents, total_cents, sent_at)
             values (%s, %s, 'PENDING', '2026-01-01', '2026-02-03', 'AUD', 10000, 1000, 1000, 11000, now())
             returning id),
           line as (
             insert into quote_items (quote_id, position, description, quantity_milli, unit_price_cents, total_cents)
             select id, 1, 'Design hour', 1000, 10000, 10000 from made)
           select id from made""",
        (number, client_id),
    ).fetchone()
    assert row is not None
    return int(row[0]), number


# -- what arrives ----------------------------------------------------------------------------------------------


def test_an_invoice_arrives_with_its_figures_its_pay_link_and_its_pdf(
    stack: Stack, database: psycopg.Connection, ada: Client, invoice: dict[str, Any], address: str
) -> None:
    mail_id = queued(database, "INVOICE", invoice["id"], address, "Thanks <again> & see you!")
    put_in_queue(stack, mail_id)
    wait_until(database, mail_id, "SENT")
    mail = only_mail_to(stack, address)
    assert mail["From"] == f"3D Print Bureau <{SENDER}>"
    assert mail["To"] == f"Ada Lovelace <{address}>"
    assert mail["Subject"] == f"Invoice {invoice['number']} from 3D Print Bureau"
    assert mail["Auto-Submitted"] == "auto-generated"
    text, html = text_of(mail), text_of(mail, "html")
    for shown in (text, html):
        assert "Hello Ada Lovelace," in shown
        assert f"{invoice['totalCents'] / 100:,.2f}" in shown
        assert invoice["payUrl"] in shown
    assert "Thanks <again> & see you!" in text
    assert "Thanks &lt;again&gt; &amp; see you!" in html
    (attached,) = mail.iter_attachments()
    assert attached.get_filename() == f"invoice-{invoice['number']}.pdf"
    assert attached.get_content_type() == "application/pdf"
    paper = attached.get_content()
    assert invoice["number"] in pypdf.PdfReader(io.BytesIO(paper)).pages[0].extract_text()
    assert paper == ada.get(f"invoices/{invoice['id']}/pdf").content


def test_an_open_quote_arrives_with_the_link_to_accept_it(
    stack: Stack, database: psycopg.Connection, ada: Client, address: str
) -> None:
    quote_id, number = open_quote(database, ada.user["clientId"])
    mail_id = queued(database, "QUOTE", quote_id, address)
    put_in_queue(stack, mail_id)
    wait_until(database, mail_id, "SENT")
    mail = only_mail_to(stack, address)
    token = database.execute("select public_token from quotes where id = %s", (quote_id,)).fetchone()
    assert token is not None
    assert mail["Subject"] == f"Quote {number} from 3D Print Bureau"
    assert f"/api/public/quotes/{token[0]}" in text_of(mail)
    assert "Valid until: 3 February 2026" in text_of(mail)
    assert [part.get_filename() for part in mail.iter_attachments()] == [f"quote-{number}.pdf"]
    assert activity_of(database, mail_id) == [
        ("QUOTE_MAIL_QUEUED", quote_id, None),
        ("QUOTE_MAILED", quote_id, None),
    ]


def test_what_a_customer_got_can_be_shown_whatever_became_of_the_document(
    stack: Stack,
    database: psycopg.Connection,
    shop: Client,
    customer: Client,
    other_customer: Client,
    address: str,
) -> None:
    made = written(shop, customer.user["clientId"])
    path = f"invoices/{made['id']}/pdf"
    before = customer.get(path, params={"sent": True})
    assert refused(before) == (409, "NOT_SENT")
    stack.gateway.invoke("MailerFunction", delivery(queued(database, "INVOICE", made["id"], address)))
    (attached,) = only_mail_to(stack, address).iter_attachments()
    got = attached.get_content()
    book(shop, made, 11_000)
    now = customer.get(path).content
    assert now != got
    for reader in (customer, shop):
        sent = reader.get(path, params={"sent": True})
        assert (sent.status_code, sent.headers["content-type"]) == (200, "application/pdf")
        assert sent.content == got
        assert f'filename="invoice-{made["number"]}.pdf"' in sent.headers["content-disposition"]
    assert refused(other_customer.get(path, params={"sent": True})) == (404, "INVOICE_NOT_FOUND")
    assert shop.data("DELETE", path) == {"deleted": True}
    assert customer.get(path, params={"sent": True}).content == got
    stack.gateway.invoke("MailerFunction", delivery(queued(database, "INVOICE", made["id"], address)))
    again = customer.get(path, params={"sent": True}).content
    assert again != got
    assert again in [next(mail.iter_attachments()).get_content() for mail in mails_to(stack, address)]


def test_a_quote_is_shown_as_it_was_sent(
    stack: Stack, database: psycopg.Connection, ada: Client, address: str
) -> None:
    quote_id, _ = open_quote(database, ada.user["clientId"])
    assert refused(ada.get(f"quotes/{quote_id}/pdf?sent=true")) == (409, "NOT_SENT")
    stack.gateway.invoke("MailerFunction", delivery(queued(database, "QUOTE", quote_id, address)))
    (attached,) = only_mail_to(stack, address).iter_attachments()
    assert ada.get(f"quotes/{quote_id}/pdf?sent=true").content == attached.get_content()


def test_a_shop_without_e_mail_keeps_what_it_sent_all_the_same(
    stack: Stack, database: psycopg.Connection, shop: Client, customer: Client, address: str
) -> None:
    made = written(shop, customer.user["clientId"])
    path = f"invoices/{made['id']}/pdf"
    mail_id = queued(database, "INVOICE", made["id"], None)
    stack.gateway.invoke("MailerFunction", delivery(mail_id))
    assert status_of(database, mail_id) == "SENT"
    sent = customer.get(path, params={"sent": True}).content
    book(shop, made, 11_000)
    assert customer.get(path).content != sent
    assert customer.get(path, params={"sent": True}).content == sent
    assert mails_to(stack, address) == []


def test_a_mail_whose_pdf_cannot_be_kept_is_not_sent_and_comes_again(
    stack: Stack, database: psycopg.Connection, ada: Client, address: str
) -> None:
    quote_id, _ = open_quote(database, ada.user["clientId"])
    database.execute("update storage.buckets set file_size_limit = 10 where id = 'pdfs'")
    try:
        mail_id = queued(database, "QUOTE", quote_id, address)
        event = delivery(mail_id)
        assert stack.gateway.invoke("MailerFunction", event)["batchItemFailures"] != []
    finally:
        database.execute("update storage.buckets set file_size_limit = 26214400 where id = 'pdfs'")
    assert (mails_to(stack, address), status_of(database, mail_id)) == ([], "QUEUED")
    assert stack.gateway.invoke("MailerFunction", event)["batchItemFailures"] == []
    assert len(mails_to(stack, address)) == 1


def test_a_name_cannot_add_a_header(
    stack: Stack, database: psycopg.Connection, ada: Client, invoice: dict[str, Any], address: str
) -> None:
    name = "Ünïcode\r\nBcc: thief@example.com " + "long " * 30
    client = (name[:200], ada.user["clientId"])
    database.execute("update clients set name = %s where id = %s", client)
    try:
        mail_id = queued(database, "INVOICE", invoice["id"], address)
        put_in_queue(stack, mail_id)
        wait_until(database, mail_id, "SENT")
    finally:
        database.execute("update clients set name = 'Ada Lovelace' where id = %s", client[1:])
    mail = only_mail_to(stack, address)
    assert mail["Bcc"] is None
    assert mail["To"].addresses[0].addr_spec == address
    assert mail["To"].addresses[0].display_name.startswith("Ünïcode Bcc: thief@example.com long")


# -- what goes wrong -------------------------------------------------------------------------------------------


def test_an_address_that_cannot_be_written_to_fails_at_once_with_a_sentence(
    stack: Stack, database: psycopg.Connection, invoice: dict[str, Any]
) -> None:
    mail_id = queued(database, "INVOICE", invoice["id"], "not an address")
    assert stack.gateway.invoke("MailerFunction", delivery(mail_id)) == {"batchItemFailures": []}
    row = database.execute("select status::text, attempts, error from mails where id = %s", (mail_id,))
    assert row.fetchone() == (
        "FAILED",
        1,
        "'not an address' is no e-mail address that can be written to; correct it.",
    )
    assert [action for action, *_ in activity_of(database, mail_id)] == [
        "INVOICE_MAIL_QUEUED",
        "INVOICE_MAIL_FAILED",
    ]


def test_a_sender_that_ses_does_not_know_fails_the_mail_for_good(
    stack: Stack, database: psycopg.Connection, invoice: dict[str, Any], address: str
) -> None:
    ses = stack.aws.client("ses")
    ses.delete_identity(Identity=SENDER)
    try:
        mail_id = queued(database, "INVOICE", invoice["id"], address)
        assert stack.gateway.invoke("MailerFunction", delivery(mail_id)) == {"batchItemFailures": []}
    finally:
        ses.verify_email_identity(EmailAddress=SENDER)
    row = database.execute("select status::text, error from mails where id = %s", (mail_id,)).fetchone()
    assert row is not None
    assert row[0] == "FAILED"
    assert row[1].startswith("SES refused the message: ")
    assert mails_to(stack, address) == []


def test_a_mail_that_was_sent_is_not_sent_again(
    stack: Stack, database: psycopg.Connection, invoice: dict[str, Any], address: str
) -> None:
    mail_id = queued(database, "INVOICE", invoice["id"], address)
    for _ in range(3):
        assert stack.gateway.invoke("MailerFunction", delivery(mail_id)) == {"batchItemFailures": []}
    assert len(mails_to(stack, address)) == 1
    assert [action for action, *_ in activity_of(database, mail_id)] == [
        "INVOICE_MAIL_QUEUED",
        "INVOICE_MAILED",
    ]


def test_a_mail_that_is_gone_is_nothing_to_send(stack: Stack) -> None:
    assert stack.gateway.invoke("MailerFunction", delivery(2**40)) == {"batchItemFailures": []}


def test_two_deliveries_at_once_send_one_mail(
    stack: Stack,
    database: psycopg.Connection,
    ada: Client,
    address: str,
    stuck_printing: Callable[[], None],
) -> None:
    quote_id, _ = open_quote(database, ada.user["clientId"])
    mail_id = queued(database, "QUOTE", quote_id, address)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(stack.gateway.invoke, "MailerFunction", delivery(mail_id))
        wait_until(database, mail_id, "SENDING")
        second = pool.submit(stack.gateway.invoke, "MailerFunction", delivery(mail_id))
        assert second.result(30) == {"batchItemFailures": []}
        assert not first.done()
        stuck_printing()
        assert first.result(30) == {"batchItemFailures": []}
    assert status_of(database, mail_id) == "SENT"
    assert len(mails_to(stack, address)) == 1


def test_a_killed_mailers_mail_is_sent_by_the_next(
    stack: Stack,
    database: psycopg.Connection,
    ada: Client,
    address: str,
    stuck_printing: Callable[[], None],
) -> None:
    quote_id, _ = open_quote(database, ada.user["clientId"])
    mail_id = queued(database, "QUOTE", quote_id, address)
    put_in_queue(stack, mail_id)
    wait_until(database, mail_id, "SENDING")
    for process in stack.gateway.processes("MailerFunction"):
        os.kill(process, signal.SIGKILL)
    stuck_printing()
    assert status_of(database, mail_id) == "SENDING"
    assert mails_to(stack, address) == []
    database.execute(LATE, (mail_id,))
    assert round_of(stack)["mails"] == {"sent": 0}  # its lease still runs
    database.execute(LEASE_IS_OVER, (mail_id,))
    assert round_of(stack)["mails"] == {"sent": 1}
    wait_until(database, mail_id, "SENT")
    assert len(mails_to(stack, address)) == 1


def test_a_mailer_that_lost_its_answer_sends_the_same_message_again(
    stack: Stack, database: psycopg.Connection, invoice: dict[str, Any], address: str
) -> None:
    mail_id = queued(database, "INVOICE", invoice["id"], address)
    stack.gateway.invoke("MailerFunction", delivery(mail_id))
    # As a crash between SES's answer and the row leaves it.
    database.execute("update mails set status = 'SENDING', sent_at = null where id = %s", (mail_id,))
    database.execute(LEASE_IS_OVER, (mail_id,))
    stack.gateway.invoke("MailerFunction", delivery(mail_id))
    first, second = mails_to(stack, address)
    assert first["Message-ID"] == second["Message-ID"]


def test_a_mail_whose_message_never_left_is_sent_by_the_janitor(
    stack: Stack, database: psycopg.Connection, invoice: dict[str, Any], address: str
) -> None:
    mail_id = queued(database, "INVOICE", invoice["id"], address)
    assert round_of(stack)["mails"] == {"sent": 0}
    database.execute(LATE, (mail_id,))
    assert round_of(stack)["mails"] == {"sent": 1}
    wait_until(database, mail_id, "SENT")
    assert round_of(stack)["mails"] == {"sent": 0}
    assert len(mails_to(stack, address)) == 1


def test_an_outage_of_ses_is_tried_again(
    stack: Stack, database: psycopg.Connection, invoice: dict[str, Any], address: str
) -> None:
    mail_id = queued(database, "INVOICE", invoice["id"], address)
    event = delivery(mail_id)
    os.kill(stack.aws.pid, signal.SIGSTOP)
    try:
        answer = stack.gateway.invoke("MailerFunction", event, timeout=40)
    finally:
        os.kill(stack.aws.pid, signal.SIGCONT)
    assert answer == {"batchItemFailures": [{"itemIdentifier": event["Records"][0]["messageId"]}]}
    row = database.execute("select status::text, error from mails where id = %s", (mail_id,)).fetchone()
    assert row == ("QUEUED", "SES did not answer.")
    assert stack.gateway.invoke("MailerFunction", delivery(mail_id)) == {"batchItemFailures": []}
    assert status_of(database, mail_id) == "SENT"


def test_a_role_allows_what_the_mailer_does(
    stack: Stack, database: psycopg.Connection, invoice: dict[str, Any], address: str
) -> None:
    mail_id = queued(database, "INVOICE", invoice["id"], address)
    put_in_queue(stack, mail_id)
    wait_until(database, mail_id, "SENT")
    calls = {
        (call["function"], f"{call['service']}:{call['action'].removesuffix('Batch')}", call["resource"])
        for call in stack.aws.calls()
        if call["function"] == "MailerFunction"
    }
    assert ("MailerFunction", "ses:SendRawEmail", SENDER) in calls
    assert [call for call in sorted(calls) if not load_roles().allowed(*call)] == []
