"""Lambda's Invoke API, so that boto3's lambda client reaches the local functions."""

import asyncio
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from devstack.gateway.invocations import Answer, EventTooLargeError, Invoke

__all__ = ["invoke_api"]


def invoke_api(find: Callable[[str], str | None], invoke: Invoke) -> Starlette:
    """The Invoke API; `find` turns a logical id, name or ARN into the logical id, None if there is none."""
    running: set[asyncio.Future[Answer]] = set()

    async def invocations(request: Request) -> Response:
        name = request.path_params["name"]
        function = find(name)
        if function is None:
            return _error(404, "ResourceNotFoundException", f"Function not found: {name}")
        kind = request.headers.get("x-amz-invocation-type", "RequestResponse")
        if kind == "DryRun":
            return Response(status_code=204)
        invocation = asyncio.ensure_future(invoke(function, await request.body() or b"{}"))
        running.add(invocation)
        invocation.add_done_callback(running.discard)
        if kind == "Event":
            return Response(status_code=202)
        try:
            answer = await asyncio.shield(invocation)
        except EventTooLargeError as error:
            return _error(
                413, "RequestTooLargeException", f"Request must be smaller than 6291456 bytes: {error}"
            )
        headers = {"X-Amz-Executed-Version": "$LATEST"}
        if answer.failed:
            headers["X-Amz-Function-Error"] = "Unhandled"
        return Response(answer.payload, 200, headers, media_type="application/json")

    return Starlette(
        routes=[Route("/2015-03-31/functions/{name}/invocations", invocations, methods=["POST"])]
    )


def _error(status: int, kind: str, message: str) -> Response:
    return JSONResponse({"Type": "User", "Message": message}, status, {"x-amzn-ErrorType": kind})
