"""Lists, search and the dashboard with 100,000 invoices behind them, against the same requests with 1,000.

Rival: the same route, same process, same run, with 1,000 invoices loaded. Then the CSV of all of them, and the most
memory that its function's process ever held.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psycopg

from local.stack import Stack
from tests.conftest import Client
from tests.loads import load_invoices

FEW, MANY = 1_000, 100_000
RUNS = 60
READS = {
    "list, first page": ("invoices", {}),
    "list, oldest first": ("invoices", {"sort": "createdAt"}),
    "list, by due date": ("invoices", {"sort": "dueDate"}),
    "list, one status": ("invoices", {"status": "OVERDUE"}),
    "list, a rare status": ("invoices", {"status": "VOID"}),
    "search, one number": ("invoices", {"q": "LOAD-0000123"}),
    "search, every invoice": ("invoices", {"q": "load-"}),
    "search, a client": ("invoices", {"q": "client 17"}),
    "search, nothing": ("invoices", {"q": "no such invoice"}),
    "search, with wildcards": ("invoices", {"q": "%_*,)("}),
    "dashboard": ("dashboard", {}),
    "clients, with totals": ("clients", {}),
    "search a client": ("clients", {"q": "company 12"}),
    "jobs": ("jobs", {}),
}


def medians(shop: Client) -> dict[str, float]:
    """Milliseconds of each read, warm; the median of RUNS, the reads taking turns."""
    found: dict[str, list[float]] = {name: [] for name in (*READS, "list, a deep page")}
    with httpx.Client(headers={"Authorization": f"Bearer {shop.token}"}, timeout=60) as client:
        url = f"{shop.api_url}/api"
        deep = client.get(f"{url}/invoices", params={"limit": 200}).json()["nextCursor"]
        for _ in range(3 if deep else 0):
            deep = client.get(f"{url}/invoices", params={"limit": 200, "cursor": deep}).json()["nextCursor"]
        reads = {**READS, "list, a deep page": ("invoices", {"cursor": deep})}
        for turn in range(RUNS + 3):
            for name, (path, params) in reads.items():
                began = time.perf_counter()
                response = client.get(f"{url}/{path}", params=params)
                spent = time.perf_counter() - began
                if not response.is_success:
                    raise RuntimeError(f"{name}: {response.status_code} {response.text}")
                if turn >= 3:
                    found[name].append(spent * 1000)
    return {name: statistics.median(times) for name, times in found.items()}


def loaded(stack: Stack, invoices: int, act: Callable[[], None]) -> None:
    """Run `act` with that many invoices, and no others."""
    with psycopg.connect(stack.postgres.url, autocommit=True) as database:
        database.execute("truncate invoices, quotes, payments, jobs cascade")
        database.execute(
            "delete from clients c where not exists (select from users u where u.client_id = c.id)"
        )
        load_invoices(database, invoices)
    act()


def export(stack: Stack, shop: Client, name: str) -> tuple[float, int, int]:
    """Seconds, lines, and the peak memory in MB of the function that wrote them, from a fresh process."""
    stack.gateway.recycle("BackOfficeFunction")
    began = time.perf_counter()
    response = httpx.get(
        f"{shop.api_url}/api/export/{name}.csv",
        headers={"Authorization": f"Bearer {shop.token}"},
        timeout=60,
    )
    spent = time.perf_counter() - began
    if response.status_code != 302:
        raise RuntimeError(f"{name}.csv: {response.status_code} {response.text}")
    peak = max(peak_megabytes(process) for process in stack.gateway.processes("BackOfficeFunction"))
    with httpx.stream("GET", response.headers["location"], timeout=60) as file:
        lines = sum(1 for _ in file.iter_lines())
    return spent, lines, peak


def peak_megabytes(process: int) -> int:
    """The most resident memory that a process ever held."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) // 1024


def main() -> None:
    print(
        f"With {MANY:,} invoices and {3 * MANY:,} lines, against {FEW:,} (median of {RUNS}, warm, over HTTP)"
    )
    found: dict[int, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder) / "stack") as stack:
        login = stack.admin("bench@example.com")
        shop = Client(stack.api_url, login.accessToken)
        for invoices in (FEW, MANY):
            loaded(stack, invoices, lambda count=invoices: found.update({count: medians(shop)}))  # type: ignore[misc]
        for name, few in found[FEW].items():
            many = found[MANY][name]
            print(f"  {name:<26}{few:7.1f} ms  {many:7.1f} ms   {many / few:4.2f} ×")
        for name in ("invoices", "payments", "jobs", "ar-aging"):
            seconds, lines, peak = export(stack, shop, name)
            print(
                f"  {name + '.csv':<26}{lines:>9,} lines in {seconds:4.1f} s, at most {peak} MB in its process"
            )


if __name__ == "__main__":
    main()
