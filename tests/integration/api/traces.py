"""What a request may leave behind: rows, objects, messages."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from devstack import Stack

# Heartbeats are written by functions as they start, whoever calls them; attempts are counted whatever comes of them.
APART = {"component_health", "login_attempts"}


def traces(stack: Stack, database: psycopg.Connection) -> dict[str, object]:
    """A sum over the rows of each table, objects by key, messages in the queue."""
    tables = [
        row[0]
        for row in database.execute("select tablename from pg_tables where schemaname = 'public' order by 1")
        if row[0] not in APART
    ]
    found: dict[str, object] = {
        # A refused checkout leaves its files reserved for minutes, which changes no row that anybody sees.
        table: database.execute(
            "select count(*), sum(hashtextextended("
            "(to_jsonb(t) - array['reserved_until', 'used_at', 'updated_at'])::text, 0))"
            f' from public."{table}" t'.encode()
        ).fetchone()
        for table in tables
    }
    found["objects"] = sorted(database.execute("select bucket_id, name from storage.objects").fetchall())
    return found | {"messages": messages(stack)}


def messages(stack: Stack) -> int:
    """How many stand in the slicer's queues, hidden ones too."""
    sqs = stack.aws.client("sqs")
    return sum(
        int(count)
        for url in (stack.queue_url, stack.large_queue_url)
        for count in sqs.get_queue_attributes(
            QueueUrl=url,
            AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
        )["Attributes"].values()
    )


def wait_until_quiet(stack: Stack, seconds: float = 60) -> None:
    """Until the slicer has looked at every model that was uploaded: that changes rows by itself."""
    deadline = time.monotonic() + seconds
    while messages(stack):
        assert time.monotonic() < deadline, "the slicer's queues do not empty"
        time.sleep(0.1)


@contextmanager
def nothing_left_behind(stack: Stack, database: psycopg.Connection) -> Iterator[None]:
    wait_until_quiet(stack)
    before = traces(stack, database)
    yield
    after = traces(stack, database)
    assert {name: value for name, value in after.items() if before[name] != value} == {}
