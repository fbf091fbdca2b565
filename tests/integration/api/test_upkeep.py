"""Health and the janitor, each on the real parts."""

import json
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg.types.json import Jsonb

from devstack import Stack
from tests.conftest import Client, sign_up
from tests.integration.api.traces import wait_until_quiet
from tests.integration.schema.shop import PROFILE
from tests.support.invoices import new_client, written
from tests.support.models import cube_stl
from tests.support.orders import SETTINGS, checked_out, sliced, uploaded, wait_for_slice


def round_of(stack: Stack) -> dict[str, Any]:
    """Invoke the janitor as its schedule does; its counts."""
    report: dict[str, Any] = stack.gateway.invoke("JanitorFunction", {"source": "aws.scheduler"})
    return report


def test_liveness_needs_nobody_and_readiness_is_the_shops(
    nobody: Client, customer: Client, shop: Client
) -> None:
    assert nobody.data("GET", "health") == {"status": "alive"}
    assert nobody.get("health/ready").status_code == 401
    assert customer.get("health/ready").status_code == 403
    ready = shop.get("health/ready")
    assert ready.status_code == 200, ready.text


def test_readiness_tries_every_part(stack: Stack, shop: Client, customer: Client) -> None:
    invoice = checked_out(customer, sliced(customer, "cube.stl", cube_stl(7)))
    assert customer.get(f"invoices/{invoice['id']}/pdf").status_code == 200
    round_of(stack)
    parts = shop.data("GET", "health/ready")["parts"]
    for bucket in ("attachments", "pdfs", "tmp", "order-files"):
        assert parts[f"storage.{bucket}"]["deleted"] is True
    assert parts["stripe"]["livemode"] is False
    assert parts["queue"]["waiting"] == 0
    assert parts["mailQueue"]["ok"] is True
    assert parts["webhook"]["ok"] is True
    assert parts["slicer"]["tmpWritable"] is True
    assert parts["slicer"]["version"][0].isdigit()
    assert parts["pdf"]["tmpWritable"] is True
    assert "Chrom" in parts["pdf"]["version"] or parts["pdf"]["version"][0].isdigit()
    assert parts["janitor"]["ok"] is True


def test_readiness_leaves_no_object_behind(shop: Client, database: psycopg.Connection) -> None:
    shop.get("health/ready")
    left = database.execute("select name from storage.objects where name like 'health/%'").fetchall()
    assert left == []


def test_expired_files_go_and_used_ones_stay(stack: Stack, database: psycopg.Connection) -> None:
    client = sign_up(stack)
    old, fresh, reserved = (
        uploaded(client, f"{name}.stl", cube_stl(3)) for name in ("old", "fresh", "reserved")
    )
    database.execute(
        "update tmp_files set created_at = now() - interval '25 hours' where id = any (%s)",
        ([old, reserved],),
    )
    database.execute(
        "update tmp_files set reserved_until = now() + interval '5 minutes' where id = %s", (reserved,)
    )
    rows = database.execute("select id, storage_key from tmp_files where user_id = %s", (client.user["id"],))
    keys: dict[int, str] = dict(rows.fetchall())
    assert round_of(stack)["expired"]["deleted"] == 1
    assert round_of(stack)["expired"]["deleted"] == 0
    assert {row["id"] for row in client.get("tmp-files").json()["data"]} == {fresh, reserved}
    stored = {row[0] for row in database.execute("select name from storage.objects where bucket_id = 'tmp'")}
    assert keys[old] not in stored
    assert {keys[fresh], keys[reserved]} <= stored


def test_an_object_without_a_row_goes_only_at_the_second_look_after_48_hours(
    stack: Stack, database: psycopg.Connection
) -> None:
    headers = {"apikey": stack.supabase.secret_key, "Authorization": f"Bearer {stack.supabase.secret_key}"}
    for bucket in ("tmp", "order-files"):
        url = f"{stack.supabase.url}/storage/v1/object/{bucket}/0/stray/stray.stl"
        assert httpx.post(url, content=b"stray", headers=headers).is_success
    assert round_of(stack)["strays"]["tmp"] == {"strays": 1, "deleted": 0}
    assert round_of(stack)["strays"]["tmp"] == {"strays": 1, "deleted": 0}
    database.execute("update stray_objects set first_seen_at = now() - interval '49 hours'")
    report = round_of(stack)["strays"]
    assert report["tmp"] == {"strays": 1, "deleted": 1}
    assert report["order-files"] == {"strays": 1, "deleted": 0}
    assert round_of(stack)["strays"]["tmp"] == {"strays": 0, "deleted": 0}
    url = f"{stack.supabase.url}/storage/v1/object/order-files"
    httpx.request("DELETE", url, content=json.dumps({"prefixes": ["0/stray/stray.stl"]}),
                  headers=headers | {"content-type": "application/json"})  # fmt: skip


