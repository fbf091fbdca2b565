"""A Supabase project on this machine: PostgREST, Auth and Storage on one port, behaving as hosted documents them.

    supabase = Supabase(run_dir, postgres.url)
    supabase.start()                     # applies supabase/migrations and seed.sql once
    httpx.post(f"{supabase.url}/rest/v1/rpc/health", headers={"apikey": supabase.secret_key})
    supabase.stop()

The server is Supabase's own @supabase/lite inside server.mjs, which corrects its differences from hosted
Supabase. README.md lists them by the letters that the comments use.
"""

import json
import os
import secrets
import string
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import jwt

from devstack.processes import Process, free_port, start, wait_for
from devstack.supabase import packages, project
from devstack.supabase.packages import install, npm
from devstack.supabase.project import as_role, migrate, prepare

__all__ = ["Supabase", "as_role", "install", "npm"]

HERE = Path(__file__).parent
PROJECT = HERE.parents[1] / "supabase"
LETTERS = string.ascii_letters + string.digits


@dataclass(frozen=True)
class Keys:
    """Port, API keys and JWT secret; stored in the run folder, so that a restart changes none."""

    port: int
    secret_key: str
    publishable_key: str
    jwt_secret: str
    service_role_key: str
    anon_key: str

    @classmethod
    def of(cls, run_dir: Path) -> "Keys":
        path = run_dir / "supabase.json"
        if not path.exists():
            run_dir.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(json.dumps(asdict(cls._new())))
        return cls(**json.loads(path.read_text()))

    @classmethod
    def _new(cls) -> "Keys":
        jwt_secret = _random(40)
        return cls(
            port=free_port(),
            secret_key=f"sb_secret_{_random(31)}",
            publishable_key=f"sb_publishable_{_random(31)}",
            jwt_secret=jwt_secret,
            service_role_key=_legacy_key("service_role", jwt_secret),
            anon_key=_legacy_key("anon", jwt_secret),
        )


class Supabase:
    """One project. `database_url` is the superuser's; the keys and the port stay the same after a restart."""

    def __init__(
        self,
        run_dir: Path,
        database_url: str,
        *,
        confirm_email: bool = False,
        jwt_algorithm: Literal["HS256", "ES256"] = "HS256",
        legacy_privileges: bool = False,
        project_dir: Path = PROJECT,
        environment: Mapping[str, str] | None = None,
        progress: Callable[[str], None] = print,
    ) -> None:
        """`environment` overrides the variables of settings.mjs, also those from config.toml."""
        self.keys = Keys.of(run_dir)
        self.url = f"http://127.0.0.1:{self.keys.port}"
        self.secret_key = self.keys.secret_key
        self.publishable_key = self.keys.publishable_key
        self.jwt_secret = self.keys.jwt_secret
        self.database_url = as_role(database_url, "postgres")
        self.outbox = run_dir / "outbox"
        self.log = run_dir / "supabase.log"
        self.access_log = run_dir / "requests.log"
        self._superuser_url = database_url
        self._run_dir = run_dir
        self._legacy_privileges = legacy_privileges
        self._project = project_dir
        self._progress = progress
        self._environment = {
            "SUPABASE_CONFIRM_EMAIL": "1" if confirm_email else "0",
            "SUPABASE_JWT_ALGORITHM": jwt_algorithm,
            **project.configuration(project_dir),
            **(environment or {}),
        }
        self._process: Process | None = None

    @property
    def pid(self) -> int | None:
        """The server's process id; None while it does not run."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Apply missing migrations and serve; returns when the server answers requests."""
        home = packages.install(self._progress)
        prepare(self._superuser_url, legacy_privileges=self._legacy_privileges)
        migrate(self._superuser_url, self._project, self._progress)
        self.outbox.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        earlier = self.log.stat().st_size if self.log.exists() else 0
        self._process = process = start(
            [packages.node(), "--import", HERE / "packages.mjs", HERE / "server.mjs"],
            env=self._server_environment(home),
            log=self.log,
        )
        wait_for(lambda: process.running() and self._is_ready(earlier), 30, "Supabase")
        self._progress(f"Supabase serves at {self.url} ({time.monotonic() - began:.1f} s)")

    def stop(self) -> None:
        """Stop the server; its data stays."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def kill(self) -> None:
        """Kill the server (SIGKILL), also in the middle of requests."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def requests(self) -> list[str]:
        """Every request so far, `METHOD path status`, in the order in which they were answered."""
        return self.access_log.read_text().splitlines()

    def _is_ready(self, since: int) -> bool:
        with self.log.open("rb") as log:
            log.seek(since)
            return b"ready on" in log.read()

    def _server_environment(self, home: Path) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "TZ": "UTC",
            "DO_NOT_TRACK": "1",
            # The lowest that bcrypt allows: these accounts need no protection, and each sign-up waits for the hash.
            "LITE_AUTH_BCRYPT_COST": "4",
            "NODE_COMPILE_CACHE": str(home / "compile-cache"),
            "SUPABASE_PACKAGES": str(home),
            "SUPABASE_PORT": str(self.keys.port),
            "SUPABASE_DATABASE_URL": self._superuser_url,
            "SUPABASE_SECRET_KEY": self.secret_key,
            "SUPABASE_PUBLISHABLE_KEY": self.publishable_key,
            "SUPABASE_JWT_SECRET": self.jwt_secret,
            "SUPABASE_OBJECTS_DIR": str(self._run_dir / "objects"),
            "SUPABASE_OUTBOX": str(self.outbox),
            "SUPABASE_ACCESS_LOG": str(self.access_log),
            **self._environment,
        }


def _random(length: int) -> str:
    return "".join(secrets.choice(LETTERS) for _ in range(length))


def _legacy_key(role: str, jwt_secret: str) -> str:
    """The older kind of API key: a token with a role and no user, valid for ten years."""
    now = int(time.time())
    claims = {"iss": "supabase", "ref": "local", "role": role, "iat": now, "exp": now + 10 * 365 * 24 * 3600}
    return jwt.encode(claims, jwt_secret, algorithm="HS256")
