"""A shop's database, filled with data, upgrades from the released migrations to the newest and loses nothing."""

from collections.abc import Callable
from itertools import count

import psycopg
import pytest

from devstack.schema import migrations, read_catalogue, released, unreleased
from tests.integration.schema.bare import HERE, PROJECT, as_database_role, make_project, run_files
from tests.integration.schema.upgrade import empty_columns, losses, read_rows

INTENDED: frozenset[str] = frozenset()
"""What the unreleased migrations lose on purpose, in the words of `losses`; empty again once they are released."""

NAMES = (f"upgrade_{number}" for number in count())

type Filled = Callable[[], tuple[str, str]]


@pytest.fixture
def filled(schema_server: str) -> Filled:
    """Makes a database at the released migrations (at all, before the first release) with data: its name and URL."""
    known = released(PROJECT)
    state = [path for path in migrations(PROJECT) if path.name in known] or migrations(PROJECT)

    def make() -> tuple[str, str]:
        name = next(NAMES)
        url = make_project(schema_server, name, legacy=False)
        run_files(url, name, [*state, PROJECT / "seed.sql"])
        with psycopg.connect(url) as superuser:  # the rows of auth.users are Supabase Auth's to write
            superuser.execute((HERE / "filled.sql").read_bytes())
        return name, url

    return make


def test_the_data_fills_every_column_of_every_table(filled: Filled) -> None:
    """Else an upgrade could lose what was never there."""
    assert empty_columns(read_rows(filled()[1])) == []


def test_a_filled_database_upgrades_to_the_newest_and_loses_nothing(
    filled: Filled, replayed: dict[str, str]
) -> None:
    name, url = filled()
    before = read_rows(url)
    run_files(url, name, unreleased(PROJECT) if released(PROJECT) else [])
    assert set(losses(before, read_rows(url))) == INTENDED
    assert read_catalogue(url) == read_catalogue(replayed["new"])


@pytest.mark.parametrize(
    ("migration", "loss"),
    [
        ("delete from client_notes", "1 of 1 rows of client_notes are gone or changed"),
        ("truncate stray_objects", "1 of 1 rows of stray_objects are gone or changed"),
        ("drop table stray_objects", "table stray_objects is gone"),
        ("alter table jobs drop column notes", "column jobs.notes is gone"),
        ("update invoices set notes = 'x' where id = 1", "1 of 2 rows of invoices are gone or changed"),
        (
            "alter table clients drop column state; alter table clients add column state text not null default ''",
            "1 of 2 rows of clients are gone or changed",
        ),
        (
            "alter table printers alter column bed_x_mm type integer using 100",
            "2 of 2 rows of printers are gone or changed",
        ),
    ],
)
def test_a_migration_that_loses_data_is_found(filled: Filled, migration: str, loss: str) -> None:
    name, url = filled()
    before = read_rows(url)
    with psycopg.connect(as_database_role(url, name)) as owner:
        owner.execute(migration.encode())
    assert losses(before, read_rows(url)) == [loss]


def test_a_migration_that_keeps_data_is_not_reported(filled: Filled) -> None:
    name, url = filled()
    before = read_rows(url)
    with psycopg.connect(as_database_role(url, name)) as owner:
        owner.execute("alter table jobs add column colour text not null default 'red'")
        owner.execute("insert into stray_objects (bucket, key) values ('tmp', 'another')")
        owner.execute("create table spools (id bigint primary key)")
    assert losses(before, read_rows(url)) == []


@pytest.mark.parametrize(
    "migration",
    [
        "alter table clients add column region text not null",
        "alter table invoices add constraint small check (total_cents < 100)",
        "create unique index one_invoice on invoices (currency)",
    ],
)
def test_a_migration_that_only_an_empty_database_takes_fails(filled: Filled, migration: str) -> None:
    name, url = filled()
    with pytest.raises(psycopg.errors.IntegrityError), psycopg.connect(as_database_role(url, name)) as owner:
        owner.execute(migration.encode())
