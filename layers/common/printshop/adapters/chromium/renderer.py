"""One warm browser, one document at a time; a new browser whenever the old one is in doubt."""

import asyncio
import contextlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from printshop.adapters.chromium.installation import Chromium, make_workspace
from printshop.adapters.chromium.process import BrowserFailedError, BrowserNotStartedError, ChromiumProcess
from printshop.kernel.errors import Unavailable
from printshop.kernel.log import get_logger

if TYPE_CHECKING:
    from printshop.adapters.chromium.browser import PrintPage

TIME_LIMIT: Final = 30.0
"""Seconds for one document, a second try on a new browser included, where nobody waits behind a gateway."""

GATEWAY_LIMIT: Final = 16.0
"""The same where a caller waits: with storage waited for before and after, within the 29 s of the function, so that
the caller learns what happened."""

RECYCLE_BYTES: Final = 350 * 1024 * 1024
"""A browser that has grown beyond this is replaced before the next document."""

FAREWELL_LIMIT: Final = 1.0

log = get_logger()


@dataclass(frozen=True, slots=True)
class _Browser:
    process: ChromiumProcess
    page: "PrintPage"


class Renderer:
    """Prints HTML to PDF. Nothing starts before the first document; `close` leaves no process behind.

    Belongs to one event loop at a time: on another loop it begins again with a new browser.
    """

    def __init__(
        self,
        chromium: Chromium,
        *,
        workspace: Path | None = None,
        time_limit: float = TIME_LIMIT,
        recycle_bytes: int = RECYCLE_BYTES,
    ) -> None:
        self._chromium = chromium
        self._workspace = workspace
        self._time_limit = time_limit
        self._recycle_bytes = recycle_bytes
        self._browser: _Browser | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turn = asyncio.Lock()

    @property
    def version(self) -> str:
        """Names the browser in a cache key, without starting it."""
        return self._chromium.version

    @property
    def pid(self) -> int | None:
        """The browser's process, None while none runs."""
        return self._browser.process.pid if self._browser else None

    @property
    def endpoint(self) -> str | None:
        """The browser's DevTools address, None while none runs."""
        return self._browser.process.endpoint() if self._browser else None

    def prepare(self) -> None:
        """Begin with what the first document waits for, while its HTML is still being made; harmless at any time."""
        if self._browser is None:
            asyncio.get_running_loop().run_in_executor(None, self._unpack_ahead)

    async def pdf(self, html: str) -> bytes:
        """Print one document whose every resource is inline.

        A browser that dies or hangs is replaced and the document is tried once more, all within the time limit.
        Raises Unavailable: RENDERER_UNAVAILABLE when no browser starts, RENDER_FAILED when both tries failed.
        """
        self._adopt_loop()
        async with self._turn:
            now = asyncio.get_running_loop().time()
            try:
                return await self._attempt(html, now + self._time_limit / 2)
            except (BrowserFailedError, TimeoutError) as error:
                log.warn(scope="pdf.render", message="Trying once more, on a new browser", error=error)
            try:
                return await self._attempt(html, now + self._time_limit)
            except BrowserNotStartedError as error:
                log.error(scope="pdf.render", error=error)
                raise Unavailable("RENDERER_UNAVAILABLE") from error
            except (BrowserFailedError, TimeoutError) as error:
                log.error(scope="pdf.render", error=error)
                raise Unavailable("RENDER_FAILED", retry_after=5) from error

    async def close(self) -> None:
        """End the browser; the next document starts another."""
        self._adopt_loop()
        async with self._turn:
            if self._browser:
                with contextlib.suppress(BrowserFailedError, TimeoutError):
                    async with asyncio.timeout(FAREWELL_LIMIT):
                        await self._browser.page.wiped()
            await self._discard()

    async def _attempt(self, html: str, deadline: float) -> bytes:
        finished = False
        try:
            async with asyncio.timeout_at(deadline):
                browser = await self._warm()
                contents = await browser.page.print(html)
            finished = True
            return contents
        finally:
            if not finished:
                await self._discard()

    async def _warm(self) -> _Browser:
        process = self._browser and self._browser.process
        if process and (not process.alive or process.resident_bytes > self._recycle_bytes):
            await self._discard()
        if self._browser is None:
            self._browser = await self._launch()
        return self._browser

    def _unpack_ahead(self) -> None:
        # What fails here fails again in the launch, where there is somebody to be told.
        with contextlib.suppress(Unavailable):
            self._chromium.unpack(self._workspace or make_workspace())

    async def _launch(self) -> _Browser:
        workspace = self._workspace or make_workspace()
        await asyncio.to_thread(self._chromium.unpack, workspace)
        started = time.monotonic()
        try:
            process = ChromiumProcess(self._chromium, workspace)
        except OSError as error:  # no room for its folder, or no memory for another process
            raise BrowserNotStartedError(f"Chromium did not start: {error}") from error
        try:
            # Imported while Chromium starts, which leaves a processor idle as unpacking does not; and not before the
            # first document, since one that is in the cache needs neither pyppeteer nor its 70 ms.
            from printshop.adapters.chromium.browser import PrintPage  # noqa: PLC0415

            endpoint = await asyncio.to_thread(process.endpoint)
            page = await PrintPage.open(endpoint)
        except BaseException:
            process.stop()
            raise
        data = {"pid": process.pid, "version": self.version, "ms": round((time.monotonic() - started) * 1000)}
        log.info(scope="pdf.launch", message="Chromium started", data=data)
        return _Browser(process, page)

    async def _discard(self) -> None:
        browser, self._browser = self._browser, None
        if browser is None:
            return
        browser.process.stop()
        # The process is gone, so there is nobody left to wait for.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_LIMIT):
                await browser.page.close()

    def _adopt_loop(self) -> None:
        loop = asyncio.get_running_loop()
        if loop is self._loop:
            return
        if self._browser:
            self._browser.process.stop()
        self._browser, self._loop, self._turn = None, loop, asyncio.Lock()
