"""Papers through the gateway: drawn by Chromium, kept, and only for whom they are."""

import io
from typing import Any

import httpx
import psycopg
import pypdf
import pytest

from devstack import Stack
from tests.conftest import Client, sign_up
from tests.integration.api.test_upkeep import cache_folder_of
from tests.support.invoices import book, refused, written
from tests.support.models import cube_stl
from tests.support.orders import checked_out, sliced


@pytest.fixture(scope="module")
def ada(stack: Stack) -> Client:
    return sign_up(stack, "Ada Lovelace")


@pytest.fixture(scope="module")
def invoice(ada: Client) -> dict[str, Any]:
    return checked_out(ada, sliced(ada, "cube.stl", cube_stl(11)))


def text_of(contents: bytes) -> str:
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(contents)).pages)


def links_of(contents: bytes) -> set[str]:
    found = set()
    for page in pypdf.PdfReader(io.BytesIO(contents)).pages:
        for annotation in page.get("/Annots", []):
            action = annotation.get_object().get("/A", {})
            if "/URI" in action:
                found.add(str(action["/URI"]))
    return found


def test_an_invoices_pdf_carries_its_figures_and_its_pay_link(ada: Client, invoice: dict[str, Any]) -> None:
    response = ada.get(f"invoices/{invoice['id']}/pdf")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/pdf"
    assert f"invoice-{invoice['number']}.pdf" in response.headers["content-disposition"]
    text = text_of(response.content)
    for cents in (invoice["totalCents"], invoice["taxCents"], invoice["items"][0]["totalCents"]):
        assert f"{cents / 100:,.2f}" in text
    assert invoice["number"] in text
    assert "GST" in text
    assert invoice["payUrl"] in links_of(response.content)


def test_an_invoices_pdf_shows_the_model_that_is_printed(ada: Client, invoice: dict[str, Any]) -> None:
    page = pypdf.PdfReader(io.BytesIO(ada.get(f"invoices/{invoice['id']}/pdf").content)).pages[0]
    (picture,) = page.images
    assert picture.image is not None
    assert picture.image.size == (800, 600)


def test_an_invoices_pdf_is_kept_in_storage_under_its_number(
    ada: Client, invoice: dict[str, Any], database: psycopg.Connection
) -> None:
    ada.get(f"invoices/{invoice['id']}/pdf")
    kept = database.execute(
        "select name from storage.objects where bucket_id = 'pdfs' and name = %s",
        (f"invoice-{invoice['number']}.pdf",),
    ).fetchall()
    assert len(kept) == 1


def test_a_pdf_is_its_owners_and_only_the_shop_deletes_it(
    ada: Client, invoice: dict[str, Any], other_customer: Client, nobody: Client, shop: Client
) -> None:
    path = f"invoices/{invoice['id']}/pdf"
    assert other_customer.get(path).status_code == 404
    assert nobody.get(path).status_code == 401
    assert ada.request("DELETE", path).status_code == 403
    assert shop.data("DELETE", path) == {"deleted": True}
    assert ada.get(path).status_code == 200


@pytest.mark.parametrize(("megabytes", "status"), [(3.9, 200), (4.1, 302)])
def test_a_pdf_above_4_mb_is_fetched_from_storage_where_it_is_put_if_it_is_not_there(
    stack: Stack, shop: Client, customer: Client, database: psycopg.Connection, megabytes: float, status: int
) -> None:
    made = written(shop, customer.user["clientId"])
    path = f"invoices/{made['id']}/pdf"
    assert customer.get(path).status_code == 200
    (copy,) = cache_folder_of(stack).glob(f"invoice-{made['number']}.*.pdf")
    large = copy.read_bytes().ljust(int(megabytes * 2**20), b"\n")
    copy.write_bytes(large)
    key = f"invoice-{made['number']}.pdf"
    headers = {"apikey": stack.supabase.secret_key, "Authorization": f"Bearer {stack.supabase.secret_key}"}
    gone = httpx.delete(f"{stack.supabase.url}/storage/v1/object/pdfs/{key}", headers=headers)
    assert gone.is_success, gone.text
    assert key not in kept(database)
    response = customer.get(path)
    assert response.status_code == status
    contents = httpx.get(response.headers["location"]).content if status == 302 else response.content
    assert contents == large


