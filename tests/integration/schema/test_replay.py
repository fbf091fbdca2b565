"""The migrations on an empty PostgreSQL: what they make, and who may touch it."""

from typing import Any

import psycopg
import pytest

from tests.integration.schema.bare import golden, make_project, read_grants

TABLES = """
settings users clients materials product_templates printers quotes quote_items invoices invoice_items payments jobs
tmp_files order_files attachments activity_logs user_messages webhook_events number_sequences slice_results
idempotency_keys component_health
""".split()
SEED_COLUMNS = {
    "tmp_files": "id user_id storage_key filename size_bytes mime_type status metadata created_at updated_at",
    "order_files": "id invoice_id quote_id client_id filename storage_key file_type mime_type size_bytes metadata "
    "uploaded_by uploaded_at",
    "webhook_events": "stripe_event_id event_type processed_at metadata",
    "invoices": "stripe_checkout_url stripe_session_id",
    "users": "auth_user_id role client_id",
}
UNIQUE = {
    ("tmp_files", "storage_key"),
    ("order_files", "storage_key"),
    ("attachments", "storage_key"),
    ("payments", "processor_id"),
    ("jobs", "invoice_id"),
    ("webhook_events", "stripe_event_id"),
    ("quotes", "converted_invoice_id"),
}


def column(catalog: psycopg.Connection, query: str, *params: object) -> list[Any]:
    return [row[0] for row in catalog.execute(query.encode(), params).fetchall()]


def test_both_regimes_end_in_the_grants_of_the_golden_table(regime_url: str) -> None:
    grants, expected = read_grants(regime_url), golden()
    assert (sorted(grants - expected), sorted(expected - grants)) == ([], [])


def anon_reads_a_new_table(url: str) -> bool:
    with psycopg.connect(url) as connection:
        connection.execute("set role postgres")
        connection.execute("create table public.forgotten (id bigint)")
        row = connection.execute("select has_table_privilege('anon', 'forgotten', 'SELECT')").fetchone()
        connection.rollback()
    assert row is not None
    return bool(row[0])


@pytest.mark.parametrize("legacy", [True, False], ids=["older", "new"])
def test_only_an_older_project_gives_a_new_table_to_everybody_before_the_migrations(
    schema_server: str, legacy: bool
) -> None:
    """Else the comparison above would compare nothing."""
    untouched = make_project(schema_server, f"untouched_{legacy}", legacy=legacy)
    assert anon_reads_a_new_table(untouched) == legacy


def test_after_the_migrations_a_new_table_is_closed_under_both_regimes(regime_url: str) -> None:
    assert not anon_reads_a_new_table(regime_url)


def test_the_golden_table_names_service_role_alone() -> None:
    assert {(grantee, kind) for _, kind, grantee, _ in golden() if grantee != "service_role"} == {
        ("public", "type")
    }


def test_the_golden_table_lets_service_role_use_tables_but_not_change_them() -> None:
    assert {privilege for _, kind, _, privilege in golden() if kind == "table"} == {
        "SELECT",
        "INSERT",
        "UPDATE",
        "DELETE",
    }


def test_every_table_of_the_domain_exists(catalog: psycopg.Connection) -> None:
    made = column(
        catalog, "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'"
    )
    assert set(TABLES) - set(made) == set()


@pytest.mark.parametrize("table", SEED_COLUMNS)
def test_the_columns_have_the_names_of_the_seed(catalog: psycopg.Connection, table: str) -> None:
    made = column(
        catalog, "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0", table
    )
    assert set(SEED_COLUMNS[table].split()) - set(made) == set()


def test_every_table_has_row_level_security_and_one_policy_for_service_role_only(
    catalog: psycopg.Connection,
) -> None:
    tables = catalog.execute(
        "select tablename, rowsecurity from pg_tables where schemaname = 'public'"
    ).fetchall()
    policies = catalog.execute(
        "select tablename, roles::text[], permissive, cmd, qual, with_check from pg_policies"
        " where schemaname = 'public'"
    ).fetchall()
    assert sorted(tables) == sorted((name, True) for name, _ in tables)
    assert sorted(policies) == sorted(
        (name, ["service_role"], "PERMISSIVE", "ALL", "true", "true") for name, _ in tables
    )


