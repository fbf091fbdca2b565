"""Migrations make what `supabase/schemas/` declares, and released ones stay as they were."""

import shutil
from pathlib import Path

import psycopg
import pytest

from devstack.schema import (
    changed_since_release,
    mark_released,
    migrations,
    read_catalogue,
    released,
    schema_files,
    unreleased,
)
from scripts.sql_calls import declared
from tests.integration.schema.bare import PROJECT, make_project, run_files


def test_config_names_every_schema_file_once_and_the_closing_rule_last() -> None:
    files = schema_files(PROJECT)
    assert sorted(files) == sorted((PROJECT / "schemas").rglob("*.sql"))
    assert files[-1].name == "access.sql"


@pytest.mark.parametrize("legacy", [True, False], ids=["older", "new"])
def test_migrations_and_schemas_make_the_same_catalogue(schema_server: str, legacy: bool) -> None:
    catalogues = []
    for name, files in (("migrated", migrations(PROJECT)), ("declared", schema_files(PROJECT))):
        database = f"{name}_{legacy}"
        url = make_project(schema_server, database, legacy=legacy)
        run_files(url, database, files)
        catalogues.append(read_catalogue(url))
    migrated, made_by_schemas = catalogues
    assert sorted(migrated ^ made_by_schemas) == []
    assert {entry.kind for entry in migrated} == {
        "table", "column", "constraint", "index", "function", "trigger", "policy", "type", "comment", "extension",
        "grant",
    }  # fmt: skip


@pytest.fixture(scope="module")
def changing_url(schema_server: str) -> str:
    """A database whose catalogue the tests below change."""
    url = make_project(schema_server, "changing", legacy=False)
    run_files(url, "changing", migrations(PROJECT))
    return url


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ("alter table jobs alter column notes set default 'x'", "column"),
        ("alter table jobs alter column notes drop not null", "column"),
        ("alter table jobs alter column queue_position type numeric", "column"),
        ("alter table payments drop constraint payments_refund_has_parent", "constraint"),
        ("drop index jobs_by_status", "index"),
        ("create or replace function is_resend_due(p_sent_at timestamptz, p_sends integer) returns boolean"
         " language sql stable as 'select true'", "function"),
        ("alter function business_today() security definer", "function"),
        ("drop trigger sync_paid_cents on payments", "trigger"),
        ("alter table payments disable trigger check_ledger_balance", "trigger"),
        ("alter policy service_role_only on jobs using (false)", "policy"),
        ("alter table jobs disable row level security", "table"),
        ("create view everything as select * from jobs", "table"),
        ("alter type job_priority add value 'LATER'", "type"),
        ("comment on column settings.currency is 'x'", "comment"),
        ("grant select on jobs to anon", "grant"),
        ("grant execute on function business_today() to public", "grant"),
        ("grant select (id) on materials to authenticated", "grant"),
        ("alter default privileges for role postgres in schema public grant select on tables to anon",
         "default privilege"),
        ("create extension hstore", "extension"),
    ],
)  # fmt: skip
def test_the_catalogue_shows_every_kind_of_change(changing_url: str, change: str, kind: str) -> None:
    before = read_catalogue(changing_url)
    with psycopg.connect(changing_url, autocommit=True) as superuser:
        superuser.execute(change.encode())
    assert kind in {entry.kind for entry in before ^ read_catalogue(changing_url)}


def test_the_declared_signatures_are_those_of_pg_proc(catalog: psycopg.Connection) -> None:
    rows = catalog.execute(
        """select proname, coalesce(proargnames[1:pronargs], '{}'), pronargs - pronargdefaults
             from pg_proc where pronamespace = 'public'::regnamespace"""
    ).fetchall()
    assert len({row[0] for row in rows}) == len(rows), "a call by name could mean either"
    assert {name: (signature.parameters, signature.required) for name, signature in declared().items()} == {
        name: (frozenset(names), frozenset(names[:required])) for name, names, required in rows
    }


def test_every_function_says_what_it_does_and_fits_a_screen() -> None:
    for path in schema_files(PROJECT):
        lines = path.read_text().splitlines()
        starts = [number for number, line in enumerate(lines) if line.startswith("create function ")]
        for start in starts:
            assert lines[start - 1].startswith("-- "), f"{path.name}: {lines[start]} has no comment"
            length = next(n for n, line in enumerate(lines[start:], 1) if line.rstrip().endswith("$$;"))
            assert length <= 60, f"{path.name}: {lines[start]} has {length} lines"
        assert len(lines) <= 400, path.name


def test_released_migrations_are_as_they_were() -> None:
    assert changed_since_release(PROJECT) == []


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """A project with two released migrations."""
    project = tmp_path / "supabase"
    (project / "migrations").mkdir(parents=True)
    for name in ("20260101000000_first.sql", "20260102000000_second.sql"):
        (project / "migrations" / name).write_text(f"-- {name}\n")
    assert mark_released(project) == ["20260101000000_first.sql", "20260102000000_second.sql"]
    return project


def test_a_newer_migration_may_change_until_it_is_released(history: Path) -> None:
    newer = history / "migrations" / "20260103000000_third.sql"
    for text in ("-- one\n", "-- two\n"):
        newer.write_text(text)
        assert changed_since_release(history) == []
        assert unreleased(history) == [newer]
    assert mark_released(history) == [newer.name]
    assert list(released(history)) == [path.name for path in migrations(history)]
    newer.write_text("-- three\n")
    assert changed_since_release(history) == [f"{newer.name} was released and has been edited"]


def test_a_released_migration_that_is_edited_removed_or_preceded_is_found(history: Path) -> None:
    folder = history / "migrations"
    shutil.copy(folder / "20260101000000_first.sql", folder / "20260101120000_between.sql")
    (folder / "20260101000000_first.sql").unlink()
    with (folder / "20260102000000_second.sql").open("a") as file:
        file.write("-- more\n")
    assert changed_since_release(history) == [
        "20260101000000_first.sql was released and is gone",
        "20260102000000_second.sql was released and has been edited",
        "20260101120000_between.sql is older than 20260102000000_second.sql, which is released",
    ]
    with pytest.raises(ValueError, match="has been edited"):
        mark_released(history)
