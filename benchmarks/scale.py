"""Lists, search and the dashboard with 100,000 invoices, against the same requests with 1,000.

Rival: the same route of a second stack, with 1,000 invoices; the two take turns. Then the CSV of all of them, and the
most memory that its function's process ever held.
"""

import statistics
import tempfile
import time
from pathlib import Path

import httpx
import psycopg

from devstack import Stack
from tests.support.loads import load_invoices

FEW, MANY = 1_000, 100_000
RUNS = 60
WARM_UP = 3
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


class Shopkeeper:
    """An admin on a stack with a given number of invoices."""

    def __init__(self, stack: Stack, invoices: int) -> None:
        with psycopg.connect(stack.postgres.url, autocommit=True) as database:
            load_invoices(database, invoices)
            database.execute("checkpoint")
        self.token = stack.admin("bench@example.com").accessToken
        self._client = httpx.Client(headers={"Authorization": f"Bearer {self.token}"}, timeout=60)
        self._url = f"{stack.api_url}/api"
        self.reads = {**READS, "list, a deep page": ("invoices", {"cursor": self._deep_cursor()})}

    def _deep_cursor(self) -> str:
        params: dict[str, str | int] = {"limit": 200}
        for _ in range(4):
            params["cursor"] = self._client.get(f"{self._url}/invoices", params=params).json()["nextCursor"]
        return str(params["cursor"])

    def milliseconds(self, name: str) -> float:
        path, params = self.reads[name]
        began = time.perf_counter()
        response = self._client.get(f"{self._url}/{path}", params=params)
        spent = time.perf_counter() - began
        if not response.is_success:
            raise RuntimeError(f"{name}: {response.status_code} {response.text}")
        return spent * 1000


def medians(few: Shopkeeper, many: Shopkeeper) -> dict[str, tuple[float, float]]:
    """Milliseconds of each read, warm; the medians of RUNS, reads and shops taking turns."""
    found: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in few.reads}
    for turn in range(RUNS + WARM_UP):
        for name, times in found.items():
            for shop, spent in zip((few, many), times, strict=True):
                took = shop.milliseconds(name)
                if turn >= WARM_UP:
                    spent.append(took)
    return {name: (statistics.median(less), statistics.median(more)) for name, (less, more) in found.items()}


def export(stack: Stack, shop: Shopkeeper, name: str) -> tuple[float, int, int]:
    """Seconds, lines, and the peak memory in MB of the function that wrote them, from a fresh process."""
    stack.gateway.recycle("BackOfficeFunction")
    began = time.perf_counter()
    response = httpx.get(
        f"{stack.api_url}/api/export/{name}.csv",
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
    print(f"  rival: the same route of a second stack, with {FEW:,}")
    with (
        tempfile.TemporaryDirectory() as folder,
        Stack(Path(folder) / "few") as small,
        Stack(Path(folder) / "many") as large,
    ):
        few, many = Shopkeeper(small, FEW), Shopkeeper(large, MANY)
        for name, (less, more) in medians(few, many).items():
            print(f"  {name:<26}{less:7.1f} ms  {more:7.1f} ms   {more / less:4.2f} ×")
        for name in ("invoices", "payments", "jobs", "ar-aging"):
            seconds, lines, peak = export(large, many, name)
            print(
                f"  {name + '.csv':<26}{lines:>9,} lines in {seconds:4.1f} s, at most {peak} MB in its process"
            )


if __name__ == "__main__":
    main()
