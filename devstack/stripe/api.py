"""The entry of the API: checks key and version, applies faults and idempotency, runs the endpoint."""

import asyncio
import base64
import hmac
import json
import time

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from devstack.stripe import endpoints, form, idempotency, ids, operations, sessions, switches
from devstack.stripe.connections import reset
from devstack.stripe.errors import ApiError
from devstack.stripe.idempotency import Answer, Keys
from devstack.stripe.merchant import Call, Cause, Merchant
from devstack.stripe.switches import Fault

FORM = "application/x-www-form-urlencoded"


class Api:
    """Answers everything under /v1."""

    def __init__(self, merchant: Merchant) -> None:
        self._merchant = merchant
        self._keys = Keys(merchant)

    async def answer(self, http: HttpRequest) -> Response:
        request_id = ids.new("request")
        fault: Fault | None = None
        answer: Answer | None = None
        try:
            self._authenticate(http.headers.get("authorization", ""))
            self._check_version(http)
            fault = switches.take_fault(self._merchant.store, http.method, http.url.path)
            answer = await self._work(http, request_id, fault)
        except ApiError as error:
            answer = _error_answer(error, request_id)
        finally:
            self._log(http, request_id, answer, fault)
        if fault and fault.kind in ("timeout", "reset", "answer_lost"):
            await reset(http.scope)
        return self._response(http, request_id, answer)

    async def _work(self, http: HttpRequest, request_id: str, fault: Fault | None) -> Answer:
        await _fail_before(fault)
        operation, path_ids = operations.find(http.method, http.url.path)
        key = http.headers.get("idempotency-key") if http.method == "POST" else None
        raw = await _parameters(http)
        call = Call(self._merchant, Cause(request_id, key), path_ids)
        if key is None:
            if fault and fault.kind == "slow":
                await asyncio.sleep(fault.seconds)
            return self._execute(call, operation, raw, fault)
        request = idempotency.Request(key, f"{http.method} {http.url.path}", _canonical(raw), request_id)
        with self._keys.claim(request) as saved:
            if fault and fault.kind == "slow":
                await asyncio.sleep(fault.seconds)
            if saved:
                return saved
            return self._execute(call, operation, raw, fault, request)

    def _execute(
        self,
        call: Call,
        operation: operations.Operation,
        raw: dict[str, form.Tree],
        fault: Fault | None,
        request: idempotency.Request | None = None,
    ) -> Answer:
        """Run the endpoint; its effect and the answer saved under the key are one transaction."""
        sessions.expire_due(self._merchant)
        params = operation.parameters.read(raw, "")
        store = self._merchant.store
        try:
            if fault and fault.kind == "server_error":
                raise _server_error()
            with store.transaction():
                answer = Answer(200, operation.run(call, params), {})
                if request:
                    self._keys.save(request, answer)
        except ApiError as error:
            answer = _error_answer(error, call.cause.request_id or "")
            if request and error.executed:
                self._keys.save(request, answer)
        return answer

    def _authenticate(self, header: str) -> None:
        scheme, _, credentials = header.partition(" ")
        if scheme.lower() == "basic":
            try:
                credentials = base64.b64decode(credentials, validate=True).decode().partition(":")[0]
            except ValueError:
                credentials = ""
        unauthorized = {
            "status": 401,
            "executed": False,
            "headers": {"WWW-Authenticate": 'Bearer realm="Stripe"'},
        }
        if not credentials:
            raise ApiError(
                "You did not provide an API key. You need to provide your API key in the Authorization header, "
                "using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
                **unauthorized,  # type: ignore[arg-type]
            )
        if not hmac.compare_digest(credentials.encode(), self._merchant.secret_key.encode()):
            shown = f"{credentials[:8]}{'*' * 8}{credentials[-4:]}"
            raise ApiError(f"Invalid API Key provided: {shown}", **unauthorized)  # type: ignore[arg-type]

    def _check_version(self, http: HttpRequest) -> None:
        if version := http.headers.get("stripe-version"):
            endpoints.check_version(self._merchant, version)

    def _log(self, http: HttpRequest, request_id: str, answer: Answer | None, fault: Fault | None) -> None:
        self._merchant.store.run(
            "insert into requests (request_id, at, method, path, stripe_version, idempotency_key, replayed, status, "
            "fault) values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            request_id,
            time.time(),
            http.method,
            http.url.path,
            http.headers.get("stripe-version"),
            http.headers.get("idempotency-key"),
            int(answer is not None and "Idempotent-Replayed" in answer.headers),
            answer.status if answer else None,
            fault.kind if fault else None,
        )

    def _response(self, http: HttpRequest, request_id: str, answer: Answer) -> Response:
        headers = {"Request-Id": request_id, "Cache-Control": "no-cache, no-store", **answer.headers}
        headers["Stripe-Version"] = http.headers.get("stripe-version", self._merchant.api_version)
        if key := http.headers.get("idempotency-key"):
            headers["Idempotency-Key"] = key
            headers.setdefault("Original-Request", request_id)
        return Response(
            json.dumps(answer.body, indent=2), answer.status, headers, media_type="application/json"
        )


async def _fail_before(fault: Fault | None) -> None:
    """Apply the faults that come before the endpoint: nothing is done and nothing is saved."""
    match fault:
        case Fault(kind="unavailable"):
            raise ApiError("Stripe is unavailable. Try again.", status=503, kind="api_error", executed=False)
        case Fault(kind="rate_limited"):
            raise ApiError(
                "Request rate limit exceeded. Learn more about rate limits here "
                "https://stripe.com/docs/rate-limits.",
                status=429,
                code="rate_limit",
                executed=False,
                headers={"Stripe-Rate-Limited-Reason": "global-rate"},
            )
        case Fault(kind="timeout"):
            await asyncio.sleep(fault.seconds)
            raise ApiError("No answer.", status=504, kind="api_error", executed=False)
        case Fault(kind="reset"):
            raise ApiError("No answer.", status=502, kind="api_error", executed=False)


def _server_error() -> ApiError:
    # The header keeps Stripe's libraries from retrying: the key would only replay the answer.
    return ApiError(
        "An unknown error occurred",
        status=500,
        kind="api_error",
        headers={"Stripe-Should-Retry": "false"},
    )


def _error_answer(error: ApiError, request_id: str) -> Answer:
    return Answer(error.status, error.body(request_id), error.headers)


async def _parameters(http: HttpRequest) -> dict[str, form.Tree]:
    query = form.parse(http.url.query)
    if http.method != "POST":
        return query
    body = await http.body()
    sent = http.headers.get("content-type", FORM).partition(";")[0].strip()
    if body and sent != FORM:
        raise ApiError(
            f"Invalid request (check that your POST content type is {FORM}). If you have any questions, we can "
            "help at https://support.stripe.com/.",
            executed=False,
        )
    return {**query, **form.parse(body)}


def _canonical(raw: dict[str, form.Tree]) -> bytes:
    return json.dumps(raw, sort_keys=True).encode()
