"""Generates a migration from what was edited in `schemas/`.

On a scratch PostgreSQL one database gets the migrations, another the schemas; @supabase/pg-delta writes the
difference between them. The migration ends with the closing rule of rights (schemas/access.sql), so that its new
objects are open to service_role only. The first migration, the baseline, is the schema files themselves.

Steps by hand go between the markers: before (a rename, data that a new constraint needs) and after (data for a new
column). They are kept when the migration is generated anew, which is possible until it is released. A migration that
changes data only is written by hand.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from devstack.database import Postgres
from devstack.schema.catalogue import read_catalogue
from devstack.schema.history import migrations, released
from devstack.supabase import packages
from devstack.supabase.project import apply_schemas, as_role, prepare, schema_files

__all__ = ["MigrationError", "generate"]

PG_DELTA = packages.HOME / "node_modules" / "@supabase" / "pg-delta" / "dist" / "cli" / "main.js"
# The closing rule grants; what the other schemas of a project have in them is Supabase's.
PROFILE = {
    "id": "printshop",
    "handlers": [],
    "policy": {
        "id": "printshop",
        "filter": [{"match": {"kind": ["acl", "defaultPrivilege"]}, "action": "exclude"}],
    },
}
BEFORE = "-- Steps by hand, before."
AFTER = "-- Steps by hand, after."
GENERATED = "-- Generated."
CLOSING = "-- The closing rule (schemas/access.sql)."


class MigrationError(Exception):
    """The migration cannot be generated; the message says what to do."""


class Steps(NamedTuple):
    """What was written by hand into a migration."""

    before: str = ""
    after: str = ""

    @classmethod
    def of(cls, migration: Path) -> "Steps":
        """Raises MigrationError when a marker is gone."""
        found = re.fullmatch(
            rf".*^{BEFORE}\n(.*)^{GENERATED}\n.*^{AFTER}\n(.*)^{re.escape(CLOSING)}\n.*",
            migration.read_text(),
            re.DOTALL | re.MULTILINE,
        )
        if found is None:
            raise MigrationError(
                f"{migration.name} has lost its markers; write it by hand, or delete it first"
            )
        return cls(found[1].strip(), found[2].strip())


@dataclass(frozen=True)
class Scratch:
    """Two databases of one server, each as a hosted project is before its first migration; superuser's URLs."""

    migrated: str
    declared: str


