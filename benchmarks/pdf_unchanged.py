"""An unchanged document: read from storage, as by a new process, and from the local cache.

Rival: one request to the same storage, the download of the same PDF. Limit: 30 ms beyond it.
"""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from devstack.database import Postgres
from devstack.supabase import Supabase
from printshop.adapters.storage.objects import PDFS, Storage
from printshop.adapters.supabase import http_client
from printshop.config.settings import load_settings
from printshop.documents.cache import PdfCache
from printshop.documents.service import PdfService
from tests.unit.documents.documents import business, invoice

LIMIT = 0.030


class NoPrinter:
    """A printer that may print once: the benchmark measures stored documents."""

    version = "147"
    asked = 0

    def prepare(self) -> None:
        pass

    async def pdf(self, html: str) -> bytes:
        self.asked += 1
        return b"%PDF-1.4\n" + html.encode().ljust(60_000)


async def _measure(storage: Storage, folder: Path, rounds: int) -> None:
    printer, document, shop = NoPrinter(), invoice(4), business()
    times: dict[str, list[float]] = {"request": [], "stored": [], "cached": []}
    await PdfService(printer, storage, PdfCache(folder / "first")).invoice_pdf(document, shop)
    for number in range(rounds):
        start = time.perf_counter()
        storage.download(PDFS, "invoice-INV-0042.pdf")
        times["request"].append(time.perf_counter() - start)
        service = PdfService(printer, storage, PdfCache(folder / str(number)))
        for name in ("stored", "cached"):
            start = time.perf_counter()
            await service.invoice_pdf(document, shop)
            times[name].append(time.perf_counter() - start)
    assert printer.asked == 1
    request = statistics.median(times["request"])
    print(f"an unchanged document, {rounds} rounds; rival: one storage request")
    for name, words in (("stored", "printshop, out of storage"), ("cached", "printshop, out of the cache")):
        print(f"  {words:<34} p50 {statistics.median(times[name]) * 1000:7.1f} ms")
    print(f"  {'rival: the download alone':<34} p50 {request * 1000:7.1f} ms")
    added = max(statistics.median(times[name]) for name in ("stored", "cached")) - request
    print(
        f"  added {added * 1000:.1f} ms\n  {'held' if added <= LIMIT else 'MISSED'}: within 30 ms\n",
        flush=True,
    )


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        postgres = Postgres(folder / "postgres")
        postgres.start()
        supabase = Supabase(folder, postgres.url)
        supabase.start()
        try:
            settings = load_settings(
                {
                    "NEXT_PUBLIC_SUPABASE_URL": supabase.url,
                    "NEXT_PUBLIC_SUPABASE_ANON_KEY": supabase.publishable_key,
                    "SUPABASE_SERVICE_ROLE_KEY": supabase.secret_key,
                }
            )
            with http_client(settings) as client:
                asyncio.run(_measure(Storage(settings, client), folder, rounds))
        finally:
            supabase.stop()
            postgres.stop()
