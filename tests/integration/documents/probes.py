"""What the tests look with: a tap on the wire, a server that counts, the page itself, /proc, and the PDF."""

import io
import json
import socket
import sys
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from pypdf import PdfReader
from websockets.asyncio.client import connect

from printshop.adapters.chromium.installation import Chromium, find_chromium, make_workspace

type Run = Callable[[Coroutine[Any, Any, Any]], Any]
"""Run a coroutine on the session's event loop."""

REPOSITORY = Path(__file__).parents[3]
TAP = Path(__file__).with_name("tap.py")


def page(body: str, head: str = "") -> str:
    """A page around a snippet."""
    return f'<!doctype html><html lang="en"><head><title>Test</title>{head}</head><body>{body}</body></html>'


def read(contents: bytes) -> PdfReader:
    return PdfReader(io.BytesIO(contents))


def text_of(contents: bytes) -> str:
    """The text of all pages, white space folded."""
    return " ".join(" ".join(page.extract_text() for page in read(contents).pages).split())


class Tapped:
    """A browser with a tap on its wire, and what went over it."""

    def __init__(self, folder: Path, chromium: Chromium, fault: dict[str, Any] | None) -> None:
        self._record = folder / "record.jsonl"
        config = folder / "tap.json"
        environment = {"LD_LIBRARY_PATH": str(chromium.libraries), "FONTCONFIG_FILE": str(chromium.fonts)}
        config.write_text(
            json.dumps(
                {
                    "binary": str(chromium.unpack(make_workspace())),
                    "environment": environment,
                    "record": str(self._record),
                    "fault": fault,
                }
            )
        )
        program = folder / "chromium"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{TAP}" "{config}" "$@"\n')
        program.chmod(0o755)
        self.chromium = find_chromium(str(program), layer=folder / "no-layer")

    @property
    def commands(self) -> list[tuple[str, dict[str, Any]]]:
        """Every DevTools command so far, in order: (method, parameters)."""
        lines = self._record.read_text().splitlines() if self._record.exists() else []
        return [(line["method"], line["params"]) for line in map(json.loads, lines)]

    def parameters(self, method: str) -> list[dict[str, Any]]:
        return [parameters for name, parameters in self.commands if name == method]


class CountingServer:
    """A server on loopback that counts every connection, whatever it wants."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.hits = 0
        threading.Thread(target=self._count, daemon=True).start()

    def _count(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.hits += 1
            connection.close()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


async def ask_page(endpoint: str, expression: str) -> Any:
    """Evaluate in the renderer's own page, over a second DevTools connection."""
    async with connect(endpoint, max_size=None) as socket_:

        async def call(number: int, method: str, session: str | None = None, **params: Any) -> Any:
            message = {"id": number, "method": method, "params": params}
            await socket_.send(json.dumps(message | ({"sessionId": session} if session else {})))
            while (answer := json.loads(await socket_.recv())).get("id") != number:
                pass
            return answer["result"]

        targets = (await call(1, "Target.getTargets"))["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        session = (await call(2, "Target.attachToTarget", targetId=page, flatten=True))["sessionId"]
        options = {"expression": expression, "returnByValue": True, "awaitPromise": True}
        answer = await call(3, "Runtime.evaluate", session, **options)
        return answer["result"].get("value")


def processes_below(pid: int) -> list[int]:
    """The living children of a process, at any depth."""
    found: list[int] = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            child = int(status.parent.name)
            found += [child, *processes_below(child)]
    return found
