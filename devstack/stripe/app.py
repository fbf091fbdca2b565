"""The stand-in as one ASGI application: API, payment page, control API and webhook sender."""

import asyncio
import os
import signal
import traceback
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from devstack.stripe import control, pages, sessions
from devstack.stripe.api import Api
from devstack.stripe.errors import ApiError
from devstack.stripe.merchant import Merchant
from devstack.stripe.webhook_sender import WebhookSender

EXPIRY_CHECK_SECONDS = 1.0


def build(merchant: Merchant, retry_seconds: Sequence[float]) -> FastAPI:
    """The application for one merchant; `retry_seconds` are the pauses between attempts at a webhook."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        sender = WebhookSender(merchant, retry_seconds)
        merchant.on_event = sender.wake
        work = [asyncio.create_task(sender.run()), asyncio.create_task(_expire_on_time(merchant))]
        for task in work:
            task.add_done_callback(_end_if_broken)
        yield
        for task in work:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    app = FastAPI(title="Stripe stand-in", lifespan=lifespan, openapi_url=None)
    app.include_router(control.router(merchant))
    app.include_router(pages.router(merchant))
    app.add_api_route("/v1/{rest:path}", Api(merchant).answer, methods=["GET", "POST", "DELETE"])

    @app.exception_handler(ApiError)
    async def answer_error(_: Request, error: ApiError) -> JSONResponse:
        return JSONResponse({"error": error.message}, error.status)

    return app


def _end_if_broken(task: asyncio.Task[None]) -> None:
    # Without this, a sender that died would only show as a test that waits.
    if not task.cancelled() and task.exception():
        traceback.print_exception(task.exception())
        os.kill(os.getpid(), signal.SIGTERM)


async def _expire_on_time(merchant: Merchant) -> None:
    while True:
        await asyncio.sleep(EXPIRY_CHECK_SECONDS)
        sessions.expire_due(merchant)
