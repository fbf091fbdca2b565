"""A tap on the wire between the product and Chromium: run as if it were the browser.

    python tap.py CONFIG [Chromium's arguments]

It starts the real Chromium, relays its DevTools port and writes every command to a file, one JSON object a line. On
the command that CONFIG names it can swallow the command (`hang`) or kill Chromium with -9 (`kill`), `times` times
over all runs; with `silent` it starts nothing and says nothing.

CONFIG is JSON: {"binary", "environment", "record", "fault": {"kind", "method", "times"} or null}.
"""

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed


class Tap:
    def __init__(self, config: dict[str, Any]) -> None:
        self._record = Path(config["record"])
        self._fault = config["fault"] or {"kind": None, "method": None, "times": 0}
        self.endpoint = ""
        self.pid = 0

    async def relay(self, ours: ServerConnection) -> None:
        async with connect(self.endpoint, max_size=None, compression=None) as theirs:
            down = asyncio.create_task(self._down(theirs, ours))
            with contextlib.suppress(ConnectionClosed):
                async for message in ours:
                    if not self._strikes(self._note(message)):
                        await theirs.send(message)
            down.cancel()

    async def _down(self, theirs: Any, ours: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for message in theirs:
                await ours.send(message)
        await ours.close()

    def _note(self, message: str | bytes) -> str:
        """The command inside, unwrapped from its session, and a line in the record."""
        command = json.loads(message)
        while "message" in command.get("params", {}):
            command = json.loads(command["params"]["message"])
        with self._record.open("a") as file:
            file.write(
                json.dumps({"method": command["method"], "params": command.get("params") or {}}) + "\n"
            )
        return str(command["method"])

    def _strikes(self, method: str) -> bool:
        struck = self._record.with_suffix(".struck")
        count = len(struck.read_bytes()) if struck.exists() else 0
        if method != self._fault["method"] or count >= self._fault["times"]:
            return False
        struck.write_bytes(b"x" * (count + 1))
        if self._fault["kind"] == "kill":
            os.kill(self.pid, signal.SIGKILL)
        return True


async def main(config: dict[str, Any]) -> None:
    tap = Tap(config)
    if config["fault"] and config["fault"]["kind"] == "silent":
        await asyncio.sleep(3600)
    chromium = await asyncio.create_subprocess_exec(
        config["binary"],
        *sys.argv[2:],
        env={**os.environ, **config["environment"]},
        stderr=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )
    tap.pid = chromium.pid
    assert chromium.stderr is not None
    while not tap.endpoint:
        line = (await chromium.stderr.readline()).decode()
        if match := re.search(r"ws://\S+", line):
            tap.endpoint = match[0]
    async with serve(tap.relay, "127.0.0.1", 0, max_size=None, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        print(
            f"DevTools listening on ws://127.0.0.1:{port}/devtools/browser/tap", file=sys.stderr, flush=True
        )
        await chromium.wait()


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text())))