def test_a_sent_quote_has_a_pdf_for_its_client_and_a_draft_for_the_shop_alone(
    ada: Client, shop: Client, database: psycopg.Connection
) -> None:
    row = database.execute(
        """with made as (
             insert into quotes (number, client_id, issue_date, valid_until, currency, subtotal_cents, tax_rate_bps,
                                 tax_cents, total_cents)
             values ('QT-TEST', %s, '2026-01-01', '2026-02-01', 'AUD', 10000, 1000, 1000, 11000) returning id),
           line as (
             insert into quote_items (quote_id, position, description, quantity_milli, unit_price_cents, total_cents)
             select id, 1, 'Design hour', 1000, 10000, 10000 from made)
           select id from made""",
        (ada.user["clientId"],),
    ).fetchone()
    assert row is not None
    path = f"quotes/{row[0]}/pdf"
    assert ada.get(path).status_code == 404
    assert "QT-TEST" in text_of(shop.get(path).content)
    database.execute("update quotes set status = 'PENDING', sent_at = now() where id = %s", row)
    response = ada.get(path)
    assert response.status_code == 200
    assert "110.00" in text_of(response.content)


# -- receipts and statements -----------------------------------------------------------------------------------


def test_a_receipt_is_made_once_something_is_paid(
    shop: Client, customer: Client, other_customer: Client
) -> None:
    made = written(shop, customer.user["clientId"])
    path = f"invoices/{made['id']}/receipt.pdf"
    response = customer.get(path)
    assert refused(response) == (409, "NOT_PAID")
    assert response.json()["error"]["message"].startswith(f"Nothing is paid of invoice {made['number']} yet")
    book(shop, made, 4_000)
    response = customer.get(path)
    assert response.status_code == 200
    assert f'filename="receipt-{made["number"]}.pdf"' in response.headers["content-disposition"]
    text = text_of(response.content)
    for shown in ("Receipt", made["number"], "$40.00", "$70.00"):
        assert shown in text
    assert other_customer.get(path).status_code == 404


def test_a_receipt_follows_the_payments_and_goes_when_it_is_forgotten(
    shop: Client, customer: Client, database: psycopg.Connection
) -> None:
    made = written(shop, customer.user["clientId"])
    for cents in (4_000, 7_000):
        book(shop, made, cents)
        assert f"${cents / 100:.2f}" in text_of(customer.get(f"invoices/{made['id']}/receipt.pdf").content)
    key = f"receipt-{made['number']}.pdf"
    assert key in kept(database)
    assert shop.data("DELETE", f"invoices/{made['id']}/pdf") == {"deleted": True}
    assert key not in kept(database)


def kept(database: psycopg.Connection) -> set[str]:
    """Keys in the `pdfs` bucket."""
    return {key for (key,) in database.execute("select name from storage.objects where bucket_id = 'pdfs'")}


def test_a_statement_shows_what_moved_the_account_and_is_kept_nowhere(
    shop: Client, customer: Client, other_customer: Client, database: psycopg.Connection
) -> None:
    client = customer.user["clientId"]
    one, two = written(shop, client), written(shop, client, 20_000)
    book(shop, one, 4_000)
    book(shop, two, 22_000)
    before = kept(database)
    response = customer.get(f"clients/{client}/statement.pdf")
    assert response.status_code == 200
    text = " ".join(text_of(response.content).split())
    for shown in (
        "Statement of account", f"Invoice {one['number']}", f"Payment for {two['number']} Cash", "$220.00",
        "Balance due $70.00", "Amount $70.00 $0.00",
    ):  # fmt: skip
        assert shown in text, text
    assert kept(database) == before
    assert shop.get(f"clients/{client}/statement.pdf").content == response.content
    assert refused(other_customer.get(f"clients/{client}/statement.pdf")) == (404, "CLIENT_NOT_FOUND")
    assert refused(shop.get(f"clients/{2**40}/statement.pdf")) == (404, "CLIENT_NOT_FOUND")


def test_a_statement_is_of_the_days_that_are_asked_for(shop: Client, customer: Client) -> None:
    client = customer.user["clientId"]
    made = written(shop, client)
    path = f"clients/{client}/statement.pdf"
    early = customer.get(path, params={"from": "2026-01-01", "to": "2026-01-31"})
    assert f'filename="statement-{client}-2026-01-01-2026-01-31.pdf"' in early.headers["content-disposition"]
    text = text_of(early.content)
    assert "1 January 2026 – 31 January 2026" in text
    assert made["number"] not in text
    assert refused(customer.get(path, params={"from": "2026-02-01", "to": "2026-01-31"})) == (
        422,
        "PERIOD_REVERSED",
    )
    for days in (
        {"from": "yesterday"}, {"to": "0001-01-01"}, {"from": "0001-01-01"}, {"to": "1999-12-31"},
        {"from": "2100-01-02"}, {"to": "9999-12-31"},
    ):  # fmt: skip
        assert refused(customer.get(path, params=days)) == (422, "INVALID_REQUEST"), days
    assert customer.get(path, params={"to": "2000-01-01"}).status_code == 200
