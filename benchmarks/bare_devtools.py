"""The rival of our PDFs: the DevTools protocol over one raw websocket, without our code."""

import base64
import itertools
import json
from typing import Any

from websockets.asyncio.client import ClientConnection

from printshop.adapters.chromium.browser import PDF_OPTIONS

WAIT = "Promise.all([document.fonts.ready, ...Array.from(document.images, image => image.decode())]).then(() => 1)"


class BareDevTools:
    """Page.setDocumentContent, wait for fonts and images, Page.printToPDF, nothing else."""

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

    async def wipe(self) -> None:
        """Empty the page, as printshop does after its answer."""
        await self.call("Page.setDocumentContent", frameId=self._frame, html="")
