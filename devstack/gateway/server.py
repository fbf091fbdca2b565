"""The gateway's event loop in its own thread, and the servers that run on it."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Coroutine
from typing import Any

import uvicorn
from starlette.types import ASGIApp

__all__ = ["EventLoop", "Server", "listen"]


def listen(port: int = 0) -> socket.socket:
    """A socket that listens on 127.0.0.1; port 0 is a free one."""
    # asyncio turns Nagle's algorithm off only if the protocol is given: 3 ms an invocation instead of 90.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    bound.listen(1024)
    return bound


class EventLoop:
    """An asyncio loop in a daemon thread; other threads run coroutines on it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gateway", daemon=True)
        self._thread.start()

    def run[T](self, coroutine: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        """Run a coroutine and return its result. Raises TimeoutError after `timeout` seconds."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout)

    def close(self) -> None:
        """Stop the loop and end its thread."""
        self.run(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Server:
    """One ASGI application on one or more sockets."""

    def __init__(self, application: ASGIApp, sockets: list[socket.socket]) -> None:
        config = uvicorn.Config(
            application,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            http="h11",
            # A process posts its answer on the connection that brought the event, up to 15 minutes later.
            timeout_keep_alive=1000,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._sockets = sockets
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Serve. The sockets listen already, so an early connection waits."""
        self._task = asyncio.create_task(self._server.serve(sockets=self._sockets))

    async def stop(self) -> None:
        """Close every connection and socket."""
        self._server.should_exit = True
        self._server.force_exit = True
        if self._task is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
