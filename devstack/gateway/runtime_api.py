"""AWS Lambda's Runtime API, as `awslambdaric` calls it. Each process has its own port."""

import asyncio

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from devstack.gateway.invocations import MAX_ANSWER_BYTES, Answer, Invocation
from devstack.gateway.workers import Slots, Worker

__all__ = ["runtime_api"]

PREFIX = "/2018-06-01/runtime"


def runtime_api(slots: Slots) -> Starlette:
    """The application to serve on every port of `slots`."""

    def caller(request: Request) -> Worker:
        return slots.workers[request.scope["server"][1]]

    async def next_invocation(request: Request) -> Response:
        worker = caller(request)
        waiting = worker.pool.on_next(worker)
        hang_up = asyncio.ensure_future(_wait_for_disconnect(request))
        hang_up.add_done_callback(lambda _: waiting.cancel())
        await asyncio.wait([waiting])
        hang_up.cancel()
        if waiting.cancelled():
            worker.pool.on_disconnect(worker)
            return Response(status_code=410)
        return _invocation_response(worker, waiting.result())

    async def response(request: Request) -> Response:
        body = await request.body()
        if len(body) > MAX_ANSWER_BYTES:
            message = (
                f"Response payload size ({len(body)} bytes) exceeded maximum allowed payload size "
                f"({MAX_ANSWER_BYTES} bytes)."
            )
            _answer(caller(request), request, Answer.error("Function.ResponseSizeTooLarge", message))
            return _error(413, "RequestEntityTooLarge", message)
        return _answer(caller(request), request, Answer(body))

    async def error(request: Request) -> Response:
        return _answer(caller(request), request, Answer(await request.body(), failed=True))

    async def init_error(request: Request) -> Response:
        worker = caller(request)
        worker.pool.on_init_error(worker, Answer(await request.body(), failed=True))
        return JSONResponse({"status": "OK"}, 202)

    invocation = f"{PREFIX}/invocation"
    return Starlette(
        routes=[
            Route(f"{invocation}/next", next_invocation, methods=["GET"]),
            Route(f"{invocation}/{{request_id}}/response", response, methods=["POST"]),
            Route(f"{invocation}/{{request_id}}/error", error, methods=["POST"]),
            Route(f"{PREFIX}/init/error", init_error, methods=["POST"]),
        ]
    )


def _invocation_response(worker: Worker, invocation: Invocation) -> Response:
    trace = invocation.request_id.replace("-", "")
    return Response(
        invocation.event,
        media_type="application/json",
        headers={
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": worker.pool.function.arn,
            "Lambda-Runtime-Trace-Id": f"Root=1-{trace[:8]}-{trace[8:]};Parent={trace[:16]};Sampled=0",
        },
    )


def _answer(worker: Worker, request: Request, answer: Answer) -> Response:
    if worker.pool.on_answer(worker, request.path_params["request_id"], answer):
        return JSONResponse({"status": "OK"}, 202)
    return _error(400, "InvalidRequestID", "No invocation waits for that answer")


def _error(status: int, kind: str, message: str) -> Response:
    return JSONResponse({"errorType": kind, "errorMessage": message}, status)


async def _wait_for_disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
