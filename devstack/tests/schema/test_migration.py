"""Migrations are generated from the schemas: what they hold, keep and refuse."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from devstack.schema import MigrationError, generate, mark_released, migrations

PROJECT = Path(__file__).resolve().parents[3] / "supabase"
CONFIG = """
[db.migrations]
schema_paths = ["./schemas/orders.sql", "./schemas/access.sql"]
"""
ORDERS = """
create table orders (id bigint generated always as identity primary key, note text not null default '');

-- The number of orders.
create function count_orders() returns bigint language sql stable as 'select count(*) from orders';
"""
NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a released baseline of one table and one function."""
    (tmp_path / "schemas").mkdir()
    (tmp_path / "config.toml").write_text(CONFIG)
    shutil.copy(PROJECT / "schemas" / "access.sql", tmp_path / "schemas")
    declare(tmp_path, ORDERS)
    assert generate(tmp_path, "baseline", now=NOW) == tmp_path / "migrations" / "20260304050607_baseline.sql"
    mark_released(tmp_path)
    return tmp_path


def declare(project: Path, sql: str) -> None:
    (project / "schemas" / "orders.sql").write_text(sql)


def generated(project: Path, name: str) -> str:
    path = generate(project, name, now=NOW)
    assert path is not None
    return path.read_text()


def by_hand(path: Path, marker: str, steps: str) -> None:
    text = path.read_text()
    assert text.count(marker) == 1
    path.write_text(text.replace(marker, f"{marker}\n{steps}"))


def test_the_baseline_is_the_schema_files_and_the_closing_rule(project: Path) -> None:
    text = migrations(project)[0].read_text()
    assert ORDERS.strip() in text
    assert text.endswith((project / "schemas" / "access.sql").read_text())


def test_without_a_change_no_migration_is_written(project: Path) -> None:
    assert generate(project, "nothing") is None
    assert [path.name for path in migrations(project)] == ["20260304050607_baseline.sql"]


def test_a_change_becomes_the_statements_that_make_it_and_the_grants_of_what_is_new(project: Path) -> None:
    declare(
        project,
        ORDERS.replace("note text", "colour text, note text")
        + "create table parcels (id bigint primary key);",
    )
    text = generated(project, "parcels")
    assert 'ALTER TABLE "public"."orders" ADD COLUMN "colour" text;' in text
    assert 'CREATE TABLE "public"."parcels"' in text
    assert "grant select, insert, update, delete on all tables in schema public to service_role;" in text
    assert "count_orders" not in text
    # The same second as the baseline's, so the next one.
    assert migrations(project)[-1].name == "20260304050608_parcels.sql"
    assert generate(project, "nothing") is None


def test_a_changed_function_body_is_replaced(project: Path) -> None:
    declare(project, ORDERS.replace("count(*)", "count(id)"))
    text = generated(project, "count_by_id")
    assert "CREATE OR REPLACE FUNCTION public.count_orders()" in text
    assert "select count(id) from orders" in text


def test_generated_anew_a_migration_keeps_the_steps_by_hand(project: Path) -> None:
    renamed = ORDERS.replace("note text", "remark text")
    declare(project, renamed)
    assert 'DROP COLUMN "note"' in generated(project, "remarks")
    path = migrations(project)[-1]
    by_hand(path, "-- Steps by hand, before.", "alter table orders rename column note to remark;")
    by_hand(path, "-- Steps by hand, after.", "update orders set remark = 'none' where remark = '';")
    declare(project, renamed.replace("remark text", "colour text, remark text"))
    text = generated(project, "remarks")
    assert migrations(project)[-1] == path
    assert "DROP COLUMN" not in text
    assert 'ADD COLUMN "colour"' in text
    assert text.count("alter table orders rename column note to remark;") == 1
    assert text.count("update orders set remark = 'none' where remark = '';") == 1
    assert text.index("rename column") < text.index("ADD COLUMN") < text.index("update orders")


def test_a_lost_column_is_named_as_a_loss_of_data(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    declare(project, ORDERS.replace(", note text not null default ''", ""))
    generated(project, "without_notes")
    assert 'Loses data: ALTER TABLE "public"."orders" DROP COLUMN "note"' in capsys.readouterr().err


def test_a_released_migration_is_not_generated_anew(project: Path) -> None:
    with pytest.raises(MigrationError, match=r"20260304050607_baseline.sql is released"):
        generate(project, "baseline")


def test_steps_by_hand_that_fail_are_named(project: Path) -> None:
    declare(project, ORDERS.replace("note text", "colour text, note text"))
    generated(project, "colours")
    by_hand(
        migrations(project)[-1], "-- Steps by hand, before.", "alter table no_such_table add column a int;"
    )
    with pytest.raises(MigrationError, match=r"steps by hand, before failed: .*no_such_table"):
        generate(project, "colours")


def test_a_migration_that_lost_its_markers_is_left_alone(project: Path) -> None:
    declare(project, ORDERS.replace("note text", "colour text, note text"))
    generated(project, "colours")
    path = migrations(project)[-1]
    path.write_text("alter table orders add column colour text;")
    with pytest.raises(MigrationError, match="lost its markers"):
        generate(project, "colours")
    assert path.read_text() == "alter table orders add column colour text;"


@pytest.mark.parametrize("name", ["", "A", "ab", "with space", "../up", "9_lives"])
def test_a_name_that_is_no_file_name_is_refused(project: Path, name: str) -> None:
    with pytest.raises(MigrationError, match="NAME is lower case"):
        generate(project, name)
