"""What the local stand-in promises beside hosted's wire: starting, stopping, failing, keeping."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import jwt
import psycopg
import pytest
from storage3 import SyncStorageClient

from devstack.database import Postgres
from devstack.processes import wait_for
from devstack.supabase import Supabase

from .conftest import Target, User, target_of

pytestmark = pytest.mark.local
ROOT = Path(__file__).parents[2]

COUNT = """
create function public.contract_count() returns bigint language sql
  as 'select count(*) from public.contract_orders';
"""
MIGRATION = "create table public.contract_orders (id integer primary key);" + COUNT


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "migrations").mkdir(parents=True)
    (folder / "migrations" / "20260101000000_orders.sql").write_text(MIGRATION)
    (folder / "seed.sql").write_text("insert into public.contract_orders values (1), (2);")
    return folder


def count(supabase: Supabase, http: httpx.Client, key: str | None = None) -> httpx.Response:
    target = target_of(supabase)
    return http.post(f"{target.url}/rest/v1/rpc/contract_count", headers=target.headers(key), json={})


def alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_migrations_and_seed_are_applied_once(tmp_path: Path, project: Path, http: httpx.Client) -> None:
    database = Postgres(tmp_path / "run" / "postgres")
    database.start()
    began = time.monotonic()
    supabase = Supabase(tmp_path / "run", database.url, project_dir=project, legacy_privileges=True)
    supabase.start()
    assert time.monotonic() - began < 4
    assert count(supabase, http).json() == 2
    supabase.stop()
    database.stop()

    (project / "migrations" / "20260102000000_more.sql").write_text(
        "insert into public.contract_orders values (3)"
    )
    database.start()
    again = Supabase(tmp_path / "run", database.url, project_dir=project)
    again.start()
    assert (again.url, again.secret_key, again.jwt_secret) == (
        supabase.url,
        supabase.secret_key,
        supabase.jwt_secret,
    )
    assert count(again, http).json() == 3
    with psycopg.connect(again.database_url) as connection:
        rows = connection.execute(
            "select version, name from supabase_migrations.schema_migrations order by 1"
        )
        assert rows.fetchall() == [("20260101000000", "orders"), ("20260102000000", "more")]
    again.stop()
    database.stop()


def test_a_migration_that_fails_names_its_file_and_line_and_leaves_nothing(
    start_supabase: Callable[..., Supabase], project: Path
) -> None:
    (project / "migrations" / "20260103000000_bad.sql").write_text(
        "create table public.half (id integer);\nselect no_such_column;\n"
    )
    with pytest.raises(RuntimeError, match=r"20260103000000_bad\.sql failed: line 2: .*no_such_column"):
        start_supabase(project_dir=project)


@pytest.mark.parametrize(("legacy", "status"), [(True, 200), (False, 403)])
def test_new_objects_are_open_to_the_api_only_in_older_projects(
    start_supabase: Callable[..., Supabase], project: Path, http: httpx.Client, legacy: bool, status: int
) -> None:
    supabase = start_supabase(project_dir=project, legacy_privileges=legacy)
    assert count(supabase, http).status_code == status


def test_a_legacy_key_is_as_good_as_the_opaque_one(
    supabase: Supabase, user: User, http: httpx.Client
) -> None:
    target = target_of(supabase)
    service, anon = supabase.keys.service_role_key, supabase.keys.anon_key
    users = http.get(f"{target.url}/auth/v1/admin/users", headers=target.headers(service))
    assert users.status_code == 200
    assert http.get(f"{target.url}/storage/v1/bucket", headers=target.headers(service)).status_code == 200
    assert http.get(f"{target.url}/rest/v1/", headers=target.headers(service)).status_code == 200
    login = http.post(
        f"{target.url}/auth/v1/token?grant_type=password",
        headers=target.headers(anon),
        json={"email": user.email, "password": user.password},
    )
    assert login.status_code == 200
    shown = http.get(f"{target.url}/auth/v1/user", headers=target.headers(anon, login.json()["access_token"]))
    assert shown.json()["id"] == user.id
    assert http.get(f"{target.url}/auth/v1/admin/users", headers=target.headers(anon)).status_code == 403


def test_tokens_can_be_signed_with_a_published_key(
    start_supabase: Callable[..., Supabase], http: httpx.Client
) -> None:
    target = target_of(start_supabase(jwt_algorithm="ES256"))
    public = target.headers(target.publishable_key)
    body = {"email": "contract-es@example.com", "password": "a good one"}
    session = http.post(f"{target.url}/auth/v1/signup", headers=public, json=body).json()
    token = session["access_token"]
    key_set = http.get(f"{target.url}/auth/v1/.well-known/jwks.json").json()
    key = next(
        key
        for key in jwt.PyJWKSet.from_dict(key_set).keys
        if key.key_id == jwt.get_unverified_header(token)["kid"]
    )
    claims = jwt.decode(token, key.key, algorithms=["ES256"], audience="authenticated")
    assert claims["iss"] == f"{target.url}/auth/v1"
    headers = target.headers(target.publishable_key, token)
    assert http.get(f"{target.url}/auth/v1/user", headers=headers).json()["id"] == claims["sub"]
    assert http.get(f"{target.url}/storage/v1/bucket", headers=headers).json() == []
    fresh = http.post(
        f"{target.url}/auth/v1/token?grant_type=refresh_token",
        headers=public,
        json={"refresh_token": session["refresh_token"]},
    )
    assert fresh.status_code == 200
    forged = jwt.encode({**claims, "role": "service_role"}, "x" * 40, algorithm="HS256")
    refused = http.get(
        f"{target.url}/storage/v1/bucket", headers=target.headers(target.publishable_key, forged)
    )
    assert refused.status_code == 400


def test_a_killed_database_is_answered_503_and_comes_back(
    tmp_path: Path, project: Path, http: httpx.Client
) -> None:
    database = Postgres(tmp_path / "run" / "postgres")
    database.start()
    supabase = Supabase(tmp_path / "run", database.url, project_dir=project, legacy_privileges=True)
    supabase.start()
    database.kill()
    assert count(supabase, http).status_code == 503
    database.start()
    wait_for(lambda: count(supabase, http).status_code == 200, 10, "the API after the database")
    with psycopg.connect(supabase.database_url) as connection:
        connection.execute("drop function public.contract_count()")
        connection.execute(COUNT.replace("count(*)", "count(*) + 1"))
    wait_for(lambda: count(supabase, http).json() == 3, 10, "the changed function")
    supabase.kill()
    supabase.start()
    assert count(supabase, http).json() == 3
    supabase.stop()
    database.stop()


def test_a_migration_on_the_running_project_is_seen(
    start_supabase: Callable[..., Supabase], project: Path, http: httpx.Client
) -> None:
    supabase = start_supabase(project_dir=project, legacy_privileges=True)
    with psycopg.connect(supabase.database_url) as connection:
        connection.execute("create function public.contract_new() returns integer language sql as 'select 7'")
    target = target_of(supabase)
    url = f"{target.url}/rest/v1/rpc/contract_new"

    def answer() -> httpx.Response:
        return http.post(url, headers=target.headers(), json={})

    wait_for(lambda: answer().status_code == 200, 5, "the new function")
    assert answer().json() == 7


def test_hosted_refuses_what_the_role_postgres_may_not_do(database: psycopg.Connection) -> None:
    for statement in (
        "alter table auth.users add column extra text",
        "create table auth.extra (id integer)",
        "delete from storage.objects",
        "create role boss superuser",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            database.execute(statement.encode())


def test_a_hundred_megabytes_go_through_in_bounded_memory(
    start_supabase: Callable[..., Supabase], tmp_path: Path
) -> None:
    supabase = start_supabase(environment={"SUPABASE_FILE_SIZE_LIMIT": str(100 * 2**20)})
    target = target_of(supabase)
    path = tmp_path / "model.stl"
    with path.open("wb") as file:
        file.truncate(100 * 2**20)
    with httpx.Client(timeout=60) as client:
        storage = SyncStorageClient(f"{target.url}/storage/v1/", target.headers(), http_client=client)
        storage.create_bucket("contract-large")
        storage.from_("contract-large").upload("model.stl", path, {"content-type": "model/stl"})
        url = f"{target.url}/storage/v1/object/contract-large/model.stl"
        with client.stream("GET", url, headers=target.headers()) as answer:
            received = sum(len(chunk) for chunk in answer.iter_bytes())
    assert received == 100 * 2**20
    assert _peak_megabytes(supabase.pid) < 300


@pytest.mark.parametrize("kind", ["bare", "multipart"])
def test_an_upload_that_breaks_off_leaves_nothing(
    start_supabase: Callable[..., Supabase], http: httpx.Client, kind: str
) -> None:
    supabase = start_supabase()
    target = target_of(supabase)
    http.post(f"{target.url}/storage/v1/bucket", headers=target.headers(), json={"id": "b", "name": "b"})
    head = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        if kind == "multipart"
        else b""
    )
    content_type = "multipart/form-data; boundary=x" if kind == "multipart" else "model/stl"
    request = "\r\n".join([
        "POST /storage/v1/object/b/a.stl HTTP/1.1", "Host: x", f"apikey: {target.secret_key}",
        f"Content-Type: {content_type}", "Content-Length: 9000000", "", "",
    ])  # fmt: skip
    objects = supabase.log.parent / "objects"

    def files() -> list[Path]:
        return [path for path in objects.rglob("*") if path.is_file()]

    with socket.create_connection(("127.0.0.1", supabase.keys.port)) as connection:
        connection.sendall(request.encode() + head + b"x" * 1_000_000)
        wait_for(files, 5, "the first bytes on disk")
    wait_for(lambda: not files(), 5, "the bytes to go")
    listed = http.post(
        f"{target.url}/storage/v1/object/list/b", headers=target.headers(), json={"prefix": ""}
    )
    assert listed.json() == []


def _peak_megabytes(pid: int | None) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    peak = next(line for line in lines if line.startswith("VmHWM:"))
    return int(peak.split()[1]) / 1024


def test_many_calls_at_once_are_all_answered(target: Target, functions: None) -> None:
    failures: list[int] = []

    def call() -> None:
        with httpx.Client(timeout=30) as client:
            for _ in range(20):
                url = f"{target.url}/rest/v1/rpc/contract_whoami"
                answer = client.post(url, headers=target.headers(), json={})
                if answer.status_code != 200:
                    failures.append(answer.status_code)

    threads = [threading.Thread(target=call, daemon=True) for _ in range(25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_nothing_outlives_a_killed_parent(tmp_path: Path) -> None:
    script = textwrap.dedent(f"""
        import sys, time
        sys.path.insert(0, {str(ROOT)!r})
        from pathlib import Path
        from devstack.database import Postgres
        from devstack.supabase import Supabase
        run = Path({str(tmp_path)!r})
        database = Postgres(run / "postgres")
        database.start()
        supabase = Supabase(run, database.url, project_dir=run, progress=lambda line: None)
        supabase.start()
        postmaster = (run / "postgres" / "postmaster.pid").read_text().splitlines()[0]
        print(supabase.pid, postmaster, flush=True)
        time.sleep(60)
    """)
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout as output:
        pids = [int(pid) for pid in output.readline().split()]
    assert [alive(pid) for pid in pids] == [True, True]
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    wait_for(lambda: not any(alive(pid) for pid in pids), 5, "the end of the children")


def test_data_goes_with_its_run_folder_and_that_of_others_stays(tmp_path: Path) -> None:
    gone, kept = Postgres(tmp_path / "gone" / "postgres"), Postgres(tmp_path / "kept" / "postgres")
    for database in (gone, kept):
        database.start()
        database.stop()
    places = [database.data_dir.resolve() for database in (gone, kept)]
    shutil.rmtree(tmp_path / "gone")
    third = Postgres(tmp_path / "third" / "postgres")
    third.start()
    third.stop()
    assert [place.exists() for place in places] == [False, True]
    kept.start()
    kept.stop()


def test_settings_come_from_the_projects_config(
    start_supabase: Callable[..., Supabase], project: Path, http: httpx.Client
) -> None:
    (project / "config.toml").write_text(
        '[auth]\nminimum_password_length = 12\njwt_expiry = 600\n[storage]\nfile_size_limit = "1KiB"\n'
    )
    target = target_of(start_supabase(project_dir=project))
    email = f"contract-{secrets.token_hex(6)}@example.com"
    url = f"{target.url}/auth/v1/signup"
    short: Any = http.post(url, headers=target.headers(), json={"email": email, "password": "eleven chrs"})
    assert short.json()["error_code"] == "weak_password"
    good = http.post(url, headers=target.headers(), json={"email": email, "password": "twelve chars"})
    assert good.json()["expires_in"] == 600
    http.post(f"{target.url}/storage/v1/bucket", headers=target.headers(), json={"id": "b", "name": "b"})
    large = http.post(
        f"{target.url}/storage/v1/object/b/a.stl", headers=target.headers(), content=b"x" * 1025
    )
    assert large.json()["statusCode"] == "413"
