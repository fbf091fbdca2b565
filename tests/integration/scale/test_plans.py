"""Every list, search and the dashboard runs on an index, whatever it is asked: judged by plans that really ran."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from devstack.database import Postgres
from tests.integration.schema.bare import replay
from tests.integration.schema.shop import call
from tests.support.loads import load_invoices

BIG = (
    "invoices",
    "invoice_items",
    "payments",
    "jobs",
    "quotes",
    "quote_items",
    "activity_logs",
    "user_messages",
)
"""What grows with the years; the clients of a bureau and its catalogue do too, but slowly."""
SEQUENTIAL = re.compile(rf"Seq Scan on (?:public\.)?({'|'.join(BIG)})\b")


class Plans:
    """Runs a function as the back end does and tells the plans of every statement inside."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._seen: list[str] = []
        connection.add_notice_handler(lambda notice: self._seen.append(str(notice.message_primary)))
        for setting in (
            "load 'auto_explain'",
            "set auto_explain.log_min_duration = 0",
            "set auto_explain.log_nested_statements = on",
            "set auto_explain.log_level = notice",
            "set role service_role",
        ):
            connection.execute(setting.encode())

    def of(self, function: str, **params: Any) -> list[str]:
        return self._told(lambda: call(self._connection, function, **params))

    def of_query(self, query: str) -> list[str]:
        return self._told(lambda: self._connection.execute(query.encode()))

    def _told(self, act: Callable[[], object]) -> list[str]:
        self._seen.clear()
        act()
        return [text for text in self._seen if "Query Text" in text]


@pytest.fixture(scope="module", params=[3_000, pytest.param(100_000, marks=pytest.mark.full)])
def plans(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plans]:
    postgres = Postgres(tmp_path_factory.mktemp("plans") / "postgres")
    postgres.start()
    try:
        url = replay(postgres.url, "plans", legacy=False)
        with psycopg.connect(url, autocommit=True) as connection:
            load_invoices(connection, request.param)
            if request.param < 10_000:  # so few rows are read at once as they lie, index or not
                connection.execute("set enable_seqscan = off")
            yield Plans(connection)
    finally:
        postgres.stop()


INVOICES = {
    "p_client_id": None,
    "p_status": None,
    "p_query": None,
    "p_sort": "-createdAt",
    "p_limit": 51,
    "p_after": None,
    "p_after_id": None,
}
MOMENT = "2026-01-01T00:00:00+00:00"
QUOTES = {
    "p_client_id": None,
    "p_status": None,
    "p_query": None,
    "p_oldest_first": False,
    "p_limit": 51,
    "p_after_created": None,
    "p_after_id": None,
}
JOBS = {
    "p_status": None,
    "p_printer_id": None,
    "p_archived": True,
    "p_query": None,
    "p_sort": "-createdAt",
    "p_limit": 51,
    "p_after_position": None,
    "p_after_created": None,
    "p_after_id": None,
}
CLIENTS = {
    "p_query": None,
    "p_sort": "-createdAt",
    "p_limit": 51,
    "p_after_created": None,
    "p_after_name": None,
    "p_after_id": None,
}
READS: list[tuple[str, dict[str, Any]]] = [
    *[("list_invoices", {**INVOICES, "p_sort": sort}) for sort in ("-createdAt", "createdAt", "dueDate")],
    *[("list_invoices", {**INVOICES, "p_status": status}) for status in ("PENDING", "VOID", "PAID")],
    *[
        ("list_invoices", {**INVOICES, "p_query": text})
        for text in ("load-0000123", "load-", "nothing at all", "%_")
    ],
    *[
        ("list_invoices", {**INVOICES, "p_client_id": 5, "p_sort": sort})
        for sort in ("-createdAt", "dueDate")
    ],
    ("list_invoices", {**INVOICES, "p_after": MOMENT, "p_after_id": 1000}),
    (
        "list_invoices",
        {**INVOICES, "p_status": "OVERDUE", "p_sort": "dueDate", "p_after": "2026-01-01", "p_after_id": 9},
    ),
    ("list_quotes", QUOTES),
    ("list_quotes", {**QUOTES, "p_query": "nothing at all"}),
    *[("list_jobs", {**JOBS, "p_sort": sort}) for sort in ("-createdAt", "createdAt", "queue")],
    ("list_jobs", {**JOBS, "p_query": "nothing at all"}),
    ("list_jobs", {**JOBS, "p_status": "QUEUED", "p_archived": False}),
    *[("list_clients", {**CLIENTS, "p_sort": sort}) for sort in ("-createdAt", "createdAt", "name")],
    ("list_clients", {**CLIENTS, "p_query": "company 12"}),
    ("portal_dashboard", {"p_client_id": 5, "p_user_id": 1}),
    ("portal_jobs", {"p_client_id": 5, "p_limit": 51, "p_before_created": None, "p_before_id": None}),
    ("get_client", {"p_client_id": 5}),
    ("get_invoice", {"p_invoice_id": 77, "p_client_id": None}),
    ("list_payments", {"p_client_id": None, "p_invoice_id": 77}),
    ("dashboard", {}),
    ("age_documents", {}),
]


@pytest.mark.parametrize(
    ("function", "params"), READS, ids=[f"{name}-{number}" for number, (name, _) in enumerate(READS)]
)
def test_nothing_that_grows_is_read_from_end_to_end(
    plans: Plans, function: str, params: dict[str, Any]
) -> None:
    seen = plans.of(function, **params)
    assert seen
    scanned = [plan for plan in seen if SEQUENTIAL.search(plan)]
    assert scanned == []


def test_the_judge_knows_a_sequential_scan(plans: Plans) -> None:
    """Else the test above would judge nothing."""
    (plan,) = plans.of_query("select sum(subtotal_cents) from invoices")
    assert SEQUENTIAL.search(plan)
