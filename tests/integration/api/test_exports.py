"""Exports through the gateway: files that read back as the database, at bounded memory."""

import csv
import io
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from devstack import Stack
from tests.conftest import Client
from tests.integration.api.test_messages import invoice_of

NAMES = ("invoices", "payments", "jobs", "ar-aging")
MANY = 20_000
HOSTILE = '=HYPERLINK("https://example.com";"x")'


def exported(shop: Client, name: str, **query: str) -> list[dict[str, str]]:
    answer = shop.get(f"export/{name}.csv", params=query)
    assert answer.status_code == 302, answer.text
    file = httpx.get(answer.headers["location"], timeout=30)
    assert file.status_code == 200
    assert file.content.startswith(b"\xef\xbb\xbf")
    assert file.content.count(b"\r\n") >= 1
    return list(csv.DictReader(io.StringIO(file.content.decode("utf-8-sig"), newline="")))


def minor(text: str) -> int:
    return int(Decimal(text) * 100)


@pytest.fixture(scope="module")
def many(stack: Stack) -> Iterator[psycopg.Connection]:
    """20,000 invoices past every trigger, with payments and jobs, one in four of them open; gone afterwards."""
    with psycopg.connect(stack.postgres.url, autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")
        client = connection.execute(
            "insert into clients (name, company) values (%s, 'Müller, \"Söhne\"') returning id", (HOSTILE,)
        ).fetchone()
        assert client is not None
        connection.execute(
            """insert into invoices (number, client_id, status, issue_date, due_date, currency, subtotal_cents,
                 tax_rate_bps, tax_cents, total_cents, paid_cents)
               select 'X-' || n, %s, (case when n %% 4 = 0 then 'PENDING' else 'PAID' end)::invoice_status,
                 date '2020-01-01' + n %% 1000, date '2020-01-01' + n %% 1000,
                 case when n %% 10 = 1 then 'JPY' else 'AUD' end, n, 0, 0, n, case when n %% 4 = 0 then 0 else n end
               from generate_series(1, %s) n""",
            (client[0], MANY),
        )
        connection.execute(
            """insert into payments (invoice_id, method, amount_cents, reference, paid_at)
               select id, 'CASH', paid_cents, '-1+1', timestamptz '2020-01-01 12:00Z' from invoices
                where client_id = %s and paid_cents > 0""",
            client,
        )
        connection.execute(
            """insert into jobs (invoice_id, client_id, title, estimated_mass_mg)
               select id, client_id, '@' || number, 4150 from invoices where client_id = %s""",
            client,
        )
        connection.execute("vacuum analyze invoices, payments, jobs")
        yield connection
        for table in ("jobs", "payments", "invoices", "clients"):
            column = {"payments": "invoice_id", "clients": "id"}.get(table, "client_id")
            wanted = "select id from invoices where client_id = %s" if table == "payments" else "select %s"
            connection.execute(f"delete from {table} where {column} in ({wanted})".encode(), client)


def test_every_invoice_is_in_the_file_as_in_the_database(shop: Client, many: psycopg.Connection) -> None:
    rows = exported(shop, "invoices")
    stored = many.execute(
        "select number, status::text, issue_date::text, currency, total_cents, balance_cents, c.name, company"
        " from invoices i join clients c on c.id = client_id order by i.id"
    ).fetchall()
    assert len(rows) == len(stored) >= MANY
    for row, (number, status, issued, currency, total, balance, name, company) in zip(
        rows, stored, strict=True
    ):
        assert (row["Invoice"], row["Status"], row["Issued"], row["Currency"]) == (
            number,
            status,
            issued,
            currency,
        )
        assert row["Client"] == (f"'{name}" if name == HOSTILE else name)
        assert row["Company"] == company
        if currency == "JPY":
            assert (row["Total"], row["Balance"]) == (str(total), str(balance))
        else:
            assert (minor(row["Total"]), minor(row["Balance"])) == (total, balance)


def test_every_payment_and_job_is_in_its_file(shop: Client, many: psycopg.Connection) -> None:
    payments = exported(shop, "payments")
    stored = many.execute("select id from payments order by id").fetchall()
    assert [int(row["Payment ID"]) for row in payments] == [value for (value,) in stored]
    assert {row["Reference"] for row in payments if row["Invoice"].startswith("X-")} == {"'-1+1"}
    jobs = exported(shop, "jobs")
    stored = many.execute("select id from jobs order by id").fetchall()
    assert [int(row["Job ID"]) for row in jobs] == [value for (value,) in stored]
    ours = [row for row in jobs if row["Invoice"].startswith("X-")]
    assert len(ours) == MANY
    assert ours[0]["Title"].startswith("'@X-")
    assert ours[0]["Estimated grams"] == "4.150"


def test_the_ageing_holds_what_is_owed_and_sums_to_the_dashboard(
    shop: Client, many: psycopg.Connection
) -> None:
    rows = exported(shop, "ar-aging")
    assert len([row for row in rows if row["Invoice"].startswith("X-")]) == MANY // 4
    (board,) = [a for a in shop.data("GET", "dashboard")["arAging"] if a["currency"] == "AUD"]
    for bucket, field in (
        ("CURRENT", "currentCents"),
        ("1-30 days", "days1To30Cents"),
        ("90+ days", "daysOver90Cents"),
    ):
        inside = [row for row in rows if row["Currency"] == "AUD" and row["Bucket"] == bucket]
        assert sum(minor(row["Balance"]) for row in inside) == board[field]


def test_a_period_holds_its_first_and_last_day(shop: Client, many: psycopg.Connection) -> None:
    rows = exported(shop, "invoices", **{"from": "2020-02-01", "to": "2020-02-02"})
    assert {row["Issued"] for row in rows} == {"2020-02-01", "2020-02-02"}
    assert exported(shop, "invoices", **{"from": "1999-01-01", "to": "1999-01-01"}) == []
    reversed_period = shop.get("export/invoices.csv", params={"from": "2020-02-02", "to": "2020-02-01"})
    assert (reversed_period.status_code, reversed_period.json()["error"]["code"]) == (422, "PERIOD_REVERSED")
    nonsense = shop.get("export/payments.csv", params={"from": "yesterday"})
    assert (nonsense.status_code, nonsense.json()["error"]["code"]) == (422, "INVALID_REQUEST")


def back_office_processes(stack: Stack) -> list[Path]:
    """This stack's, in /proc."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        ours = f"NEXT_PUBLIC_SUPABASE_URL={stack.supabase.url}".encode() in environment
        if ours and b"POWERTOOLS_SERVICE_NAME=back_office" in environment:
            found.append(process)
    return found


def peak_memory(stack: Stack, shop: Client, **query: str) -> int:
    """The largest resident set, in bytes, of the back office while it exports invoices."""
    exported(shop, "invoices", **{"from": "1999-01-01", "to": "1999-01-01"})
    for process in back_office_processes(stack):
        (process / "clear_refs").write_text("5")  # forgets the peak until now
    exported(shop, "invoices", **query)
    statuses = [(process / "status").read_text() for process in back_office_processes(stack)]
    return 1024 * max(int(status.partition("VmHWM:")[2].split()[0]) for status in statuses)


def test_the_memory_of_an_export_does_not_grow_with_it(
    stack: Stack, shop: Client, many: psycopg.Connection
) -> None:
    a_page = peak_memory(stack, shop, **{"from": "2020-01-01", "to": "2020-08-01"})
    everything = peak_memory(stack, shop)
    assert everything < 200 * 1024 * 1024
    assert everything < a_page + 32 * 1024 * 1024


def test_a_file_is_the_admins_tmp_file_and_nothing_stays_on_disk(
    shop: Client, customer: Client, database: psycopg.Connection
) -> None:
    invoice_of(database, customer.user["clientId"])
    answer = shop.get("export/ar-aging.csv")
    day: Any = database.execute("select business_today()::text").fetchone()
    disposition = httpx.get(answer.headers["location"]).headers["content-disposition"]
    assert f"ar-aging-{day[0]}.csv" in disposition
    row: Any = database.execute(
        "select filename, mime_type, uploaded_at is not null, id, size_bytes, (select (metadata ->> 'size')"
        "::bigint from storage.objects where name = storage_key) from tmp_files where mime_type = 'text/csv'"
        " order by id desc limit 1"
    ).fetchone()
    assert row[:3] == (f"ar-aging-{day[0]}.csv", "text/csv", True)
    assert row[4] == row[5]
    assert shop.data("GET", "tmp-files")[0]["id"] == row[3]
    assert customer.get(f"tmp-files/{row[3]}").status_code == 404
    assert list(Path("/tmp").glob("export-*/ar-aging.csv")) == []


@pytest.mark.parametrize("name", NAMES)
def test_an_export_is_the_shops_alone(nobody: Client, other_customer: Client, name: str) -> None:
    assert nobody.get(f"export/{name}.csv").status_code == 401
    refused = other_customer.get(f"export/{name}.csv")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "ADMIN_ONLY")
