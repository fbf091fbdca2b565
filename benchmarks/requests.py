"""Requests to Supabase per route, cold (a fresh process, an unknown user) and warm.

Rival: the route's floor, which is its own work: one query for a read, one rpc for a write, one request a file moved.
Counted at the Supabase end.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

from local.stack import Stack
from tests.conftest import Client, sign_up
from tests.models import cube_stl
from tests.orders import (
    checked_out,
    order_of,
    put,
    request_upload,
    slice_request,
    sliced,
    uploaded,
    wait_for_slice,
)

WORKER = {"claim_slice", "report_slice_progress", "complete_slice", "record_heartbeat"}
"""What the slicer asks, on its own time."""


def count(stack: Stack, call: Callable[[], Any]) -> tuple[int, str]:
    """Requests that `call` makes Supabase answer, and what they are."""
    before = len(stack.supabase.requests())
    call()
    time.sleep(0.1)
    made = stack.supabase.requests()[before:]
    names = [line.split()[1].removeprefix("/rest/v1/rpc/") for line in made]
    if "request_slice" in names:
        names = [
            name
            for name in names
            if name == "authenticate" or not (name in WORKER or name.startswith("/storage"))
        ]
    kinds = [
        "storage" if name.startswith("/storage") else "auth" if name.startswith("/auth") else name
        for name in names
    ]
    return len(names), " + ".join(kinds)


def routes(client: Client, shop: Client) -> dict[str, tuple[str, Callable[[], Any]]]:
    """Route → the function that serves it, and a call that succeeds."""
    status = sliced(client, "cube.stl", cube_stl())
    invoice = checked_out(client, status)
    order = order_of(status)
    total = client.data("POST", "quick-order/price", order)["totalCents"]
    waiting = [request_upload(client, "cube.stl", len(cube_stl())) for _ in range(2)]
    for upload in waiting:
        put(upload, cube_stl())
    spare = [uploaded(client, "spare.stl", cube_stl(5)) for _ in range(2)]

    def slice_next() -> None:
        client.data("POST", "quick-order/slice", slice_request(spare[-1]))

    return {
        "GET auth/me": ("AccountFunction", lambda: client.data("GET", "auth/me")),
        "POST quick-order/uploads": ("QuickOrderFunction", lambda: request_upload(client, "a.stl", 684)),
        "POST quick-order/uploads/:id/complete": (
            "QuickOrderFunction",
            lambda: client.data("POST", f"quick-order/uploads/{waiting.pop()['id']}/complete"),
        ),
        "POST quick-order/slice": ("QuickOrderFunction", slice_next),
        "GET quick-order/files/:id": (
            "QuickOrderFunction",
            lambda: client.data("GET", f"quick-order/files/{status['id']}"),
        ),
        "POST quick-order/price": (
            "QuickOrderFunction",
            lambda: client.data("POST", "quick-order/price", order),
        ),
        "POST quick-order/checkout": (
            "QuickOrderFunction",
            lambda: client.data(
                "POST",
                "quick-order/checkout",
                {**order, "expectedTotalCents": total},
                headers={"Idempotency-Key": str(uuid4())},
            ),
        ),
        "GET tmp-files": ("QuickOrderFunction", lambda: client.get("tmp-files")),
        "GET tmp-files/:id": ("QuickOrderFunction", lambda: client.get(f"tmp-files/{status['id']}")),
        "GET invoices": ("InvoicesFunction", lambda: client.get("invoices")),
        "GET invoices/:id": ("InvoicesFunction", lambda: client.data("GET", f"invoices/{invoice['id']}")),
        "GET invoices/:id/pdf": ("PdfFunction", lambda: client.get(f"invoices/{invoice['id']}/pdf")),
        "POST invoices/:id/stripe-session": (
            "PayFunction",
            lambda: client.data("POST", f"invoices/{invoice['id']}/stripe-session"),
        ),
        "GET pay/:token": ("PayFunction", lambda: client.request("GET", invoice["payUrl"].split("/api/")[1])),
        "GET health": ("HealthFunction", lambda: client.data("GET", "health")),
        "GET health/ready": ("HealthFunction", lambda: shop.get("health/ready")),
    }


def main() -> None:
    print("Requests to Supabase per route")
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder) / "stack") as stack:
        client = sign_up(stack)
        login = stack.admin("bench@example.com")
        shop = Client(stack.api_url, login.accessToken)
        print(f"  {'route':<40}{'cold':>5}{'warm':>6}  what a warm one is made of")
        measured = routes(client, shop)
        time.sleep(1)
        for route, (function, call) in measured.items():
            stack.gateway.recycle(function)
            cold, _ = count(stack, call)
            settle(client)
            warm, made = count(stack, call)
            settle(client)
            print(f"  {route:<40}{cold:>5}{warm:>6}  {made}")


def settle(client: Client) -> None:
    """Wait until no slice is under way, so that the worker's own requests are not counted."""
    for row in client.get("tmp-files", params={"limit": 200}).json()["data"]:
        if row["queued"] or row["status"] == "running":
            wait_for_slice(client, row["id"])


if __name__ == "__main__":
    main()
