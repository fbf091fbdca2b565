"""Large uploads in bounded memory, and aborted uploads."""

import socket
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from storage3 import SyncStorageClient

from devstack.processes import wait_for
from devstack.supabase import Supabase
from devstack.testing.supabase import target_of


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
def test_an_aborted_upload_leaves_nothing(
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