def generate(project: Path, name: str, *, now: datetime | None = None) -> Path | None:
    """Write the migration `name` and answer its path; None when migrations and schemas agree.

    An unreleased migration of this name is generated anew. Raises MigrationError.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{2,60}", name):
        raise MigrationError("NAME is lower case letters, digits and _, such as add_due_reminders")
    former = _former(project, name)
    earlier = [path for path in migrations(project) if path != former]
    steps = Steps.of(former) if former is not None else Steps()
    if not earlier:
        body = "\n\n".join(
            path.read_text().strip() for path in schema_files(project) if path.name != "access.sql"
        )
    else:
        body = _difference(project, earlier, steps)
    if not body and not any(steps):
        if former is not None:
            former.unlink()
        return None
    if former is None or former != migrations(project)[-1]:
        path = project / "migrations" / f"{_version(earlier, now)}_{name}.sql"
    else:
        path = former
    if former is not None:
        former.unlink()
    path.parent.mkdir(exist_ok=True)
    path.write_text(_file(project, name, steps, body))
    _check(project)
    return path


def _former(project: Path, name: str) -> Path | None:
    """The unreleased migration of this name, if there is one."""
    known = released(project)
    named = [path for path in migrations(project) if path.stem.partition("_")[2] == name]
    if any(path.name in known for path in named):
        raise MigrationError(f"{named[0].name} is released; give the new migration a name of its own")
    return named[0] if named else None


def _version(earlier: list[Path], now: datetime | None) -> str:
    """The time in UTC, later than that of every other migration."""
    version = (now or datetime.now(UTC)).strftime("%Y%m%d%H%M%S")
    last = earlier[-1].name.partition("_")[0] if earlier else ""
    return version if version > last else str(int(last) + 1)


def _file(project: Path, name: str, steps: Steps, body: str) -> str:
    closing = (project / "schemas" / "access.sql").read_text().strip()
    parts = [
        f"-- Made by `make migration NAME={name}`; what is written between the markers by hand is kept by it.",
        f"{BEFORE}\n{steps.before}".strip(),
        f"{GENERATED}\n{body}".strip(),
        f"{AFTER}\n{steps.after}".strip(),
        f"{CLOSING}\n{closing}",
    ]
    return "\n\n".join(parts) + "\n"


def _difference(project: Path, earlier: list[Path], steps: Steps) -> str:
    """The statements that make the schemas of the earlier migrations and the steps before; empty for none."""
    with _scratch() as scratch:
        _run_files(scratch.migrated, earlier)
        if steps.before:
            _run(scratch.migrated, steps.before, "the steps by hand, before")
        apply_schemas(scratch.declared, project)
        plan = _plan(scratch)
    actions = plan["actions"]
    for action in actions:
        if action["transactionality"] != "transactional" or action["newSegmentBefore"]:
            raise MigrationError(
                f"This needs a migration of its own, before what uses it: {action['sql']}\n"
                "Take the use out of the schemas, make that migration, then put it back and make the next."
            )
        if action["dataLoss"] == "destructive":
            print(f"Loses data: {action['sql']}", file=sys.stderr)
    if not actions:
        return ""
    statements = [action["sql"].strip().removesuffix(";") + ";" for action in actions]
    return "\n\n".join(["set check_function_bodies = off;", *statements, "reset check_function_bodies;"])


def _plan(scratch: Scratch) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        profile, plan = Path(folder) / "profile.json", Path(folder) / "plan.json"
        profile.write_text(json.dumps(PROFILE))
        done = subprocess.run(
            [
                packages.node(), PG_DELTA, "plan", "--profile", profile, "--renames", "off", "--out", plan,
                "--source", as_role(scratch.migrated, "postgres"),
                "--desired", as_role(scratch.declared, "postgres"),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        if done.returncode or not plan.exists():
            raise MigrationError(f"pg-delta failed:\n{done.stdout}\n{done.stderr}")
        planned: dict[str, Any] = json.loads(plan.read_text())
        return planned


def _check(project: Path) -> None:
    """Replay everything: MigrationError when migrations and schemas still differ."""
    with _scratch() as scratch:
        _run_files(scratch.migrated, migrations(project))
        apply_schemas(scratch.declared, project)
        migrated, declared = read_catalogue(scratch.migrated), read_catalogue(scratch.declared)
    if migrated != declared:
        differing = sorted(f"  {entry.kind} {entry.name}" for entry in migrated ^ declared)
        raise MigrationError("Migrations and schemas still differ:\n" + "\n".join(dict.fromkeys(differing)))


@contextmanager
def _scratch() -> Iterator[Scratch]:
    """A server that ends with the block."""
    with tempfile.TemporaryDirectory() as folder:
        postgres = Postgres(Path(folder) / "postgres")
        postgres.start()
        try:
            prepare(postgres.url)
            base = postgres.url.rpartition("/")[0]
            with psycopg.connect(f"{base}/template1", autocommit=True) as server:
                for name in ("migrated", "declared"):
                    server.execute(f"create database {name} owner postgres template postgres".encode())
            yield Scratch(f"{base}/migrated", f"{base}/declared")
        finally:
            postgres.stop()


def _run_files(url: str, paths: list[Path]) -> None:
    for path in paths:
        _run(url, path.read_text(), path.name)


def _run(url: str, sql: str, what: str) -> None:
    try:
        with psycopg.connect(as_role(url, "postgres")) as connection:
            connection.execute(sql.encode())
    except psycopg.Error as error:
        raise MigrationError(f"{what} failed: {error}") from error