def test_a_pdf_goes_with_its_document_and_at_the_second_look_when_it_came_too_late(
    stack: Stack, database: psycopg.Connection, shop: Client
) -> None:
    client = new_client(database)
    lives, dies = (written(shop, client) for _ in range(2))
    for made in (lives, dies):
        assert shop.get(f"invoices/{made['id']}/pdf").status_code == 200
    folder = cache_folder_of(stack)
    assert list(folder.glob(f"invoice-{dies['number']}.*")) != []
    assert shop.request("DELETE", f"invoices/{dies['id']}").status_code == 204
    key = f"invoice-{dies['number']}.pdf"
    assert key not in pdfs(database)
    assert list(folder.glob(f"invoice-{dies['number']}.*")) == []
    headers = {"apikey": stack.supabase.secret_key, "Authorization": f"Bearer {stack.supabase.secret_key}"}
    url = f"{stack.supabase.url}/storage/v1/object/pdfs/{key}"
    late = headers | {"content-type": "application/pdf"}
    assert httpx.post(url, content=b"%PDF-1.4 late", headers=late).is_success
    assert round_of(stack)["strays"]["pdfs"] == {"strays": 1, "deleted": 0}
    database.execute("update stray_objects set first_seen_at = now() - interval '49 hours'")
    assert round_of(stack)["strays"]["pdfs"] == {"strays": 1, "deleted": 1}
    assert key not in pdfs(database)
    assert f"invoice-{lives['number']}.pdf" in pdfs(database)


def cache_folder_of(stack: Stack) -> Path:
    """Where the PDF function keeps its copies, on a disk that here all functions share."""
    process = stack.gateway.processes("PdfFunction")[0]
    variables = Path(f"/proc/{process}/environ").read_bytes().decode().split("\0")
    return Path(next(v for v in variables if v.startswith("PDF_CACHE_DIR=")).partition("=")[2])


def pdfs(database: psycopg.Connection) -> set[str]:
    return {key for (key,) in database.execute("select name from storage.objects where bucket_id = 'pdfs'")}


def test_a_committed_request_whose_message_was_lost_is_sent_again(
    stack: Stack, database: psycopg.Connection
) -> None:
    client = sign_up(stack)
    file_id = uploaded(client, "lost.stl", cube_stl(5))
    wait_until_quiet(stack)
    database.execute(
        """select request_slice(user_id, id::text, %s, %s, %s, 1, null, 'SMALL', null, 10)
           from tmp_files where id = %s""",
        (Jsonb(SETTINGS), "5" * 64, Jsonb(PROFILE.model_dump(mode="json", by_alias=True)), file_id),
    )
    assert round_of(stack)["slices"]["sent"] == 0
    database.execute("update tmp_files set sent_at = now() - interval '3 minutes' where id = %s", (file_id,))
    assert round_of(stack)["slices"]["sent"] == 1
    assert wait_for_slice(client, file_id)["status"] == "completed"


def test_time_ages_documents_once(stack: Stack, database: psycopg.Connection) -> None:
    client = sign_up(stack)
    invoice = checked_out(client, sliced(client, "late.stl", cube_stl(5)))
    database.execute("update invoices set due_date = due_date - 2 where id = %s", (invoice["id"],))
    assert round_of(stack)["documents"]["invoicesOverdue"] == 1
    assert round_of(stack)["documents"]["invoicesOverdue"] == 0
    overdue = client.data("GET", f"invoices/{invoice['id']}")
    assert overdue["status"] == "OVERDUE"
    assert httpx.get(overdue["payUrl"]).status_code == 303
