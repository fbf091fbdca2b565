"""The open connections by client address, so that one can be reset as a broken network does."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

_open: dict[tuple[str, int], "Connection"] = {}


class Connection(H11Protocol):
    """uvicorn's HTTP protocol, found again by the client's address."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.gone = asyncio.Event()
        if self.client:
            _open[self.client] = self

    def connection_lost(self, exc: Exception | None) -> None:
        if self.client:
            _open.pop(self.client, None)
        self.gone.set()
        super().connection_lost(exc)


async def reset(scope: MutableMapping[str, Any]) -> None:
    """Reset the connection of a request; what the handler returns afterwards goes nowhere."""
    connection = _open.get(tuple(scope["client"]))
    if connection is not None:
        connection.transport.abort()
        await connection.gone.wait()
