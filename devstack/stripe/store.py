"""The stand-in's state in one SQLite file, so that a killed process loses nothing that it has answered."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

type Body = dict[str, Any]
"""A Stripe object as its JSON."""

_SCHEMA = """
create table if not exists objects (
    seq integer primary key, id text not null unique, kind text not null, body text not null, private text not null
);
create index if not exists objects_by_kind on objects (kind, seq);
create table if not exists settings (name text primary key, value text not null);
create table if not exists counters (name text primary key, value integer not null);
create table if not exists idempotency (
    key text primary key, endpoint text not null, fingerprint text not null, request_id text not null,
    status integer not null, headers text not null, body text not null, created integer not null
);
create table if not exists requests (
    seq integer primary key, request_id text not null, at real not null, method text not null, path text not null,
    stripe_version text, idempotency_key text, replayed integer not null, status integer, fault text
);
create table if not exists deliveries (
    seq integer primary key, event_id text not null, event_type text not null, endpoint_id text not null,
    copy integer not null, state text not null, attempts integer not null default 0, next_at real not null,
    turn integer, overrides text not null
);
create index if not exists deliveries_by_event on deliveries (event_id);
create index if not exists deliveries_open on deliveries (next_at) where state = 'pending';
create table if not exists attempts (
    seq integer primary key, delivery integer not null, at real not null, status integer, error text,
    milliseconds real not null
);
create index if not exists attempts_by_delivery on attempts (delivery);
"""


class Store:
    """Objects by id and kind, settings by name; the other tables are used by the module of their name."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("pragma journal_mode = wal")
        self._connection.execute("pragma synchronous = normal")
        self._connection.executescript(_SCHEMA)
        self._depth = 0

    def close(self) -> None:
        self._connection.close()

    def run(self, sql: str, *values: Any) -> sqlite3.Cursor:
        return self._connection.execute(sql, values)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A transaction; an inner one joins the outer one."""
        if self._depth:
            yield
            return
        self._depth += 1
        self.run("begin immediate")
        try:
            yield
        except BaseException:
            self.run("rollback")
            raise
        else:
            self.run("commit")
        finally:
            self._depth -= 1

    def add(self, body: Body, private: Mapping[str, Any] | None = None) -> Body:
        """Store a new object by its `id` and `object`; the API never shows `private`."""
        self.run(
            "insert into objects (id, kind, body, private) values (?, ?, ?, ?)",
            body["id"],
            body["object"],
            json.dumps(body),
            json.dumps(private or {}),
        )
        return body

    def save(self, body: Body) -> Body:
        self.run("update objects set body = ? where id = ?", json.dumps(body), body["id"])
        return body

    def save_private(self, identifier: str, private: Mapping[str, Any]) -> None:
        self.run("update objects set private = ? where id = ?", json.dumps(private), identifier)

    def get(self, kind: str, identifier: str) -> Body | None:
        row = self.run("select body from objects where id = ? and kind = ?", identifier, kind).fetchone()
        return None if row is None else self._read(row["body"])

    def private(self, identifier: str) -> dict[str, Any]:
        row = self.run("select private from objects where id = ?", identifier).fetchone()
        return {} if row is None else self._read(row["private"])

    def newest_first(self, kind: str, where: Mapping[str, Any] | None = None) -> Iterator[Body]:
        """The objects of a kind whose fields equal `where`; a name may be a path ("customer_details.email")."""
        clauses, values = ["kind = ?"], [kind]
        for name, value in (where or {}).items():
            clauses.append("json_extract(body, ?) = ?")
            values += [f"$.{name}", value]
        # The clauses are constants of this method; every value is bound.
        sql = f"select body from objects where {' and '.join(clauses)} order by seq desc"  # noqa: S608
        for row in self.run(sql, *values):
            yield self._read(row["body"])

    def setting(self, name: str, default: Any = None) -> Any:
        row = self.run("select value from settings where name = ?", name).fetchone()
        return default if row is None else json.loads(row["value"])

    def put_setting(self, name: str, value: Any) -> None:
        self.run("insert or replace into settings (name, value) values (?, ?)", name, json.dumps(value))

    def count(self, name: str, by: int = 1) -> None:
        self.run(
            "insert into counters (name, value) values (?, ?) "
            "on conflict (name) do update set value = value + excluded.value",
            name,
            by,
        )

    def counters(self) -> dict[str, int]:
        return {row["name"]: row["value"] for row in self.run("select name, value from counters")}

    @staticmethod
    def _read(text: str) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(text)
        return body
