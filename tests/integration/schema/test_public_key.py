"""With the publishable key, signed out or in: no row, no function, no object, in either regime of hosted Supabase."""

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
import pytest

from devstack.database import Postgres
from devstack.supabase import Supabase
from tests.integration.schema.shop import Shop

BUCKETS = ("attachments", "pdfs", "tmp", "order-files")
KEY = "7/folder/kept.pdf"
CONTENTS = b"%PDF-1.4 kept\n"
REFUSED = {400, 401, 403, 404}
"""Storage answers 400 to what it keeps from a caller, PostgREST 401, 403 or 404."""


@dataclass(frozen=True)
class Outsider:
    """Somebody with the key of every browser; `service` is the back end's."""

    client: httpx.Client
    headers: dict[str, str]
    service: dict[str, str]
    database_url: str

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {**self.headers, **options.pop("headers", {})}
        return self.client.request(method, path, headers=headers, **options)

    def ask_as_the_back_end(self, path: str) -> httpx.Response:
        return self.client.get(path, headers=self.service)


@pytest.fixture(scope="module", params=["older", "new"])
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supabase]:
    """A project with something to take in every table that the back end fills, and in every bucket."""
    folder = tmp_path_factory.mktemp(f"project-{request.param}")
    postgres = Postgres(folder / "postgres")
    postgres.start()
    supabase = Supabase(folder, postgres.url, legacy_privileges=request.param == "older")
    supabase.start()
    with Shop(postgres.url) as shop:
        customer = shop.customer()
        shop.sliced(customer)
        invoice = shop.invoice(customer)["id"]
        shop.call("ensure_job", p_invoice_id=invoice, p_actor={})
        shop.rows.execute(
            "insert into payments (invoice_id, method, amount_cents) values (%s, 'CASH', 1)", (invoice,)
        )
    service = {"apikey": supabase.secret_key, "Authorization": f"Bearer {supabase.secret_key}"}
    for bucket in BUCKETS:
        url = f"{supabase.url}/storage/v1/object/{bucket}/{KEY}"
        httpx.post(
            url, headers={**service, "content-type": "application/pdf"}, content=CONTENTS
        ).raise_for_status()
    yield supabase
    supabase.stop()
    postgres.stop()


