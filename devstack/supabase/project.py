"""Turns a PostgreSQL server into a Supabase project: hosted's roles and schemas, then the project's migrations."""

import hashlib
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

__all__ = ["apply_schemas", "as_role", "configuration", "migrate", "prepare", "schema_files"]

SQL = Path(__file__).parent / "sql"
RECORD_MIGRATION = (
    "insert into supabase_migrations.schema_migrations (version, name, statements) values (%s, %s, %s)"
)
RECORD_SEED = "insert into supabase_migrations.seed_files (path, hash) values (%s, %s)"
UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
SECONDS = {"s": 1, "m": 60, "h": 3600}


def as_role(database_url: str, role: str) -> str:
    """The same database, logged in as `role`."""
    url = urlsplit(database_url)
    return urlunsplit(url._replace(netloc=f"{role}@{url.hostname}:{url.port}"))


def prepare(database_url: str, *, legacy_privileges: bool = False) -> None:
    """Give an empty database what a hosted project has before its first migration; once only.

    `database_url` is the superuser's. `legacy_privileges`: as in projects made before the API roles lost
    their rights on new objects.
    """
    with psycopg.connect(database_url) as connection:
        if connection.execute("select to_regclass('storage.objects')").fetchone() != (None,):
            return
        scripts = ["hosted.sql", "legacy_privileges.sql"] if legacy_privileges else ["hosted.sql"]
        for name in scripts:
            connection.execute((SQL / name).read_bytes())


def migrate(database_url: str, project: Path, progress: Callable[[str], None] = print) -> None:
    """Apply `migrations/*.sql` in order, then `seed.sql`, each once, as `supabase db push` does.

    Runs as the role `postgres`, one transaction for each file; what was applied is kept in
    supabase_migrations.
    """
    with psycopg.connect(as_role(database_url, "postgres"), autocommit=True) as connection:
        known = {
            row[0] for row in connection.execute("select version from supabase_migrations.schema_migrations")
        }
        for path in sorted((project / "migrations").glob("*.sql")):
            version, _, name = path.stem.partition("_")
            if version not in known:
                _apply(connection, path, RECORD_MIGRATION, (version, name, [path.read_text()]))
                progress(f"Applied migration {path.name}")
        _seed(connection, project / "seed.sql", progress)


def schema_files(project: Path) -> list[Path]:
    """The files in which SQL is edited, in the order in which `config.toml` has them applied."""
    migrations = tomllib.loads((project / "config.toml").read_text())["db"]["migrations"]
    found: dict[Path, None] = {}
    for pattern in migrations["schema_paths"]:
        paths = sorted(project.glob(pattern))
        if not paths:
            raise ValueError(f"config.toml: schema_paths names {pattern}, which is not there")
        found |= dict.fromkeys(paths)
    return list(found)


def apply_schemas(database_url: str, project: Path) -> None:
    """Make what `schemas/` declares, in a database without migrations, as the role `postgres`."""
    with psycopg.connect(as_role(database_url, "postgres"), autocommit=True) as connection:
        for path in schema_files(project):
            _apply(connection, path)


def _seed(connection: psycopg.Connection, path: Path, progress: Callable[[str], None]) -> None:
    if not path.exists():
        return
    seeded = connection.execute("select 1 from supabase_migrations.seed_files where path = %s", [path.name])
    if seeded.fetchone() is None:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        _apply(connection, path, RECORD_SEED, (path.name, digest))
        progress(f"Seeded from {path.name}")


def _apply(
    connection: psycopg.Connection, path: Path, record: str | None = None, row: tuple[object, ...] = ()
) -> None:
    """Run a file in one transaction, with the statement that records it."""
    try:
        with connection.transaction():
            connection.execute(path.read_bytes())
            if record is not None:
                connection.execute(record.encode(), row)
    except psycopg.Error as error:
        raise RuntimeError(f"{path.name} failed: {_where(path, error)}") from error


def _where(path: Path, error: psycopg.Error) -> str:
    """The message with the line of the file that it is about, if PostgreSQL names a position."""
    position = error.diag.statement_position
    line = path.read_text()[: int(position)].count("\n") + 1 if position else None
    return f"line {line}: {error}" if line else str(error)


def configuration(project: Path) -> dict[str, str]:
    """What `config.toml` says of the services, as environment variables of the server; empty without the file."""
    path = project / "config.toml"
    if not path.exists():
        return {}
    config = tomllib.loads(path.read_text())
    auth = config.get("auth", {})
    mail = auth.get("email", {})
    values = {
        "SUPABASE_MAX_ROWS": config.get("api", {}).get("max_rows"),
        "SUPABASE_FILE_SIZE_LIMIT": _bytes(config.get("storage", {}).get("file_size_limit")),
        "SUPABASE_SITE_URL": auth.get("site_url"),
        "SUPABASE_JWT_EXPIRY": auth.get("jwt_expiry"),
        "SUPABASE_PASSWORD_LENGTH": auth.get("minimum_password_length"),
        "SUPABASE_MAIL_INTERVAL": _seconds(mail.get("max_frequency")),
        "SUPABASE_MAIL_EXPIRY": mail.get("otp_expiry"),
    }
    return {name: str(value) for name, value in values.items() if value is not None}


def _bytes(size: str | None) -> int | None:
    if size is None:
        return None
    match = re.fullmatch(r"(\d+)\s*([KMG]i?B)?", size, re.IGNORECASE)
    if match is None:
        raise ValueError(f"config.toml: {size!r} is not a size such as 50MiB")
    return int(match[1]) * UNITS[(match[2] or "").upper()]


def _seconds(duration: str | None) -> int | None:
    if duration is None:
        return None
    parts = re.findall(r"(\d+)([smh])", duration)
    return sum(int(amount) * SECONDS[unit] for amount, unit in parts)
