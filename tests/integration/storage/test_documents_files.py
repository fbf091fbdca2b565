"""Order files, invoice attachments and stored PDFs, by the seed's operations."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from printshop.adapters.database import Database
from printshop.adapters.storage.objects import ATTACHMENTS, ORDER_FILES, PDFS, Storage
from printshop.documents.stored_pdfs import delete_pdf, get_pdf_signed_url, list_pdfs, upload_pdf
from printshop.files.attachments import (
    Attachment,
    delete_invoice_attachment,
    delete_invoice_attachments,
    get_attachment_signed_url,
    list_invoice_attachments,
    upload_invoice_attachment,
)
from printshop.files.order_files import (
    OrderFile,
    delete_order_file,
    download_order_file_to_buffer,
    get_order_file,
    get_order_file_download_url,
    get_order_files_by_invoice,
    get_order_files_by_quote,
    list_order_files,
    save_order_file,
    upload_order_file,
)
from printshop.kernel.errors import Conflict, NotFound
from tests.integration.storage.conftest import Customer

MODEL = b"solid bunny"
PDF = b"%PDF-1.4 a paper\n"

type NewInvoice = Callable[[Customer], int]
type NewCustomer = Callable[[], Customer]


def quote(rows: psycopg.Connection, customer: Customer) -> int:
    row = rows.execute(
        "insert into quotes (status, number, client_id, issue_date, valid_until, currency, subtotal_cents,"
        " tax_rate_bps, tax_cents, total_cents)"
        " values ('PENDING', %s, %s, now(), now(), 'AUD', 0, 0, 0, 0) returning id",
        (str(uuid4()), customer.client_id),
    ).fetchone()
    assert row is not None
    return int(row[0])


def save(storage: Storage, database: Database, customer: Customer, **document: int) -> OrderFile:
    return save_order_file(
        storage,
        database,
        user_id=customer.user_id,
        client_id=customer.client_id,
        filename="Häschen.stl",
        contents=MODEL,
        content_type="model/stl",
        file_type="model",
        metadata={"settingsHash": "abc"},
        **document,
    )


# -- order files -------------------------------------------------------------------------------------------------


def test_upload_stores_an_order_file_under_its_client(storage: Storage, customer: Customer) -> None:
    key = upload_order_file(storage, customer.client_id, "bunny.stl", MODEL, "model/stl")
    assert key.split("/")[0] == str(customer.client_id)
    assert storage.download(ORDER_FILES, key) == MODEL


def test_an_order_file_is_object_and_row_of_an_invoice(
    storage: Storage, database: Database, customer: Customer, new_invoice: NewInvoice
) -> None:
    invoice = new_invoice(customer)
    saved = save(storage, database, customer, invoice_id=invoice)
    assert (saved.invoice_id, saved.quote_id, saved.client_id) == (invoice, None, customer.client_id)
    assert (saved.filename, saved.size_bytes, saved.uploaded_by) == (
        "Häschen.stl",
        len(MODEL),
        customer.user_id,
    )
    assert saved.metadata == {"settingsHash": "abc"}
    assert download_order_file_to_buffer(storage, saved) == MODEL
    assert get_order_files_by_invoice(database, customer.client_id, invoice) == [saved]
    assert get_order_file(database, None, saved.id) == saved
    response = httpx.get(get_order_file_download_url(storage, saved), timeout=20)
    assert response.content == MODEL


def test_an_order_file_of_a_quote_is_found_by_it(
    storage: Storage, database: Database, customer: Customer, rows: psycopg.Connection
) -> None:
    quote_id = quote(rows, customer)
    saved = save(storage, database, customer, quote_id=quote_id)
    assert get_order_files_by_quote(database, customer.client_id, quote_id) == [saved]


def test_a_clients_files_are_listed_newest_first(
    storage: Storage,
    database: Database,
    customer: Customer,
    new_invoice: NewInvoice,
    rows: psycopg.Connection,
) -> None:
    first = save(storage, database, customer, invoice_id=new_invoice(customer))
    second = save(storage, database, customer, quote_id=quote(rows, customer))
    assert list_order_files(database, customer.client_id, customer.client_id) == [second, first]


def test_another_clients_order_file_does_not_exist(
    storage: Storage, database: Database, new_customer: NewCustomer, new_invoice: NewInvoice
) -> None:
    owner, stranger = new_customer(), new_customer()
    invoice = new_invoice(owner)
    saved = save(storage, database, owner, invoice_id=invoice)
    with pytest.raises(NotFound):
        get_order_file(database, stranger.client_id, saved.id)
    assert get_order_files_by_invoice(database, stranger.client_id, invoice) == []
    assert list_order_files(database, stranger.client_id, owner.client_id) == []


def test_delete_leaves_neither_row_nor_object_of_an_order_file(
    storage: Storage, database: Database, customer: Customer, new_invoice: NewInvoice
) -> None:
    saved = save(storage, database, customer, invoice_id=new_invoice(customer))
    delete_order_file(storage, database, customer.user_id, saved.id)
    with pytest.raises(NotFound):
        storage.info(ORDER_FILES, saved.storage_key)
    for again in (
        lambda: get_order_file(database, None, saved.id),
        lambda: delete_order_file(storage, database, customer.user_id, saved.id),
    ):
        with pytest.raises(NotFound):
            again()


def test_an_order_file_of_no_document_leaves_no_object(
    storage: Storage, database: Database, customer: Customer
) -> None:
    with pytest.raises(NotFound):
        save(storage, database, customer, invoice_id=0)
    assert list(storage.list_keys(ORDER_FILES, str(customer.client_id))) == []


# -- attachments ---------------------------------------------------------------------------------------------------


def attach(storage: Storage, database: Database, invoice: int, **changes: Any) -> Attachment:
    params = {
        "filename": "Plan (1).pdf",
        "contents": PDF,
        "content_type": "application/pdf",
        "user_id": None,
        **changes,
    }
    return upload_invoice_attachment(storage, database, invoice_id=invoice, **params)


def test_an_attachment_is_object_and_row_under_its_invoice(
    storage: Storage, database: Database, customer: Customer, new_invoice: NewInvoice
) -> None:
    invoice = new_invoice(customer)
    saved = attach(storage, database, invoice, user_id=customer.user_id)
    assert (saved.filename, saved.storage_key) == ("Plan (1).pdf", f"{invoice}/Plan_1.pdf")
    assert (saved.size_bytes, saved.uploaded_by) == (len(PDF), customer.user_id)
    assert storage.download(ATTACHMENTS, saved.storage_key) == PDF
    assert list_invoice_attachments(database, customer.client_id, invoice) == [saved]
    assert httpx.get(get_attachment_signed_url(storage, saved, 60), timeout=20).content == PDF


def test_a_second_attachment_of_a_name_is_refused_unless_it_replaces_the_first(
    storage: Storage, database: Database, customer: Customer, new_invoice: NewInvoice
) -> None:
    invoice = new_invoice(customer)
    first = attach(storage, database, invoice)
    with pytest.raises(Conflict) as refused:
        attach(storage, database, invoice, contents=b"%PDF other")
    assert refused.value.code == "FILE_EXISTS"
    assert storage.download(ATTACHMENTS, first.storage_key) == PDF
    second = attach(storage, database, invoice, contents=b"%PDF other!", replace=True)
    assert (second.id, second.size_bytes) == (first.id, 11)
    assert storage.download(ATTACHMENTS, first.storage_key) == b"%PDF other!"


def test_an_attachment_of_no_invoice_leaves_no_object(storage: Storage, database: Database) -> None:
    with pytest.raises(NotFound):
        attach(storage, database, 0)
    assert list(storage.list_keys(ATTACHMENTS, "0")) == []


def test_another_clients_attachments_do_not_exist(
    storage: Storage, database: Database, new_customer: NewCustomer, new_invoice: NewInvoice
) -> None:
    invoice = new_invoice(new_customer())
    attach(storage, database, invoice)
    with pytest.raises(NotFound):
        list_invoice_attachments(database, new_customer().client_id, invoice)


def test_delete_leaves_neither_row_nor_object_of_an_attachment(
    storage: Storage, database: Database, customer: Customer, new_invoice: NewInvoice
) -> None:
    invoice = new_invoice(customer)
    saved = [attach(storage, database, invoice, filename=f"{number}.pdf") for number in range(4)]
    delete_invoice_attachment(storage, database, customer.user_id, saved[0].storage_key)
    delete_invoice_attachments(storage, database, customer.user_id, [file.storage_key for file in saved[1:3]])
    assert list_invoice_attachments(database, None, invoice) == saved[3:]
    assert [key for key, _ in storage.list_keys(ATTACHMENTS, str(invoice))] == [saved[3].storage_key]


# -- PDFs -----------------------------------------------------------------------------------------------------------


def test_a_pdf_is_stored_over_an_older_one_of_its_name(storage: Storage) -> None:
    name = f"invoice-{uuid4().hex}.pdf"
    for contents in (PDF, b"%PDF-1.4 newer\n"):
        assert upload_pdf(storage, name, contents, metadata={"inputsHash": "abc"}) == name
    assert storage.download(PDFS, name) == b"%PDF-1.4 newer\n"
    info = storage.info(PDFS, name)
    assert (info.content_type, info.metadata) == ("application/pdf", {"inputsHash": "abc"})
    response = httpx.get(get_pdf_signed_url(storage, name, 60), timeout=20)
    assert (response.content, response.headers["content-type"]) == (b"%PDF-1.4 newer\n", "application/pdf")


def test_pdfs_are_listed_by_prefix_and_deleted_once(storage: Storage) -> None:
    mark = uuid4().hex
    invoice, quote_pdf = f"invoice-{mark}.pdf", f"quote-{mark}.pdf"
    upload_pdf(storage, invoice, PDF)
    upload_pdf(storage, quote_pdf, PDF)
    assert list_pdfs(storage, f"invoice-{mark}") == [invoice]
    assert {invoice, quote_pdf} <= set(list_pdfs(storage))
    assert [delete_pdf(storage, invoice) for _ in range(2)] == [True, False]
    assert invoice not in list_pdfs(storage)
