"""The one module that knows pyppeteer: a warm page that turns HTML into PDF over the DevTools protocol.

pyppeteer is used by its public parts only, `connect` and `createCDPSession`: its launcher, its page and its
request interception do not work with today's Chromium.
"""

import asyncio
import base64
import warnings
from contextvars import ContextVar
from typing import Any, Final

from printshop.adapters.chromium.interception import Request
from printshop.adapters.chromium.process import BrowserFailedError
from printshop.kernel.log import get_logger

with warnings.catch_warnings():
    # It imports the part of websockets that is called legacy; both are pinned, and tested together.
    warnings.simplefilter("ignore", DeprecationWarning)
    import pyppeteer
    from pyppeteer.errors import PyppeteerError

CONNECT_LIMIT: Final = 5.0

VIEWPORT: Final = {"width": 1200, "height": 1600, "deviceScaleFactor": 2, "mobile": False}

_MM: Final = 1 / 25.4
"""Inches."""

PDF_OPTIONS: Final = {
    "paperWidth": 210 * _MM,
    "paperHeight": 297 * _MM,
    "marginTop": 20 * _MM,
    "marginBottom": 20 * _MM,
    "marginLeft": 16 * _MM,
    "marginRight": 16 * _MM,
    "printBackground": True,
    "preferCSSPageSize": True,
    "generateTaggedPDF": True,
    "generateDocumentOutline": True,
    "displayHeaderFooter": False,
    "landscape": False,
    "scale": 1.0,
}
"""A4 with the seed's margins; DevTools counts in inches."""

_READY: Final = """
Promise.all([document.fonts.ready, ...Array.from(document.images, image => image.decode().catch(() => null))])
    .then(() => document.readyState)
"""

_owner: ContextVar[object] = ContextVar("owner", default=None)
"""Marks the tasks of one connection: pyppeteer keeps no account of them."""

log = get_logger()


