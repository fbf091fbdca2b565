"""What the rows of a database are before and after an upgrade, and which of them it lost or changed."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

TABLES = """
select c.relname, array_agg(attname::text order by attnum), array_agg(attgenerated <> '' order by attnum)
  from pg_class c join pg_attribute on attrelid = c.oid
 where relnamespace = 'public'::regnamespace and relkind = 'r' and attnum > 0 and not attisdropped
 group by c.relname
"""


@dataclass(frozen=True)
class Rows:
    """One table's rows as texts, its columns by name; a generated column says nothing that the others do not."""

    columns: tuple[str, ...]
    rows: tuple[dict[str, Any], ...]


def read_rows(url: str) -> dict[str, Rows]:
    """Every row of schema public, by table."""
    found = {}
    with psycopg.connect(url) as connection:
        for table, columns, generated in connection.execute(TABLES.encode()).fetchall():
            kept = tuple(name for name, is_made in zip(columns, generated, strict=True) if not is_made)
            texts = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(name)) for name in kept)
            query = sql.SQL("select {} from {}").format(texts, sql.Identifier("public", table))
            rows = connection.execute(query).fetchall()
            found[table] = Rows(kept, tuple(dict(zip(kept, row, strict=True)) for row in rows))
    return found


def losses(before: dict[str, Rows], after: dict[str, Rows]) -> list[str]:
    """What of the rows before is not there after, one sentence each: tables, columns, and rows by their values."""
    found = []
    for table, old in sorted(before.items()):
        new = after.get(table)
        if new is None:
            found.append(f"table {table} is gone")
            continue
        found += [f"column {table}.{name} is gone" for name in old.columns if name not in new.columns]
        common = [name for name in old.columns if name in new.columns]
        lost = _counted(old, common) - _counted(new, common)
        if lost:
            found.append(f"{lost.total()} of {len(old.rows)} rows of {table} are gone or changed")
    return found


def empty_columns(rows: dict[str, Rows]) -> list[str]:
    """The columns that have a value in no row."""
    return [
        f"{table}.{name}"
        for table, found in sorted(rows.items())
        for name in found.columns
        if all(row[name] is None for row in found.rows)
    ]


def _counted(rows: Rows, columns: list[str]) -> Counter[tuple[Any, ...]]:
    return Counter(tuple(row[name] for name in columns) for row in rows.rows)
