"""What the workshop's tests begin with: jobs to be done, and names that nothing else has."""

from collections.abc import Callable
from uuid import uuid4

import httpx
import psycopg

from tests.conftest import Client
from tests.integration.schema.shop import Customer, call, checkout

BED = {"bedXMm": 250, "bedYMm": 210, "bedZMm": 220}


def a_name(words: str) -> str:
    return f"{words} {uuid4().hex[:8]}"


def new_job(database: psycopg.Connection, client: Client) -> int:
    """A job of the client's, at the end of the queue; its id."""
    ordered = checkout(Customer(client.user["id"], client.user["clientId"]))
    invoice = call(database, "checkout_quick_order", **ordered)
    job = call(database, "ensure_job", p_invoice_id=invoice["id"], p_actor={"userId": client.user["id"]})
    return int(job)


def new_printer(shop: Client) -> int:
    return int(shop.data("POST", "printers", {"name": a_name("Printer"), **BED})["id"])


def refused(response: httpx.Response) -> tuple[int, str]:
    """Status and code."""
    return response.status_code, response.json()["error"]["code"]


def walk(shop: Client, path: str, after_first_page: Callable[[], None] | None = None) -> list[int]:
    """The ids on all pages, two a page."""
    ids: list[int] = []
    cursor = ""
    while True:
        page = shop.get(f"{path}&limit=2{cursor}").json()
        ids += [row["id"] for row in page["data"]]
        if page["nextCursor"] is None:
            return ids
        if not cursor and after_first_page is not None:
            after_first_page()
        cursor = f"&cursor={page['nextCursor']}"
