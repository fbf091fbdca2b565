"""The HTTP API as an ASGI application: each request becomes one invocation of one function."""

import asyncio
import json
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from devstack.gateway.application import Cors
from devstack.gateway.cors import is_preflight, preflight, with_cors
from devstack.gateway.events import HttpAnswer, HttpRequest, MalformedAnswerError, event_of, http_answer
from devstack.gateway.invocations import Answer, EventTooLargeError, Invoke
from devstack.gateway.routes import Match, RouteTable

__all__ = ["HttpApi"]

MAX_BODY_BYTES = 10 * 1024 * 1024

INTERNAL_ERROR = HttpAnswer.message(500, "Internal Server Error")
NOT_FOUND = HttpAnswer.message(404, "Not Found")
TIMED_OUT = HttpAnswer.message(503, "Service Unavailable")
TOO_LARGE = HttpAnswer.message(413, "Request Entity Too Large")


class HttpApi:
    """Answers requests as API Gateway does in front of the template's functions."""

    def __init__(
        self, routes: RouteTable, cors: Cors | None, invoke: Invoke, log: Callable[[str, str], None]
    ) -> None:
        self._routes = routes
        self._cors = cors
        self._invoke = invoke
        self._log = log
        self._running: set[asyncio.Future[Answer]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body, fits = await _body(request)
        raw = HttpRequest(
            method=request.method,
            path=scope["raw_path"].decode("latin-1").partition("?")[0],
            query=scope["query_string"].decode("latin-1"),
            headers=tuple(
                (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
            ),
            body=body,
            source_ip=scope["client"][0] if scope.get("client") else "127.0.0.1",
        )
        answer = await self._answer(raw) if fits else TOO_LARGE
        if self._cors is not None and not is_preflight(raw):
            answer = with_cors(self._cors, raw, answer)
        await _response(raw, answer)(scope, receive, send)

    async def _answer(self, request: HttpRequest) -> HttpAnswer:
        if self._cors is not None and is_preflight(request):
            return preflight(self._cors, request)
        match = self._routes.match(request.method, request.path)
        return await self._call(request, match) if match else NOT_FOUND

    async def _call(self, request: HttpRequest, match: Match) -> HttpAnswer:
        route = match.route
        event = json.dumps(
            event_of(request, route, match.path_parameters), separators=(",", ":"), ensure_ascii=False
        )
        invocation = asyncio.ensure_future(self._invoke(route.function, event.encode()))
        # The function continues after the gateway has timed out; the set keeps the task alive.
        self._running.add(invocation)
        invocation.add_done_callback(self._running.discard)
        try:
            async with asyncio.timeout(route.timeout):
                answer = await asyncio.shield(invocation)
        except TimeoutError:
            self._log(route.function, f"{route.key}: no answer within {route.timeout:g} s; answered 503")
            return TIMED_OUT
        except EventTooLargeError:
            return TOO_LARGE
        if answer.failed:
            return INTERNAL_ERROR
        try:
            return http_answer(answer.payload)
        except MalformedAnswerError as error:
            self._log(route.function, f"{route.key}: {error}; answered 500")
            return INTERNAL_ERROR


async def _body(request: Request) -> tuple[bytes, bool]:
    """The body, and whether it is within the limit; a longer one is read to its end and discarded."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= MAX_BODY_BYTES:
            chunks.append(chunk)
        else:
            chunks.clear()
    return b"".join(chunks), size <= MAX_BODY_BYTES


def _response(request: HttpRequest, answer: HttpAnswer) -> Response:
    bare = answer.status < 200 or answer.status in (204, 304)
    response = Response(b"" if bare else answer.body, answer.status)
    headers = [pair for pair in answer.headers if not (bare and pair[0] == "content-type")]
    if not bare:
        headers.append(("content-length", str(len(answer.body))))
    headers.append(("apigw-requestid", request.request_id))
    response.raw_headers = [(name.encode("latin-1"), value.encode("utf-8")) for name, value in headers]
    return response