class PrintPage:
    """The one page of one browser. Made by `open`; prints one document at a time; useless after any exception."""

    def __init__(self, owner: object, browser: Any, session: Any) -> None:
        self._owner = owner
        self._browser = browser
        self._session = session
        self._frame = ""
        self._gone = asyncio.get_running_loop().create_future()
        self._replies: set[asyncio.Task[Any]] = set()
        self._wiping: asyncio.Task[None] | None = None
        browser.on("disconnected", self._on_disconnected)
        session.on("Fetch.requestPaused", self._on_request_paused)

    @classmethod
    async def open(cls, endpoint: str) -> "PrintPage":
        """Connect to the browser's first page and set it up for print.

        Raises BrowserFailedError, or TimeoutError when the browser does not answer.
        """
        owner = object()
        outer = _owner.set(owner)
        try:
            async with asyncio.timeout(CONNECT_LIMIT):
                page = cls(owner, *await _first_page(endpoint))
                await page._set_up()
        except BaseException:
            # A connection that failed leaves pyppeteer spinning for ever, waiting to send its first message.
            await _end(_tasks_of(owner))
            raise
        finally:
            _owner.reset(outer)
        return page

    async def _set_up(self) -> None:
        # All at once: the browser takes them in this order, and a new one takes its time for each answer.
        *_, tree = await asyncio.gather(
            self._call("Page.enable"),
            self._call("Fetch.enable", patterns=[{"urlPattern": "*"}]),
            self._call("Emulation.setScriptExecutionDisabled", value=True),
            self._call("Emulation.setDeviceMetricsOverride", **VIEWPORT),
            self._call("Emulation.setTouchEmulationEnabled", enabled=False),
            self._call("Emulation.setEmulatedMedia", media="print"),
            self._call("Page.getFrameTree"),
        )
        self._frame = tree["frameTree"]["frame"]["id"]

    async def print(self, html: str) -> bytes:
        """The PDF of a document whose every resource is inline.

        The page is wiped behind our back, while the answer is on its way; the next document waits for that.
        Raises BrowserFailedError. Has no time limit of its own.
        """
        await self.wiped()
        await self._show(html)
        await self._settled()
        answer = await self._call("Page.printToPDF", **PDF_OPTIONS)
        self._wiping = asyncio.ensure_future(self._wipe())
        self._wiping.add_done_callback(_retrieved)
        return base64.b64decode(answer["data"])

    async def wiped(self) -> None:
        """Wait until nothing is left of the last document. Raises BrowserFailedError."""
        if self._wiping is not None:
            await self._wiping

    async def _wipe(self) -> None:
        """Leave nothing of a document, neither to see nor in memory: uncollected, 150 documents take 240 MB."""
        await self._show("")
        await self._call("HeapProfiler.collectGarbage")

    async def close(self) -> None:
        """Drop the connection to a browser that is gone.

        Not by pyppeteer's `disconnect`, which fails on a connection that is already broken.
        """
        self._on_disconnected()
        await _end(_tasks_of(self._owner) | ({self._wiping} if self._wiping else set()))

    async def _show(self, html: str) -> None:
        await self._call("Page.setDocumentContent", frameId=self._frame, html=html)

    async def _settled(self) -> None:
        """Wait for exactly what the print needs: the DOM, decoded images, fonts, and no request in flight."""
        while True:
            answer = await self._call(
                "Runtime.evaluate", expression=_READY, awaitPromise=True, returnByValue=True
            )
            if self._replies:
                await asyncio.wait(self._replies)
            elif answer["result"].get("value") == "complete":
                return
            else:
                await asyncio.sleep(0.002)

    async def _call(self, method: str, **parameters: Any) -> Any:
        """One DevTools command. Its future is awaited, never cancelled: pyppeteer would trip over that."""
        if self._gone.done():
            raise BrowserFailedError(method)
        try:
            reply = self._session.send(method, parameters)
            reply.add_done_callback(_retrieved)
            await asyncio.wait((reply, self._gone), return_when=asyncio.FIRST_COMPLETED)
            if reply.done() and (result := reply.result()) is not None:
                return result
        except (PyppeteerError, ConnectionError) as error:
            raise BrowserFailedError(f"{method}: {error}") from error
        raise BrowserFailedError(method)

    def _on_disconnected(self) -> None:
        if not self._gone.done():
            self._gone.set_result(None)

    def _on_request_paused(self, event: dict[str, Any]) -> None:
        request = Request(event["request"]["url"], event["resourceType"])
        if request.allowed:
            reply = self._call("Fetch.continueRequest", requestId=event["requestId"])
        else:
            log.warn(
                scope="pdf.blocked",
                message="A document asked for something outside itself",
                data={"kind": request.kind, "url": request.shown},
            )
            reply = self._call("Fetch.failRequest", requestId=event["requestId"], errorReason=request.refusal)
        task = asyncio.ensure_future(reply)
        self._replies.add(task)
        task.add_done_callback(self._replied)

    def _replied(self, task: asyncio.Task[Any]) -> None:
        self._replies.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # The request was given up before we answered, or the browser is gone, which `print` meets itself.
            log.info(scope="pdf.blocked", message=f"No reply was needed: {error}")


def _retrieved(reply: asyncio.Future[Any]) -> None:
    """Look at an outcome that may come after we stopped waiting, or asyncio complains of neglect."""
    if not reply.cancelled():
        reply.exception()


async def _first_page(endpoint: str) -> tuple[Any, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        browser = await pyppeteer.connect(browserWSEndpoint=endpoint, defaultViewport=None)
    while True:
        for target in browser.targets():
            if target.type == "page":
                return browser, await target.createCDPSession()
        await asyncio.sleep(0.001)


def _tasks_of(owner: object) -> set[asyncio.Task[Any]]:
    """What was started while this page's connection was opened, and what that started in turn."""
    mine = {task for task in asyncio.all_tasks() if task.get_context().get(_owner) is owner}
    return mine - {asyncio.current_task()}


async def _end(tasks: set[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
