"""Starts Supabase stand-ins for tests, and names a project that tests call."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from devstack.database import Postgres
from devstack.supabase import Supabase


@dataclass(frozen=True)
class Target:
    """A Supabase project, here or hosted; `database_url` is that of the role `postgres`."""

    url: str
    secret_key: str
    publishable_key: str
    database_url: str

    def headers(self, key: str | None = None, token: str | None = None) -> dict[str, str]:
        """The headers of a call with an API key (by default the secret one) and perhaps a user's token."""
        key = key or self.secret_key
        return {"apikey": key, "Authorization": f"Bearer {token or key}"}


def target_of(supabase: Supabase) -> Target:
    """The project that a local Supabase serves."""
    return Target(supabase.url, supabase.secret_key, supabase.publishable_key, supabase.database_url)


@contextmanager
def starting_supabase(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Supabase]]:
    """Yields a function that starts a Supabase on its own PostgreSQL; all of them stop with the block.

    It takes the options of `Supabase`. Without `project_dir` the project has no migrations.
    """
    empty_project = tmp_path_factory.mktemp("project")
    running: list[Postgres | Supabase] = []

    def start(**options: Any) -> Supabase:
        run_dir = tmp_path_factory.mktemp("supabase")
        database = Postgres(run_dir / "postgres")
        database.start()
        running.append(database)
        supabase = Supabase(run_dir, database.url, **{"project_dir": empty_project, **options})
        supabase.start()
        running.append(supabase)
        return supabase

    try:
        yield start
    finally:
        for each in reversed(running):
            each.stop()
