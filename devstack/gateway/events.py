"""Converts HTTP requests to Lambda events and answers to HTTP: API Gateway's payload format 2.0."""

import base64
import binascii
import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote

from devstack.gateway.application import Route
from devstack.gateway.intrinsics import ACCOUNT
from devstack.gateway.resources import API_ID

__all__ = ["HttpAnswer", "HttpRequest", "MalformedAnswerError", "event_of", "http_answer"]

_DROPPED = {
    "connection", "cookie", "expect", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection",
    "te", "trailer", "transfer-encoding", "upgrade", "x-forwarded-for", "x-forwarded-port", "x-forwarded-proto",
}  # fmt: skip
_NEVER_ANSWERED = {
    "connection",
    "content-length",
    "keep-alive",
    "proxy-authenticate",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}
_TEXT_TYPES = (
    "text/",
    "application/json",
    "application/javascript",
    "application/xml",
    "application/graphql",
)


class MalformedAnswerError(ValueError):
    """The function's answer has not the form that API Gateway accepts."""


@dataclass(frozen=True)
class HttpRequest:
    """A request as received: `path` percent-encoded, header names in lower case, repeated headers kept apart."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    source_ip: str
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def header(self, name: str) -> str:
        """The values of a header joined by commas; empty when there is none."""
        return ",".join(value for key, value in self.headers if key == name)


@dataclass(frozen=True)
class HttpAnswer:
    """The answer to the client; a header may occur more than once (`set-cookie`)."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    @classmethod
    def message(cls, status: int, text: str) -> "HttpAnswer":
        """An answer of API Gateway's own: `{"message": "Not Found"}`."""
        return cls(
            status,
            (("content-type", "application/json"),),
            json.dumps({"message": text}, separators=(",", ":")).encode(),
        )


def event_of(request: HttpRequest, route: Route, path_parameters: Mapping[str, str]) -> dict[str, Any]:
    """The event that a function receives for a request on one of its routes."""
    path = unquote(request.path)
    now = datetime.now(UTC)
    host = request.header("host")
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route.key,
        "rawPath": path,
        "rawQueryString": request.query,
        "headers": _forwarded_headers(request, host),
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": API_ID,
            "domainName": host.rsplit(":", 1)[0],
            "domainPrefix": host.split(".", 1)[0].split(":", 1)[0],
            "http": {
                "method": request.method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": request.source_ip,
                "userAgent": request.header("user-agent"),
            },
            "requestId": request.request_id,
            "routeKey": route.key,
            "stage": "$default",
            "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "timeEpoch": int(now.timestamp() * 1000),
        },
        "isBase64Encoded": False,
    }
    cookies = [part.strip() for key, value in request.headers if key == "cookie" for part in value.split(";")]
    if cookies:
        event["cookies"] = [cookie for cookie in cookies if cookie]
    if request.query:
        event["queryStringParameters"] = _joined(parse_qsl(request.query, keep_blank_values=True))
    if path_parameters:
        event["pathParameters"] = dict(path_parameters)
    if request.body:
        event["body"], event["isBase64Encoded"] = _body(request)
    return event


def _forwarded_headers(request: HttpRequest, host: str) -> dict[str, str]:
    headers = _joined((key, value) for key, value in request.headers if key not in _DROPPED)
    before = request.header("x-forwarded-for")
    headers["x-forwarded-for"] = f"{before}, {request.source_ip}" if before else request.source_ip
    headers["x-forwarded-port"] = host.rsplit(":", 1)[1] if ":" in host else "80"
    headers["x-forwarded-proto"] = "http"
    headers.setdefault(
        "x-amzn-trace-id", f"Root=1-{request.request_id[:8]}-{request.request_id.replace('-', '')[8:]}"
    )
    headers["content-length"] = str(len(request.body))
    return headers


def _body(request: HttpRequest) -> tuple[str, bool]:
    """The body as text if its type is textual and it is UTF-8, else in base64."""
    kind = request.header("content-type").lower()
    if (not kind or kind.startswith(_TEXT_TYPES)) and not request.header("content-encoding"):
        try:
            return request.body.decode(), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(request.body).decode(), True


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for key, value in pairs:
        joined[key] = f"{joined[key]},{value}" if key in joined else value
    return joined


def http_answer(payload: bytes) -> HttpAnswer:
    """The HTTP answer for a function's answer. Raises MalformedAnswerError."""
    try:
        value = json.loads(payload) if payload else None
    except ValueError as error:
        raise MalformedAnswerError("the answer is not JSON") from error
    if not isinstance(value, dict) or "statusCode" not in value:
        text = (
            value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        )
        return HttpAnswer(200, (("content-type", "application/json"),), text.encode())
    headers = _answered_headers(value.get("headers") or {}, value.get("cookies") or [])
    return HttpAnswer(_status(value["statusCode"]), headers, _answered_body(value))


def _status(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, str)) or not str(value).isdecimal():
        raise MalformedAnswerError("statusCode is not a number")
    if not 100 <= int(value) <= 599:
        raise MalformedAnswerError(f"{value} is not a status")
    return int(value)


def _answered_headers(headers: Any, cookies: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(headers, dict) or not isinstance(cookies, list):
        raise MalformedAnswerError("headers must be a map and cookies a list")
    pairs = [
        (name.lower(), str(value).lower() if isinstance(value, bool) else str(value))
        for name, value in headers.items()
        if value is not None and name.lower() not in _NEVER_ANSWERED
    ]
    if not any(name == "content-type" for name, _ in pairs):
        pairs.append(("content-type", "text/plain;charset=UTF-8"))
    return (*pairs, *(("set-cookie", str(cookie)) for cookie in cookies))


def _answered_body(value: Mapping[str, Any]) -> bytes:
    body = value.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        raise MalformedAnswerError("the body is not a string")
    if value.get("isBase64Encoded") is not True:
        return body.encode()
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise MalformedAnswerError("the body is not base64") from error
