"""The dashboard's figures, the ageing of debts, and the plans behind them and the exports."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import psycopg
import pytest

from tests.integration.schema.bare import replay
from tests.integration.schema.shop import Shop, call

LEDGERS = ("invoices", "invoice_items", "payments")


@pytest.fixture(scope="module")
def office_url(schema_server: str) -> str:
    return replay(schema_server, "office", legacy=False)


@pytest.fixture
def office(office_url: str) -> Iterator[Shop]:
    """A shop of its own, for its figures are of all rows, emptied before each test."""
    with Shop(office_url) as opened:
        opened.rows.execute(
            "truncate clients, users, invoices, payments, quotes, jobs, activity_logs cascade"
        )
        opened.rows.execute("truncate webhook_events, user_messages")
        yield opened


def owed(shop: Shop, due: str, *, cents: int = 110, currency: str = "AUD", status: str = "PENDING") -> int:
    """An invoice due on a day given in SQL, with its line."""
    with shop.rows.transaction():
        client = shop.value("insert into clients (name) values ('Clara') returning id")
        made = shop.value(
            "insert into invoices (number, client_id, status, issue_date, due_date, currency, subtotal_cents,"
            f" tax_rate_bps, tax_cents, total_cents) values ('A-' || gen_random_uuid(), %s, %s, '2026-01-01', {due},"
            " %s, %s, 0, 0, %s) returning id",
            client,
            status,
            currency,
            cents,
            cents,
        )
        shop.rows.execute(
            "insert into invoice_items (invoice_id, position, description, quantity_milli, unit_price_cents,"
            " total_cents) values (%s, 1, 'Print', 1000, %s, %s)",
            (made, cents, cents),
        )
    return int(made)


def paid(shop: Shop, invoice: int, cents: int, at: str = "now()") -> int:
    with shop.rows.transaction():
        payment = shop.value(
            f"insert into payments (invoice_id, method, amount_cents, paid_at) values (%s, 'CASH', %s, {at})"
            " returning id",
            invoice,
            cents,
        )
        shop.rows.execute("select update_invoice_status(%s, '{}')", (invoice,))
    return int(payment)


@pytest.mark.parametrize(
    ("days", "bucket"),
    [
        (-10, "CURRENT"),
        (0, "CURRENT"),
        (1, "1-30 days"),
        (30, "1-30 days"),
        (31, "31-60 days"),
        (60, "31-60 days"),
        (61, "61-90 days"),
        (90, "61-90 days"),
        (91, "90+ days"),
        (4000, "90+ days"),
    ],
)
def test_a_debt_is_current_until_its_due_day_is_over(office: Shop, days: int, bucket: str) -> None:
    owed(office, f"business_today() - {days}")
    page = office.call("export_ar_aging", p_after_id=0, p_limit=10, p_today=None)
    assert [row[5] for row in page["rows"]] == [max(0, days)]
    assert [row[6] for row in page["rows"]] == [bucket]
    assert page["today"] == office.value("select business_today()::text")


def test_the_ageing_is_of_the_named_day_and_of_what_is_owed_alone(office: Shop) -> None:
    open_one = owed(office, "'2026-01-31'")
    paid(office, owed(office, "'2026-01-31'"), 110)
    for status in ("VOID", "WRITTEN_OFF", "REFUNDED"):
        owed(office, "'2026-01-31'", status=status)
    part = owed(office, "'2026-01-31'", status="OVERDUE")
    paid(office, part, 100)
    page = office.call("export_ar_aging", p_after_id=0, p_limit=10, p_today=date(2026, 2, 1))
    assert [(row[5], row[6], row[8]) for row in page["rows"]] == [(1, "1-30 days", 110), (1, "1-30 days", 10)]
    assert page["lastId"] == part > open_one


def test_the_dashboard_sums_by_currency_and_day(office: Shop) -> None:
    owed(office, "business_today()", cents=100)
    owed(office, "business_today() - 30", cents=200, status="OVERDUE")
    owed(office, "business_today() - 31", cents=400, status="OVERDUE")
    owed(office, "business_today() - 61", cents=800, status="OVERDUE")
    owed(office, "business_today() - 91", cents=1600)
    paid(office, owed(office, "business_today() - 500", cents=50), 50)
    owed(office, "business_today()", cents=7, currency="JPY")
    paid(office, owed(office, "business_today()", cents=1000, currency="JPY"), 1500)
    board = office.call("dashboard")
    assert board["receivables"] == [
        {
            "currency": "AUD",
            "outstandingCount": 5,
            "outstandingCents": 3100,
            "overdueCount": 3,
            "overdueCents": 1400,
        },
        {
            "currency": "JPY",
            "outstandingCount": 1,
            "outstandingCents": 7,
            "overdueCount": 0,
            "overdueCents": 0,
        },
    ]
    assert board["arAging"][0] == {
        "currency": "AUD",
        "currentCents": 100,
        "days1To30Cents": 200,
        "days31To60Cents": 400,
        "days61To90Cents": 800,
        "daysOver90Cents": 1600,
    }
    assert board["credit"] == [{"currency": "JPY", "invoiceCount": 1, "creditCents": 500}]


def test_revenue_is_payments_less_refunds_of_the_businesss_months(office: Shop) -> None:
    zone = "(select time_zone from settings)"
    month = f"(date_trunc('month', now() at time zone {zone}))"
    invoice = owed(office, "business_today()", cents=1000)
    first = paid(office, invoice, 600, f"{month} at time zone {zone}")
    paid(office, invoice, 300, f"({month} - interval '1 second') at time zone {zone}")
    paid(office, invoice, 70, f"({month} - interval '1 month') at time zone {zone}")
    paid(office, invoice, 20, f"({month} - interval '1 month' - interval '1 second') at time zone {zone}")
    office.rows.execute(
        "insert into payments (invoice_id, kind, method, amount_cents, parent_payment_id)"
        " values (%s, 'REFUND', 'CASH', -100, %s)",
        (invoice, first),
    )
    revenue = office.call("dashboard")["revenue"]
    assert revenue == [{"currency": "AUD", "thisMonthCents": 500, "lastMonthCents": 370}]


def test_the_dashboard_counts_what_waits(office: Shop) -> None:
    customer = office.customer()
    for status, review in (
        ("PENDING", False),
        ("PENDING", False),
        ("DRAFT", True),
        ("DRAFT", False),
        ("ACCEPTED", False),
    ):
        office.rows.execute(
            "insert into quotes (number, client_id, status, issue_date, valid_until, currency, subtotal_cents,"
            " tax_rate_bps, tax_cents, total_cents, needs_review)"
            " values (gen_random_uuid(), %s, %s, now(), now(), 'AUD', 0, 0, 0, 0, %s)",
            (customer.client_id, status, review),
        )
    printer = office.value("select min(id) from printers")
    for status, held, archived in (
        ("PRINTING", None, None),
        ("QUEUED", "dispute", None),
        ("QUEUED", None, None),
        ("COMPLETED", None, "now()"),
    ):
        office.rows.execute(
            "insert into jobs (invoice_id, client_id, title, status, held_reason, archived_at, printer_id)"
            " select %s, client_id, 'Job', %s, %s, %s, case when %s = 'PRINTING' then %s end"
            " from invoices where id = %s",
            (
                job_of := owed(office, "business_today()"),
                status,
                held,
                archived and datetime.now(UTC),
                status,
                printer,
                job_of,
            ),
        )
    office.rows.execute(
        "insert into user_messages (user_id, sender_id, body) values (%(u)s, %(u)s, 'a'), (%(u)s, null, 'b')",
        {"u": customer.user_id},
    )
    office.rows.execute(
        "insert into webhook_events (stripe_event_id, event_type, outcome)"
        " values ('a', 'x', 'FLAGGED'), ('b', 'x', 'UNMATCHED'), ('c', 'x', 'APPLIED')"
    )
    office.fail(office.claim(office.request(customer, office.uploaded(customer))), final=True)
    office.claim(office.request(customer, office.uploaded(customer)))
    office.request(customer, office.uploaded(customer))
    board = office.call("dashboard")
    assert board["quotes"] == {"waiting": 2, "toReview": 1, "toConvert": 1}
    assert board["jobs"] == [{"status": "QUEUED", "count": 2}, {"status": "PRINTING", "count": 1}]
    assert board["heldJobs"] == 1
    assert board["printers"] == [{"status": "ACTIVE", "count": 2, "busy": 1}]
    assert board["slices"] == {"waiting": 1, "running": 1, "failedLastDay": 1}
    assert (board["unreadMessages"], board["stripeEventsToSee"]) == (1, 2)
    assert board["recentActivity"][0]["id"] == office.value("select max(id) from activity_logs")
    assert len(board["recentActivity"]) <= 10


def test_a_time_zone_that_only_python_knows_is_refused(office: Shop) -> None:
    before = office.call("get_settings")
    refused = office.call(
        "save_settings", p_user_id=1, p_settings={**before, "timeZone": "Mars/Olympus"}, p_updated_at=None
    )
    assert refused["error"]["code"] == "UNKNOWN_TIME_ZONE"
    assert office.call("get_settings") == before


def test_of_two_saves_at_once_one_is_refused(office: Shop) -> None:
    def save(connection: psycopg.Connection, number: int) -> Any:
        settings = {**before, "setupCents": before["setupCents"] + 1 + number}
        return call(
            connection, "save_settings", p_user_id=1, p_settings=settings, p_updated_at=before["updatedAt"]
        )

    for _ in range(50):
        before = office.call("get_settings")
        answers = office.at_once(2, save)
        refused = [answer["error"]["code"] for answer in answers if "error" in answer]
        assert refused == ["SETTINGS_CHANGED"]


# -- plans -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def grown(schema_server: str) -> Iterator[psycopg.Connection]:
    """6,000 invoices, one in ten open, with their lines and payments, and the plans of what functions do."""
    url = replay(schema_server, "grown", legacy=False)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute("insert into clients (name) select 'Client ' || n from generate_series(1, 3000) n")
        connection.execute("""
            insert into invoices (number, client_id, status, issue_date, due_date, currency, subtotal_cents,
                tax_rate_bps, tax_cents, total_cents, paid_cents)
            select 'G-' || n, 1 + n % 3000, (case when n % 10 = 0 then 'PENDING' else 'PAID' end)::invoice_status,
              current_date - n % 1500, current_date - n % 1500, 'AUD', 1000, 1000, 100, 1100,
              case when n % 10 = 0 then 0 when n % 500 = 1 then 1200 else 1100 end
            from generate_series(1, 6000) n""")
        connection.execute("""
            insert into invoice_items (invoice_id, position, description, quantity_milli, unit_price_cents,
                total_cents)
            select id, line, 'Print', 1000, 250, 250 from invoices, generate_series(1, 4) line""")
        connection.execute("""
            insert into payments (invoice_id, method, amount_cents, paid_at)
            select id, 'CASH', paid_cents, now() - id % 1500 * interval '1 day' from invoices where paid_cents > 0""")
        connection.execute("""
            insert into jobs (invoice_id, client_id, title, status, archived_at)
            select id, client_id, 'Job', 'COMPLETED', case when id % 20 > 0 then now() end from invoices""")
        connection.execute("vacuum analyze")
        connection.execute("load 'auto_explain'")
        connection.execute("set auto_explain.log_min_duration = 0")
        connection.execute("set auto_explain.log_nested_statements = on")
        connection.execute("set auto_explain.log_parameter_max_length = 0")
        connection.execute("set client_min_messages = log")
        yield connection


def plans(connection: psycopg.Connection, statement: str) -> str:
    """The plans of every statement that `statement` runs, those within functions too."""
    notes: list[str] = []

    def note(diagnostic: psycopg.errors.Diagnostic) -> None:
        notes.append(diagnostic.message_primary or "")

    connection.add_notice_handler(note)
    connection.execute(statement.encode())
    connection.remove_notice_handler(note)
    found = "\n".join(note for note in notes if "plan:" in note)
    assert found.count("plan:") >= 1
    return found


def scanned(plan: str) -> set[str]:
    return set(re.findall(r"Seq Scan on (\w+)", plan))


def test_the_dashboard_reads_indexes(grown: psycopg.Connection) -> None:
    plan = plans(grown, "select dashboard()")
    for index in ("invoices_owed", "invoices_with_credit", "payments_by_day", "jobs_open_by_status"):
        assert index in plan, f"{index} is not used:\n{plan}"
    assert scanned(plan) & {*LEDGERS, "jobs", "quotes", "activity_logs"} <= {"quotes", "activity_logs"}, plan


@pytest.mark.parametrize("after", [0, 3000])
@pytest.mark.parametrize(
    "page",
    [
        "export_invoices({after}, 1000, null, null)",
        "export_invoices({after}, 1000, current_date - 30, current_date)",
        "export_payments({after}, 1000, null, null)",
        "export_payments({after}, 1000, current_date - 30, current_date)",
        "export_jobs({after}, 1000, null, null)",
        "export_ar_aging({after}, 100, null)",
    ],
)
def test_a_page_of_an_export_reads_indexes(grown: psycopg.Connection, page: str, after: int) -> None:
    plan = plans(grown, f"select {page.format(after=after)}")
    assert scanned(plan) & {*LEDGERS, "jobs", "clients"} == set(), plan


@pytest.mark.parametrize("function", ["export_invoices", "export_payments", "export_jobs"])
def test_pages_hold_every_row_once_in_the_order_of_ids(grown: psycopg.Connection, function: str) -> None:
    seen: list[Any] = []
    after = 0
    while True:
        row = grown.execute(f"select {function}(%s, 700, null, null)".encode(), (after,)).fetchone()
        assert row is not None
        seen += [cells[0] for cells in row[0]["rows"]]
        if len(row[0]["rows"]) < 700:
            break
        after = row[0]["lastId"]
    table, column = {
        "export_invoices": ("invoices", "number"),
        "export_payments": ("payments", "id"),
        "export_jobs": ("jobs", "id"),
    }[function]
    expected = grown.execute(f"select {column} from {table} order by id".encode()).fetchall()
    assert seen == [value for (value,) in expected]


def test_a_period_is_of_the_businesss_days_and_holds_both_ends(office: Shop) -> None:
    invoice = owed(office, "business_today()", cents=1000)
    made = [
        paid(office, invoice, 1, f"'{at}'::timestamp at time zone 'Australia/Sydney'")
        for at in ("2026-03-01 23:59:59", "2026-03-02 00:00", "2026-03-03 23:59:59", "2026-03-04 00:00")
    ]
    page = office.call(
        "export_payments", p_after_id=0, p_limit=10, p_from=date(2026, 3, 2), p_to=date(2026, 3, 3)
    )
    assert [row[0] for row in page["rows"]] == made[1:3]
    assert [row[1] for row in page["rows"]] == ["2026-03-02", "2026-03-03"]
    empty = office.call(
        "export_invoices", p_after_id=0, p_limit=10, p_from=date(9999, 12, 31), p_to=date(9999, 12, 31)
    )
    assert (empty["rows"], empty["lastId"]) == ([], None)