@pytest.fixture(scope="module", params=["signed out", "signed in", "legacy anon key"])
def outsider(request: pytest.FixtureRequest, project: Supabase) -> Iterator[Outsider]:
    key = project.keys.anon_key if request.param == "legacy anon key" else project.publishable_key
    token = key
    if request.param == "signed in":
        body = {"email": f"{secrets.token_hex(6)}@example.com", "password": secrets.token_hex(8)}
        answer = httpx.post(f"{project.url}/auth/v1/signup", headers={"apikey": key}, json=body, timeout=20)
        answer.raise_for_status()
        token = answer.json()["access_token"]
    service = {"apikey": project.secret_key, "Authorization": f"Bearer {project.secret_key}"}
    headers = {"apikey": key, "Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=project.url, timeout=20) as client:
        yield Outsider(client, headers, service, project.database_url)


def tables(database_url: str) -> list[str]:
    with psycopg.connect(database_url) as connection:
        query = "select tablename from pg_tables where schemaname = 'public' order by 1"
        return [row[0] for row in connection.execute(query).fetchall()]


def contents(database_url: str) -> dict[str, str | None]:
    """A digest of each table."""
    with psycopg.connect(database_url) as connection:
        digests = {}
        for table in tables(database_url):
            query = f"select md5(string_agg(t::text, '|' order by t::text)) from {table} t"
            row = connection.execute(query.encode()).fetchone()
            digests[table] = row[0] if row else None
        return digests


def objects(database_url: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database_url) as connection:
        return connection.execute(
            "select bucket_id, name, metadata from storage.objects order by 1, 2"
        ).fetchall()


def assert_nothing(response: httpx.Response, what: str) -> None:
    """Refused, or answered as if there were nothing at all."""
    nothing = response.status_code in REFUSED or (response.status_code == 200 and response.json() in ([], {}))
    assert nothing, f"{what}: {response.status_code} {response.text[:300]}"


def test_no_row_is_read(outsider: Outsider) -> None:
    for table in tables(outsider.database_url):
        assert_nothing(outsider.ask("GET", f"/rest/v1/{table}?select=*"), table)
        counted = outsider.ask("HEAD", f"/rest/v1/{table}", headers={"Prefer": "count=exact"})
        assert counted.status_code in REFUSED or counted.headers["content-range"].endswith("/0"), table


def test_the_service_key_reads_what_the_others_may_not(outsider: Outsider) -> None:
    for table in ("settings", "invoices", "users", "tmp_files", "payments"):
        response = outsider.ask_as_the_back_end(f"/rest/v1/{table}?select=*")
        assert response.status_code == 200, table
        assert response.json(), table


def test_no_row_is_reached_through_another(outsider: Outsider) -> None:
    for path in (
        "clients?select=*,invoices!invoices_client_id_fkey(*,payments(*))",
        "quotes?select=*,clients!quotes_client_id_fkey(*)",
        "materials?select=*,tmp_files!tmp_files_material_id_fkey(*)",
    ):
        assert_nothing(outsider.ask("GET", f"/rest/v1/{path}"), path)


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
def test_no_row_is_written(outsider: Outsider, method: str) -> None:
    before = contents(outsider.database_url)
    for table in tables(outsider.database_url):
        body = (
            None
            if method == "DELETE"
            else {"updated_at": "2020-01-01T00:00:00Z"}
            if method == "PATCH"
            else {}
        )
        headers = {"Prefer": "return=representation"}
        response = outsider.ask(method, f"/rest/v1/{table}", json=body, headers=headers)
        assert response.status_code >= 400 or response.json() == [], f"{table}: {response.text[:200]}"
    assert contents(outsider.database_url) == before


def test_no_row_is_upserted(outsider: Outsider) -> None:
    before = contents(outsider.database_url)
    headers = {"Prefer": "resolution=merge-duplicates"}
    body = {"name": "PLA", "cost_per_kg_cents": 1, "density_mg_cm3": 1240}
    response = outsider.ask("POST", "/rest/v1/materials?on_conflict=name", json=body, headers=headers)
    assert response.status_code in REFUSED
    assert contents(outsider.database_url) == before


def test_no_function_is_run(outsider: Outsider) -> None:
    before = contents(outsider.database_url)
    with psycopg.connect(outsider.database_url) as connection:
        functions = connection.execute(
            "select proname, proargnames[1:pronargs] from pg_proc where pronamespace = 'public'::regnamespace"
        ).fetchall()
    assert len(functions) > 60
    for name, arguments in functions:
        body = dict.fromkeys(arguments or [])
        for response in (
            outsider.ask("POST", f"/rest/v1/rpc/{name}", json=body),
            outsider.ask("GET", f"/rest/v1/rpc/{name}"),
        ):
            assert response.status_code in REFUSED, f"{name}: {response.status_code} {response.text[:200]}"
    assert contents(outsider.database_url) == before


def test_no_function_is_run_with_words_that_would_work(outsider: Outsider) -> None:
    before = contents(outsider.database_url)
    for name, body in (
        ("business_today", {}),
        ("unguessable_token", {}),
        ("readiness", {}),
        ("next_document_number", {"kind": "invoice", "default_prefix": "X"}),
        ("get_invoice", {"p_invoice_id": 1, "p_client_id": None}),
        (
            "make_admin",
            {"p_auth_user_id": "2f0c7a52-6f3e-4d0a-9b7e-0d6f6a6f7a01", "p_email": "me@example.com"},
        ),
    ):
        response = outsider.ask("POST", f"/rest/v1/rpc/{name}", json=body)
        assert response.status_code in REFUSED, f"{name}: {response.status_code} {response.text[:200]}"
    assert contents(outsider.database_url) == before


def test_no_bucket_is_seen_or_made(outsider: Outsider) -> None:
    assert_nothing(outsider.ask("GET", "/storage/v1/bucket"), "buckets")
    for bucket in BUCKETS:
        assert_nothing(outsider.ask("GET", f"/storage/v1/bucket/{bucket}"), bucket)
        assert outsider.ask("DELETE", f"/storage/v1/bucket/{bucket}").status_code in REFUSED
        assert outsider.ask("POST", f"/storage/v1/bucket/{bucket}/empty").status_code in REFUSED
        public = {"id": bucket, "name": bucket, "public": True}
        assert outsider.ask("PUT", f"/storage/v1/bucket/{bucket}", json=public).status_code in REFUSED
    made = outsider.ask("POST", "/storage/v1/bucket", json={"name": "mine", "id": "mine", "public": True})
    assert made.status_code in REFUSED
    with psycopg.connect(outsider.database_url) as connection:
        kept = connection.execute("select id, public from storage.buckets order by id").fetchall()
    assert kept == sorted((bucket, False) for bucket in BUCKETS)


@pytest.mark.parametrize("bucket", BUCKETS)
def test_no_object_is_read_listed_or_signed(outsider: Outsider, bucket: str) -> None:
    for path in ("", "authenticated/", "public/", "info/", "info/authenticated/", "info/public/"):
        response = outsider.ask("GET", f"/storage/v1/object/{path}{bucket}/{KEY}")
        assert response.status_code in REFUSED, path
        assert CONTENTS not in response.content
    assert outsider.ask("HEAD", f"/storage/v1/object/{bucket}/{KEY}").status_code in REFUSED
    for prefix in ("", "7", "7/folder"):
        listed = outsider.ask(
            "POST", f"/storage/v1/object/list/{bucket}", json={"prefix": prefix, "limit": 100}
        )
        assert_nothing(listed, f"list {prefix}")
    for path, body in (
        (f"sign/{bucket}/{KEY}", {"expiresIn": 60}),
        (f"upload/sign/{bucket}/{KEY}", {}),
        (f"upload/sign/{bucket}/new.pdf", {}),
    ):
        response = outsider.ask("POST", f"/storage/v1/object/{path}", json=body)
        assert response.status_code in REFUSED, path
        assert "token" not in response.text
    many = outsider.ask("POST", f"/storage/v1/object/sign/{bucket}", json={"expiresIn": 60, "paths": [KEY]})
    signed = [] if many.status_code in REFUSED else [entry.get("signedURL") for entry in many.json()]
    assert not any(signed)


@pytest.mark.parametrize("bucket", BUCKETS)
def test_no_object_is_written_moved_or_removed(outsider: Outsider, bucket: str) -> None:
    before = objects(outsider.database_url)
    pdf = {"content-type": "application/pdf"}
    for method, path in (("POST", "new.pdf"), ("POST", KEY), ("PUT", KEY)):
        upload = outsider.ask(
            method,
            f"/storage/v1/object/{bucket}/{path}",
            content=b"%PDF-1.4 mine",
            headers={**pdf, "x-upsert": "true"},
        )
        assert upload.status_code in REFUSED, f"{method} {path}: {upload.text[:200]}"
    for path in ("copy", "move"):
        body = {"bucketId": bucket, "sourceKey": KEY, "destinationKey": "taken.pdf"}
        assert outsider.ask("POST", f"/storage/v1/object/{path}", json=body).status_code in REFUSED, path
    assert outsider.ask("DELETE", f"/storage/v1/object/{bucket}/{KEY}").status_code in REFUSED
    assert_nothing(
        outsider.ask("DELETE", f"/storage/v1/object/{bucket}", json={"prefixes": [KEY]}), "delete many"
    )
    assert json.dumps(objects(outsider.database_url), default=str) == json.dumps(before, default=str)
    kept = outsider.ask_as_the_back_end(f"/storage/v1/object/{bucket}/{KEY}")
    assert kept.content == CONTENTS
