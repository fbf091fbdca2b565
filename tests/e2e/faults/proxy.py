"""A proxy between a function and a service: it strikes at a request that a test names.

    with Proxy(supabase_url) as proxy, proxy.fault("rpc/complete_slice", strike=kill) as fault:
        …                       # at the first such request `kill` is called, and the connection is cut
    assert fault.fired == 1     # a fault that never fired fails its test by itself

One request a connection: each is answered with `Connection: close`, so that a connection tells who asked.
"""

import contextlib
import re
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from random import Random
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_CHUNK = 65536
_BODY_LOOKED_AT = 20_000
"""Bytes of a request's body among which a fault's words are looked for: any rpc's, no upload's."""
PART = 10_000
"""Bytes of an answer that have gone through when a fault strikes in the middle of it."""

Strike = Callable[[int], None]
"""What happens; it gets the port at the asking end of the connection."""


class Moment(Enum):
    REQUEST = auto()
    """The service has not heard of it."""
    MIDDLE = auto()
    """The first bytes of the answer have gone through."""
    ANSWER = auto()
    """The service has done it, and whoever asked does not know."""


@dataclass
class Fault:
    """Strikes at requests where each of `words` (regular expressions) is found, in the head or the body's start."""

    words: tuple[bytes, ...]
    moment: Moment
    strike: Strike
    times: int | None
    cuts: bool
    share: float = 1.0
    fired: int = 0
    """How often it has struck."""
    seen: int = 0
    """How many requests fitted that it might have struck at."""
    _taken: int = 0
    _heard: threading.Condition = field(default_factory=threading.Condition)
    _dice: Random = field(default_factory=lambda: Random(1))

    def takes(self, request: bytes) -> bool:
        """Whether this request is one to strike at."""
        if not all(re.search(word, request) for word in self.words):
            return False
        with self._heard:
            self.seen += 1
            if (self.times is not None and self._taken >= self.times) or self._dice.random() >= self.share:
                return False
            self._taken += 1
            return True

    def hit(self, port: int) -> None:
        self.strike(port)
        with self._heard:
            self.fired += 1
            self._heard.notify_all()

    def wait(self, times: int = 1, seconds: float = 60) -> None:
        """Until it has struck so often."""
        with self._heard:
            struck = self._heard.wait_for(lambda: self.fired >= times, seconds)
        assert struck, f"the fault at {self.words} fired {self.fired} times in {seconds} s, not {times}"


class Proxy:
    """Listens on a port of 127.0.0.1 from its making on."""

    def __init__(self, target: str) -> None:
        """`target`: the service's URL."""
        parts = urlsplit(target)
        self.target = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._faults: list[Fault] = []
        proxy = self

        class Connection(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    proxy._serve(self.request, self.client_address[1])

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Connection, bind_and_activate=False)
        self._server.daemon_threads = True
        self._server.request_queue_size = 64
        self._server.server_bind()
        self._server.server_activate()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @contextlib.contextmanager
    def fault(
        self,
        *words: str,
        strike: Strike = lambda _: None,
        moment: Moment = Moment.REQUEST,
        times: int | None = 1,
        cuts: bool = True,
        share: float = 1.0,
    ) -> Iterator[Fault]:
        """A fault for as long as the block takes. `cuts`: the connection ends there, else the request goes on.
        `share`: of the requests that fit, those that it strikes at."""
        fault = Fault(tuple(word.encode() for word in words), moment, strike, times, cuts, share)
        self._faults.append(fault)
        try:
            yield fault
        finally:
            self._faults.remove(fault)
        assert fault.fired, f"the fault at {words} never fired"

    def _serve(self, asking: socket.socket, port: int) -> None:
        request, missing = _read_request(asking)
        if not request:
            return
        fault = next((fault for fault in list(self._faults) if fault.takes(request)), None)
        if fault and fault.moment is Moment.REQUEST:
            fault.hit(port)
            if fault.cuts:
                return
            fault = None
        with socket.create_connection(self.target) as service:
            service.sendall(request)
            while missing and (data := asking.recv(min(missing, _CHUNK))):
                service.sendall(data)
                missing -= len(data)
            self._answer(service, asking, fault, port)

    def _answer(self, service: socket.socket, asking: socket.socket, fault: Fault | None, port: int) -> None:
        if fault and fault.moment is Moment.ANSWER:
            kept = b"".join(iter(lambda: service.recv(_CHUNK), b""))
            fault.hit(port)
            if not fault.cuts:
                asking.sendall(kept)
            return
        passed = 0
        while data := service.recv(_CHUNK if fault is None else PART // 4):
            asking.sendall(data)
            passed += len(data)
            if fault and passed >= PART:
                fault.hit(port)
                if fault.cuts:
                    return
                fault = None


def _read_request(asking: socket.socket) -> tuple[bytes, int]:
    """A request as far as faults look at it, told to be the connection's last; how many bytes are to follow."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = asking.recv(_CHUNK)
        if not more:
            return b"", 0
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower(), "the proxy knows bodies by their length alone"
    found = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    missing = (int(found[1]) if found else 0) - len(body)
    while missing > 0 and len(body) < _BODY_LOOKED_AT and (more := asking.recv(min(missing, _CHUNK))):
        body += more
        missing -= len(more)
    head = re.sub(rb"(?i)\r\nconnection:[^\r]*", b"", head) + b"\r\nConnection: close"
    return head + b"\r\n\r\n" + body, missing