def test_no_view_looks_around_the_policies(catalog: psycopg.Connection) -> None:
    assert column(catalog, "select viewname from pg_views where schemaname = 'public'") == []


def test_every_function_is_security_invoker_with_a_pinned_search_path(catalog: psycopg.Connection) -> None:
    loose = column(
        catalog,
        "select oid::regprocedure::text from pg_proc where pronamespace = 'public'::regnamespace"
        " and (prosecdef or not coalesce(proconfig @> array['search_path=public, pg_temp'], false))",
    )
    assert loose == []


def test_every_foreign_key_has_an_index(catalog: psycopg.Connection) -> None:
    bare = column(
        catalog,
        """select conrelid::regclass::text || '.' || conname from pg_constraint c
            where contype = 'f' and connamespace = 'public'::regnamespace and not exists (
              select from pg_index i where i.indrelid = c.conrelid and i.indpred is null
                 and (i.indkey::int2[])[0:cardinality(c.conkey) - 1] = c.conkey)""",
    )
    assert bare == []


def test_no_column_is_numeric_or_floating(catalog: psycopg.Connection) -> None:
    inexact = column(
        catalog,
        "select table_name || '.' || column_name from information_schema.columns where table_schema = 'public'"
        " and data_type in ('numeric', 'real', 'double precision', 'money')",
    )
    assert inexact == []


def test_every_time_is_kept_with_its_zone(catalog: psycopg.Connection) -> None:
    zoneless = column(
        catalog,
        "select table_name || '.' || column_name from information_schema.columns where table_schema = 'public'"
        " and data_type = 'timestamp without time zone'",
    )
    assert zoneless == []


@pytest.mark.parametrize(("table", "name"), sorted(UNIQUE))
def test_what_must_be_unique_is(catalog: psycopg.Connection, table: str, name: str) -> None:
    indexes = column(
        catalog,
        "select indexrelid::regclass::text from pg_index join pg_attribute a on a.attrelid = indrelid"
        " and a.attnum = indkey[0] where indrelid = %s::regclass and attname = %s and indisunique and indnatts = 1"
        " and indpred is null",
        table,
        name,
    )
    assert len(indexes) == 1


def test_every_amount_has_a_lower_bound_or_is_kept_by_the_database(catalog: psycopg.Connection) -> None:
    unbounded = column(
        catalog,
        """select c.relname || '.' || attname from pg_attribute a join pg_class c on c.oid = attrelid
            where c.relnamespace = 'public'::regnamespace and relkind = 'r' and attname like '%%\\_cents'
              and attgenerated = '' and not exists (
                select from pg_constraint k
                 where k.conrelid = c.oid and k.contype = 'c' and attnum = any (k.conkey))""",
    )
    # paid_cents is the ledger's; the session's amount is a copy of a balance.
    assert sorted(unbounded) == ["invoices.paid_cents", "invoices.stripe_session_cents"]


def test_the_buckets_are_private(catalog: psycopg.Connection) -> None:
    buckets = catalog.execute(
        "select id, public, file_size_limit from storage.buckets order by id"
    ).fetchall()
    megabyte = 1024 * 1024
    assert buckets == [
        ("attachments", False, 25 * megabyte),
        ("order-files", False, 100 * megabyte),
        ("pdfs", False, 25 * megabyte),
        ("tmp", False, 100 * megabyte),
    ]


def test_the_seed_run_twice_leaves_one_of_each(catalog: psycopg.Connection) -> None:
    assert column(catalog, "select name from materials order by name") == ["PETG", "PLA"]
    assert column(catalog, "select kind from number_sequences order by kind") == ["invoice", "quote"]
    assert column(
        catalog, "select name from materials join settings on default_material_id = materials.id"
    ) == ["PLA"]
    assert column(catalog, "select count(*) from settings") == [1]
