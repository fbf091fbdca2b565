"""Whose pages may call: the preflights that the gateway answers, and the writes that ride on cookies."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from devstack import Stack
from tests.conftest import PARAMETERS, Client
from tests.integration.api.refusals import refused

FURTHER = PARAMETERS["FurtherOrigins"].split(",")
EVIL = [
    "https://evil.example.com",
    "null",
    "https://staff.example.com.evil.example.com",
    "http://staff.example.com",
]


def preflight(
    stack: Stack, origin: str, method: str = "POST", headers: str = "content-type"
) -> httpx.Response:
    return Client(stack.api_url).request(
        "OPTIONS",
        "quick-order/price",
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": headers,
        },
    )


@pytest.mark.parametrize("number", range(3))
def test_a_preflight_of_each_allowed_origin_is_granted_with_credentials(stack: Stack, number: int) -> None:
    origin = [stack.api_url, *FURTHER][number]
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        granted = preflight(stack, origin, method, "authorization,content-type,idempotency-key")
        assert granted.status_code == 204
        assert granted.headers["access-control-allow-origin"] == origin
        assert granted.headers["access-control-allow-credentials"] == "true"
        assert method in granted.headers["access-control-allow-methods"].split(",")


@pytest.mark.parametrize("origin", EVIL)
def test_a_preflight_of_another_origin_is_granted_nothing(stack: Stack, origin: str) -> None:
    granted = [name for name in preflight(stack, origin).headers if name.startswith("access-control-")]
    assert granted == []


def test_a_preflight_for_another_header_is_granted_nothing(stack: Stack) -> None:
    answer = preflight(stack, stack.api_url, headers="content-type,x-own-invention")
    assert "access-control-allow-headers" not in answer.headers


def test_an_answer_may_be_read_by_allowed_origins_alone(stack: Stack, nobody: Client) -> None:
    for origin in (stack.api_url, *FURTHER):
        read = nobody.get("health", headers={"Origin": origin})
        assert read.headers["access-control-allow-origin"] == origin
        assert "x-correlation-id" in read.headers["access-control-expose-headers"]
    for origin in EVIL:
        assert "access-control-allow-origin" not in nobody.get("health", headers={"Origin": origin}).headers


# -- writes on cookies -----------------------------------------------------------------------------------------


def by_cookie(stack: Stack, session: dict[str, Any], path: str, **headers: str) -> httpx.Response:
    cookies = f"sb:token={session['accessToken']}; sb:refresh-token={session['refreshToken']}"
    return Client(stack.api_url).post(path, headers={"Cookie": cookies, **headers})


@pytest.fixture
def session(stack: Stack, customer: Client) -> dict[str, Any]:
    body = {"email": customer.email, "password": customer.password}
    found: dict[str, Any] = Client(stack.api_url).data("POST", "auth/login", body)
    return found


@pytest.mark.parametrize("path", ["auth/logout", "auth/refresh"])
@pytest.mark.parametrize("origin", [*EVIL, None, ""])
def test_a_session_is_neither_ended_nor_refreshed_from_elsewhere(
    stack: Stack, session: dict[str, Any], path: str, origin: str | None
) -> None:
    headers = {} if origin is None else {"Origin": origin}
    answer = by_cookie(stack, session, path, **headers)
    refused(answer, 403, "ORIGIN_MISMATCH")
    assert "set-cookie" not in answer.headers
    assert Client(stack.api_url, session["accessToken"]).get("auth/me").status_code == 200


def test_another_kind_of_authorization_is_no_way_round_the_origin(
    stack: Stack, session: dict[str, Any]
) -> None:
    for authorization in ("Basic YTpi", "Bearer", "bearer,", "Token x"):
        refused(by_cookie(stack, session, "auth/logout", Authorization=authorization), 403, "ORIGIN_MISMATCH")


@pytest.mark.parametrize("number", range(4))
def test_the_pages_of_each_allowed_origin_may_write_with_cookies(
    stack: Stack, session: dict[str, Any], number: int
) -> None:
    origin = [stack.api_url, *FURTHER, FURTHER[0].upper()][number]
    fresh = by_cookie(stack, session, "auth/refresh", Origin=origin)
    assert fresh.status_code == 200, fresh.text
    assert by_cookie(stack, fresh.json()["data"], "auth/logout", Origin=origin).status_code == 200


# -- logging somebody else in ----------------------------------------------------------------------------------


def planting(stack: Stack, customer: Client, session: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        "auth/login": {"email": customer.email, "password": customer.password},
        "auth/signup": {"email": f"{uuid4().hex}@example.com", "password": uuid4().hex, "name": "Planted"},
        "auth/refresh": {"refreshToken": session["refreshToken"]},
        "auth/reset-password": {"tokenHash": "of the attacker's own mail", "newPassword": "long enough"},
        "auth/change-password": {"currentPassword": customer.password, "newPassword": "long enough"},
    }


FOREIGN: list[dict[str, str]] = [
    *({"Origin": origin} for origin in EVIL),
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize("content_type", ["application/json", None])
def test_no_foreign_page_logs_its_visitor_in_as_somebody_else(
    stack: Stack, customer: Client, session: dict[str, Any], headers: dict[str, str], content_type: str | None
) -> None:
    """A form or a fetch without a content type needs no preflight."""
    for path, body in planting(stack, customer, session).items():
        content = httpx.Request("POST", "http://x", json=body).content
        kind = {"Content-Type": content_type} if content_type else {}
        answer = customer.request("POST", path, content=content, headers={**headers, **kind})
        refused(answer, 403, "ORIGIN_MISMATCH")
        assert "set-cookie" not in answer.headers
    # Nothing was done either: the refresh token is not spent, and the password is the old one.
    body = {"refreshToken": session["refreshToken"]}
    assert Client(stack.api_url).post("auth/refresh", body).status_code == 200


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded"])
def test_a_body_that_a_form_could_send_is_no_login(stack: Stack, customer: Client, content_type: str) -> None:
    body = httpx.Request("POST", "http://x", json={"email": customer.email, "password": customer.password})
    answer = Client(stack.api_url).request(
        "POST", "auth/login", content=body.content, headers={"Content-Type": content_type}
    )
    refused(answer, 422, "INVALID_REQUEST")
    assert "set-cookie" not in answer.headers


def test_programs_and_own_pages_log_in(stack: Stack, customer: Client) -> None:
    body = {"email": customer.email, "password": customer.password}
    own: list[dict[str, str]] = [
        {},
        {"Origin": stack.api_url, "Sec-Fetch-Site": "same-origin"},
        {"Origin": FURTHER[0], "Sec-Fetch-Site": "same-site"},
    ]
    for headers in own:
        assert Client(stack.api_url).post("auth/login", body, headers=headers).status_code == 200
