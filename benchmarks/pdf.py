"""Time of a PDF: warm against bare DevTools and WeasyPrint, unchanged against a request, cold against a start.

Warm: an invoice, from its data to the finished bytes, on a warm browser: template, interception, print, dates,
metadata. The page is wiped and its memory collected behind the answer: the second line has documents without a pause,
which wait for that. Rival: the same HTML on the same page of the same browser over one raw websocket without
compression. They take turns, each after a pause, as requests have. Limits: p50 at most 8 ms or 1.3 times beyond,
whichever is more; p95 at most twice p50; 4 times as fast as WeasyPrint on one page.

    python -m benchmarks.pdf [--rounds 60]
"""

import argparse
import asyncio
import io
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pypdf
from websockets.asyncio.client import connect

from benchmarks import pdf_cold, pdf_unchanged
from benchmarks.bare_devtools import BareDevTools
from printshop.adapters.chromium.installation import Chromium, find_chromium
from printshop.adapters.chromium.renderer import Renderer
from printshop.documents.metadata import describe
from printshop.documents.schemas import Business, Invoice
from printshop.documents.service import pin_dates
from printshop.documents.template import render_html
from tests.unit.documents.documents import business, invoice

WARM_UP = 10
ROUNDS = 60
PAUSE = 0.03
LINES = {1: 4, 20: 410}
"""Of an invoice of so many pages."""

ROOT = Path(__file__).parents[1]
INSTALLED = ROOT / ".local" / "chromium" / "chromium.zst"
WEASYPRINT = ROOT / ".local" / "bench" / "bin" / "python"


def line(name: str, seconds: list[float]) -> str:
    ordered = sorted(seconds)
    p50, p95 = statistics.median(ordered), ordered[int(len(ordered) * 0.95)]
    return f"  {name:<34} p50 {p50 * 1000:7.1f} ms   p95 {p95 * 1000:7.1f} ms"


def verdict(held: bool, limit: str) -> str:
    return f"{'held' if held else 'MISSED'}: {limit}"


async def _invoice(renderer: Renderer, document: Invoice, shop: Business) -> bytes:
    contents = pin_dates(await renderer.pdf(render_html(document, shop)), document.issue_date)
    return describe(contents, document, shop, document.issue_date)


async def _timed(work: Awaitable[bytes]) -> float:
    start = time.perf_counter()
    await work
    return time.perf_counter() - start


async def _compare(renderer: Renderer, pages: int, rounds: int) -> None:
    document, shop = invoice(LINES[pages]), business()
    html = render_html(document, shop)
    printed = len(pypdf.PdfReader(io.BytesIO(await renderer.pdf(html))).pages)
    ours: list[float] = []
    bare: list[float] = []
    async with connect(renderer.endpoint or "", max_size=None, compression=None) as socket:
        rival = BareDevTools(socket)
        await rival.attach()
        for _ in range(WARM_UP + rounds):
            await asyncio.sleep(PAUSE)
            bare.append(await _timed(rival.pdf(html)))
            await rival.wipe()  # untimed: either begins on an empty page
            await asyncio.sleep(PAUSE)
            ours.append(await _timed(_invoice(renderer, document, shop)))
        packed = [await _timed(_invoice(renderer, document, shop)) for _ in range(rounds)]
    ours, bare = ours[WARM_UP:], bare[WARM_UP:]
    p50, rival_p50 = statistics.median(ours), statistics.median(bare)
    p95 = sorted(ours)[int(len(ours) * 0.95)]
    print(f"{LINES[pages]} lines, {printed} pages, {rounds} rounds")
    print(line("printshop, data to bytes", ours))
    print(line("printshop, without a pause", packed))
    print(line("rival: bare DevTools, same HTML", bare))
    print(f"  added {(p50 - rival_p50) * 1000:.1f} ms at p50, ratio {p50 / rival_p50:.2f}")
    print("  " + verdict(p50 <= max(rival_p50 + 0.008, rival_p50 * 1.3), "p50 within 8 ms or 1.3 times"))
    print("  " + verdict(p95 <= 2 * p50, "p95 within twice p50") + "\n", flush=True)


@contextmanager
def _weasyprint(html: str) -> "Iterator[subprocess.Popen[str]]":
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        page.write_text(html)
        command = [WEASYPRINT, Path(__file__).with_name("weasyprint_rival.py"), page]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            yield process
            assert process.stdin is not None
            process.stdin.close()


async def _against_weasyprint(renderer: Renderer, rounds: int) -> None:
    document, shop = invoice(LINES[1]), business()
    ours: list[float] = []
    theirs: list[float] = []
    with _weasyprint(render_html(document, shop)) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for _ in range(3 + rounds):
            await asyncio.sleep(PAUSE)
            ours.append(await _timed(_invoice(renderer, document, shop)))
            await asyncio.sleep(PAUSE)
            print("once", file=process.stdin, flush=True)
            theirs.append(float(process.stdout.readline()))
    ratio = statistics.median(theirs[3:]) / statistics.median(ours[3:])
    print(f"1 page, {rounds} rounds")
    print(line("printshop, data to bytes", ours[3:]))
    print(line("rival: WeasyPrint, same HTML", theirs[3:]))
    print(f"  {ratio:.1f} times as fast\n  " + verdict(ratio >= 4, "4 times as fast") + "\n", flush=True)


async def _warm(chromium: Chromium, rounds: int) -> None:
    renderer = Renderer(chromium)
    try:
        start = time.perf_counter()
        await renderer.pdf(render_html(invoice(1), business()))
        print(f"first document, launch included: {(time.perf_counter() - start) * 1000:.0f} ms\n", flush=True)
        for pages in LINES:
            await _compare(renderer, pages, rounds)
        if WEASYPRINT.exists():
            await _against_weasyprint(renderer, rounds // 2)
        else:
            print("WeasyPrint is not set up: `make setup-bench`\n")
    finally:
        await renderer.close()


def main(rounds: int = ROUNDS) -> None:
    chromium = find_chromium(os.environ.get("CHROMIUM_BIN", str(INSTALLED)))
    print(f"PDF of an invoice, in ms, by Chromium {chromium.version}")
    print(
        "  rival: Page.setDocumentContent, Runtime.evaluate (fonts and images), Page.printToPDF on one websocket"
    )
    asyncio.run(_warm(chromium, rounds))
    pdf_unchanged.main(rounds)
    pdf_cold.main(chromium)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="PDF time against its rivals")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    main(parser.parse_args().rounds)
