"""What a request may leave behind: rows, objects, messages."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from local.stack import Stack

# Heartbeats are written by functions as they start, whoever calls them.
APART = {"component_health"}


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
            "select count(*), sum(hashtextextended((to_jsonb(t) - array['reserved_until', 'updated_at'])::text, 0))"
            f' from public."{table}" t'.encode()
        ).fetchone()
        for table in tables
    }
    found["objects"] = sorted(database.execute("select bucket_id, name from storage.objects").fetchall())
    attributes = stack.aws.client("sqs").get_queue_attributes(
        QueueUrl=stack.queue_url,
        AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
    )["Attributes"]
    return found | {"messages": attributes}


@contextmanager
def nothing_left_behind(stack: Stack, database: psycopg.Connection) -> Iterator[None]:
    before = traces(stack, database)
    yield
    after = traces(stack, database)
    assert {name: value for name, value in after.items() if before[name] != value} == {}
