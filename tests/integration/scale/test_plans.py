"""Every list, search and the dashboard runs on an index, whatever it is asked: judged by plans that really ran."""

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from local.database import Postgres
from tests.integration.schema.bare import replay
from tests.integration.schema.shop import call
from tests.loads import load_invoices

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
        self._seen.clear()
        call(self._connection, function, **params)
        return [text for text in self._seen if "Query Text" in text]


@pytest.fixture(scope="module", params=[3_000, pytest.param(100_000, marks=pytest.mark.full)])
def plans(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plans]:
    postgres = Postgres(tmp_path_factory.mktemp("plans") / "postgres")
    postgres.start()
    try:
        url = replay(postgres.url, "plans", legacy=False)
        with psycopg.connect(url, autocommit=True) as connection:
            load_invoices(connection, request.param)
            yield Plans(connection)
    finally:
        postgres.stop()
