"""The customer's way, as far as a test needs it."""

import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from tests.conftest import Client

SETTINGS = {
    "layerHeight": 0.2,
    "infill": 15,
    "supports": {"enabled": False, "pattern": "normal", "angle": 45},
}
SYDNEY = {"state": "NSW", "postcode": "2000"}


def request_upload(client: Client, filename: str, size: int) -> dict[str, Any]:
    body = {"files": [{"filename": filename, "sizeBytes": size}]}
    upload: dict[str, Any] = client.data("POST", "quick-order/uploads", body)["files"][0]
    return upload


def put(upload: dict[str, Any], contents: bytes | Path) -> httpx.Response:
    """Send the bytes to storage, as a browser would."""
    headers = {"content-type": "model/stl"}
    if isinstance(contents, Path):
        with contents.open("rb") as file:
            return httpx.put(upload["uploadUrl"], content=file, headers=headers, timeout=120)
    return httpx.put(upload["uploadUrl"], content=contents, headers=headers, timeout=60)


def uploaded(client: Client, filename: str, contents: bytes) -> int:
    """Upload and complete; the file's id."""
    upload = request_upload(client, filename, len(contents))
    assert put(upload, contents).is_success
    client.data("POST", f"quick-order/uploads/{upload['id']}/complete")
    return int(upload["id"])


def slice_request(file_id: int, **changes: Any) -> dict[str, Any]:
    return {"file": {"id": file_id, **SETTINGS, **changes}}


def wait_for_slice(client: Client, file_id: int, seconds: float = 120) -> dict[str, Any]:
    """Poll until the slice has ended, whatever the end."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        status: dict[str, Any] = client.data("GET", f"quick-order/files/{file_id}")
        if status["status"] in {"completed", "failed"}:
            return status
        time.sleep(0.1)
    raise TimeoutError(f"file {file_id} is still {status['status']} after {seconds} s: {status}")


def sliced(client: Client, filename: str, contents: bytes, **changes: Any) -> dict[str, Any]:
    """Upload and slice; the finished status, of a model that was drawn, too, when it could be sliced."""
    file_id = uploaded(client, filename, contents)
    client.data("POST", "quick-order/slice", slice_request(file_id, **changes))
    status = wait_for_slice(client, file_id)
    deadline = time.monotonic() + 60
    while status["status"] == "completed" and status["previewUrl"] is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"file {file_id} has no picture after 60 s: {status}")
        time.sleep(0.1)
        status = wait_for_slice(client, file_id)
    return status


def order_of(status: dict[str, Any], **item: Any) -> dict[str, Any]:
    return {
        "items": [{"fileId": status["id"], "settingsHash": status["settingsHash"], **item}],
        "shipping": SYDNEY,
    }


def checked_out(client: Client, status: dict[str, Any]) -> dict[str, Any]:
    """Order one piece of a sliced model; the invoice."""
    order = order_of(status)
    price = client.data("POST", "quick-order/price", order)
    invoice: dict[str, Any] = client.data(
        "POST",
        "quick-order/checkout",
        {**order, "expectedTotalCents": price["totalCents"]},
        headers={"Idempotency-Key": str(uuid4())},
    )
    return invoice
