"""A function's FastAPI app and its Lambda entry point, the same for every route group."""

import asyncio
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from mangum import Mangum
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from printshop.http.headers import secure
from printshop.kernel.errors import ApiError, BadRequest, PayloadTooLarge, Unprocessable
from printshop.kernel.log import get_logger
from printshop.services import get_services

log = get_logger()

MAX_BODY = 1024 * 1024
"""Bytes of a JSON body. Files never pass through here: they go to storage by signed URL."""

type Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


def create_app(title: str) -> FastAPI:
    """An app with the envelope, the error answers and the limits. Raises SettingsError when started without
    a usable environment, so that a function fails at its start and not in a request."""
    get_services()
    app = FastAPI(title=title, docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.add_exception_handler(ApiError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _unroutable)
    app.add_exception_handler(Exception, _broken)
    return app


def lambda_handler(app: FastAPI) -> Handler:
    """The Lambda entry point of an app. One event loop serves the process for its life."""
    asyncio.set_event_loop(asyncio.new_event_loop())
    # Around the app as a whole: the answer to a defect passes through the envelope as well.
    return Mangum(_Envelope(app), lifespan="off")


class _Envelope:
    """Around every request: correlation id, body limit, headers of the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        correlation = _correlation_id(scope)
        log.begin(correlation)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message.setdefault("headers", [])
                headers.append((b"x-correlation-id", correlation.encode()))
                secure(headers)
            await send(message)

        length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if length.isdigit() and int(length) > MAX_BODY:
            refusal = PayloadTooLarge("BODY_TOO_LARGE")
            await _answer(refusal)(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)


def _correlation_id(scope: Scope) -> str:
    event = scope.get("aws.event") or {}
    return str(event.get("requestContext", {}).get("requestId") or "local")


def _answer(error: ApiError) -> JSONResponse:
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after is not None else None
    return JSONResponse(error.body(), error.status, headers)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)  # noqa: S101  (registered for it)
    if error.status >= 500:
        log.warn(scope="http.unavailable", error=error, data={"route": _route(request)})
    return _answer(error)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    faults = error.errors()
    if any(fault["type"] == "json_invalid" for fault in faults):
        return _answer(BadRequest("BODY_NOT_JSON"))
    details = [
        {"field": ".".join(str(part) for part in fault["loc"][1:]), "problem": fault["msg"]}
        for fault in faults
    ]
    return _answer(Unprocessable("INVALID_REQUEST", details=details))


async def _unroutable(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101
    code = {404: "ROUTE_NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}.get(error.status_code, "REFUSED")
    body = {"code": code, "message": f"{error.detail}: check the method and the path.", "details": None}
    return JSONResponse({"error": body}, error.status_code, error.headers)


async def _broken(request: Request, error: Exception) -> JSONResponse:
    """A defect of ours: the trace goes to the log, the caller gets the number to ask about."""
    log.error(scope="http.defect", error=error, data={"route": _route(request)})
    return _answer(ApiError("INTERNAL", details={"correlationId": _correlation_id(request.scope)}))


def _route(request: Request) -> str:
    """The route's pattern: a path may hold a token."""
    return f"{request.method} {getattr(request.scope.get('route'), 'path', '?')}"
