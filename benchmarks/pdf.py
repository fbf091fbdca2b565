"""Time of a PDF, against bare DevTools.

Ours: an invoice, from its data to the finished bytes, on a warm browser: template, interception, print, dates. The
page is wiped and its memory collected behind the answer: the second line has documents without a pause, which wait
for that. Rival: the same HTML on the same page of the same browser over one raw websocket: Page.setDocumentContent,
wait for fonts and images, Page.printToPDF, nothing else. They take turns, each after a pause, as requests have.

    python -m benchmarks.pdf [--rounds 60]
"""

import argparse
import asyncio
import base64
import itertools
import json
import os
import statistics
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from printshop.pdf.browser import PDF_OPTIONS
from printshop.pdf.chromium import find_chromium
from printshop.pdf.document import Business, Invoice
from printshop.pdf.renderer import Renderer
from printshop.pdf.service import pin_dates
from printshop.pdf.template import render_html
from tests.unit.pdf.documents import business, invoice

WARM_UP = 10
ROUNDS = 60
PAUSE = 0.03
WAIT = "Promise.all([document.fonts.ready, ...Array.from(document.images, image => image.decode())]).then(() => 1)"
INSTALLED = Path(__file__).parents[1] / ".local" / "chromium" / "chromium.br"


class BareDevTools:
    """The rival: no library between us and the protocol."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._session: dict[str, str] = {}
        self._frame = ""

    async def attach(self) -> None:
        targets = (await self.call("Target.getTargets"))["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        answer = await self.call("Target.attachToTarget", targetId=page, flatten=True)
        self._session = {"sessionId": answer["sessionId"]}
        self._frame = (await self.call("Page.getFrameTree"))["frameTree"]["frame"]["id"]

    async def call(self, method: str, **params: Any) -> Any:
        number = next(self._ids)
        await self._socket.send(
            json.dumps({"id": number, "method": method, "params": params, **self._session})
        )
        while True:
            message = json.loads(await self._socket.recv())
            if message.get("id") == number:
                return message["result"]

    async def pdf(self, html: str) -> bytes:
        await self.call("Page.setDocumentContent", frameId=self._frame, html=html)
        await self.call("Runtime.evaluate", expression=WAIT, awaitPromise=True)
        return base64.b64decode((await self.call("Page.printToPDF", **PDF_OPTIONS))["data"])


def _line(name: str, seconds: list[float]) -> str:
    ordered = sorted(seconds)
    p50, p95 = statistics.median(ordered), ordered[int(len(ordered) * 0.95)]
    return f"  {name:<34} p50 {p50 * 1000:7.1f} ms   p95 {p95 * 1000:7.1f} ms"


async def _invoice(renderer: Renderer, document: Invoice, shop: Business) -> bytes:
    return pin_dates(await renderer.pdf(render_html(document, shop)), document.issue_date)


async def _timed(work: Awaitable[bytes]) -> float:
    start = time.perf_counter()
    await work
    return time.perf_counter() - start


async def _compare(renderer: Renderer, name: str, lines: int, rounds: int) -> None:
    document, shop = invoice(lines), business()
    html = render_html(document, shop)
    await renderer.pdf(html)
    ours: list[float] = []
    bare: list[float] = []
    async with connect(renderer.endpoint or "", max_size=None) as socket:
        rival = BareDevTools(socket)
        await rival.attach()
        for _ in range(WARM_UP + rounds):
            await asyncio.sleep(PAUSE)
            bare.append(await _timed(rival.pdf(html)))
            await asyncio.sleep(PAUSE)
            ours.append(await _timed(_invoice(renderer, document, shop)))
        packed = [await _timed(_invoice(renderer, document, shop)) for _ in range(rounds)]
    ours, bare = ours[WARM_UP:], bare[WARM_UP:]
    added = (statistics.median(ours) - statistics.median(bare)) * 1000
    print(f"{name}, {rounds} rounds")
    print(_line("printshop, data to bytes", ours))
    print(_line("printshop, without a pause", packed))
    print(_line("rival: bare DevTools, same HTML", bare))
    print(f"  added {added:.1f} ms at p50, ratio {statistics.median(ours) / statistics.median(bare):.2f}\n")


async def _main(rounds: int) -> None:
    chromium = find_chromium(os.environ.get("CHROMIUM_BIN", str(INSTALLED)))
    renderer = Renderer(chromium)
    print(f"  Chromium {chromium.version}", flush=True)
    try:
        start = time.perf_counter()
        await renderer.pdf(render_html(invoice(1), business()))
        print(f"first document, launch included: {(time.perf_counter() - start) * 1000:.0f} ms\n", flush=True)
        await _compare(renderer, "4 lines, 1 page", 4, rounds)
        await _compare(renderer, "60 lines, 4 pages", 60, rounds)
    finally:
        await renderer.close()


def main(rounds: int = ROUNDS) -> None:
    print("PDF of an invoice, warm, in ms")
    print(
        "  rival: Page.setDocumentContent, Runtime.evaluate (fonts and images), Page.printToPDF over one websocket"
    )
    asyncio.run(_main(rounds))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="PDF time against bare DevTools")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    main(parser.parse_args().rounds)
