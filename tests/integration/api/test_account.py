"""Logins through the gateway: opened, used, refreshed, changed, recovered, ended."""

import email
import email.policy
import re
import time
from typing import Any
from uuid import uuid4

import httpx
import pytest

from devstack import Stack
from printshop.accounts.logins import INVITATION
from tests.conftest import Client, sign_up


def cookies_of(response: httpx.Response) -> dict[str, str]:
    """Name → the cookie's line."""
    return {line.partition("=")[0]: line for line in response.headers.get_list("set-cookie")}


def log_in(stack: Stack, client: Client, password: str | None = None) -> httpx.Response:
    body = {"email": client.email, "password": password or client.password}
    return Client(stack.api_url).post("auth/login", body)


def test_signing_up_makes_a_client_with_cookies_out_of_reach_of_scripts(stack: Stack) -> None:
    body = {"email": f"{uuid4().hex}@example.com", "password": uuid4().hex, "name": "Ada"}
    response = Client(stack.api_url).post("auth/signup", body)
    assert response.status_code == 201
    user = response.json()["data"]["user"]
    assert user["role"] == "CLIENT"
    assert user["clientId"] is not None
    cookies = cookies_of(response)
    assert set(cookies) == {"sb:token", "sb:refresh-token"}
    for line in cookies.values():
        assert "HttpOnly" in line
        assert "SameSite=lax" in line
    me = httpx.get(f"{stack.api_url}/api/auth/me", headers={"Cookie": cookies["sb:token"].split(";")[0]})
    assert me.json()["data"]["id"] == user["id"]


def test_a_known_address_cannot_sign_up_again(stack: Stack, customer: Client) -> None:
    body = {"email": customer.email, "password": uuid4().hex, "name": "Twin"}
    response = Client(stack.api_url).post("auth/signup", body)
    assert (response.status_code, response.json()["error"]["code"]) == (409, "EMAIL_TAKEN")


def test_a_wrong_password_and_an_unknown_address_answer_alike(stack: Stack, customer: Client) -> None:
    wrong = log_in(stack, customer, "not the password")
    unknown = Client(stack.api_url).post(
        "auth/login", {"email": f"{uuid4().hex}@example.com", "password": "x" * 9}
    )
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()
    assert wrong.json()["error"]["code"] == "WRONG_CREDENTIALS"


def test_a_short_password_is_refused(stack: Stack) -> None:
    body = {"email": f"{uuid4().hex}@example.com", "password": "1234567", "name": "Ada"}
    response = Client(stack.api_url).post("auth/signup", body)
    assert (response.status_code, response.json()["error"]["details"][0]["field"]) == (422, "password")


def test_a_refresh_rotates_both_tokens(stack: Stack, customer: Client) -> None:
    session = log_in(stack, customer).json()["data"]
    nobody = Client(stack.api_url)
    fresh = nobody.data("POST", "auth/refresh", {"refreshToken": session["refreshToken"]})
    assert fresh["refreshToken"] != session["refreshToken"]
    by_cookie = nobody.request(
        "POST",
        "auth/refresh",
        headers={"Cookie": f"sb:refresh-token={fresh['refreshToken']}", "Origin": stack.api_url},
    )
    assert by_cookie.status_code == 200
    assert set(cookies_of(by_cookie)) == {"sb:token", "sb:refresh-token"}


def test_a_made_up_refresh_token_is_refused(stack: Stack) -> None:
    response = Client(stack.api_url).post("auth/refresh", {"refreshToken": "made-up"})
    assert (response.status_code, response.json()["error"]["code"]) == (401, "SESSION_ENDED")


def test_logging_out_ends_this_session_and_no_other(stack: Stack, customer: Client) -> None:
    other = Client(stack.api_url, log_in(stack, customer).json()["data"]["accessToken"])
    response = customer.post("auth/logout")
    assert response.status_code == 200
    assert "Max-Age=0" in cookies_of(response)["sb:token"]
    deadline = time.monotonic() + 35
    while customer.get("auth/me").status_code == 200 and time.monotonic() < deadline:
        time.sleep(0.5)
    assert customer.get("auth/me").json()["error"]["code"] == "SESSION_ENDED"
    assert other.get("auth/me").status_code == 200


def test_changing_the_password_ends_every_other_session(stack: Stack, customer: Client) -> None:
    body = {"currentPassword": customer.password, "newPassword": "a brand new password"}
    wrong = customer.post("auth/change-password", {**body, "currentPassword": "not it"})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (403, "WRONG_PASSWORD")
    fresh = customer.data("POST", "auth/change-password", body)
    assert Client(stack.api_url, fresh["accessToken"]).get("auth/me").status_code == 200
    assert log_in(stack, customer).status_code == 401
    assert log_in(stack, customer, "a brand new password").status_code == 200
    deadline = time.monotonic() + 35
    while customer.get("auth/me").status_code == 200 and time.monotonic() < deadline:
        time.sleep(0.5)
    assert customer.get("auth/me").status_code == 401


def recovery_token(stack: Stack, address: str) -> str:
    """The token hash of the newest mail to `address`."""
    for path in sorted(stack.supabase.outbox.glob("*.eml"), reverse=True):
        mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        if address in str(mail["to"]):
            part = mail.get_body(("plain", "html"))
            assert part is not None
            found = re.search(r"token_hash=([\w-]+)", part.get_content())
            assert found is not None
            return found[1]
    raise AssertionError(f"no mail to {address}")


def test_a_forgotten_password_is_reset_once_by_the_mailed_token(stack: Stack) -> None:
    client = sign_up(stack)
    nobody = Client(stack.api_url)
    known = nobody.post("auth/forgot-password", {"email": client.email})
    unknown = nobody.post("auth/forgot-password", {"email": f"{uuid4().hex}@example.com"})
    assert known.status_code == unknown.status_code == 200
    assert known.json() == unknown.json()
    body = {"tokenHash": recovery_token(stack, client.email), "newPassword": "another password"}
    session = nobody.data("POST", "auth/reset-password", body)
    assert Client(stack.api_url, session["accessToken"]).get("auth/me").status_code == 200
    assert log_in(stack, client, "another password").status_code == 200
    again = nobody.post("auth/reset-password", body)
    assert (again.status_code, again.json()["error"]["code"]) == (422, "RECOVERY_LINK_INVALID")


def test_a_reset_opens_the_account_of_a_login_that_had_none(stack: Stack) -> None:
    client = Client(stack.api_url, email=f"{uuid4().hex}@example.com")
    signed_up_past_the_api(stack, client, "the old password")
    client.post("auth/forgot-password", {"email": client.email})
    body = {"tokenHash": recovery_token(stack, client.email), "newPassword": "another password"}
    session = client.data("POST", "auth/reset-password", body)
    assert session["user"]["role"] == "CLIENT"
    assert log_in(stack, client, "another password").json()["data"]["user"] == session["user"]


def test_a_reset_that_is_refused_an_account_leaves_the_password(stack: Stack) -> None:
    client = Client(stack.api_url, email=f"{uuid4().hex}@example.com")
    signed_up_past_the_api(stack, client, "the old password", app_metadata={INVITATION: True})
    client.post("auth/forgot-password", {"email": client.email})
    body = {"tokenHash": recovery_token(stack, client.email), "newPassword": "another password"}
    refused = client.post("auth/reset-password", body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "NO_PROFILE")
    # Still the old one: it is known, and refused for the missing account alone.
    assert log_in(stack, client, "the old password").json()["error"]["code"] == "NO_PROFILE"
    assert log_in(stack, client, "another password").json()["error"]["code"] == "WRONG_CREDENTIALS"


def signed_up_past_the_api(stack: Stack, client: Client, password: str, **attributes: Any) -> None:
    """A login without a profile."""
    key = stack.supabase.secret_key
    body = {"email": client.email, "password": password, "email_confirm": True, **attributes}
    httpx.post(
        f"{stack.supabase.url}/auth/v1/admin/users",
        json=body,
        headers={"apikey": key, "Authorization": f"Bearer {key}"},
    ).raise_for_status()


def test_a_password_is_taken_as_it_is_typed_to_its_72nd_byte(stack: Stack) -> None:
    password = f"  {'ü' * 34}  "
    client = Client(stack.api_url, email=f"{uuid4().hex}@example.com")
    client.data("POST", "auth/signup", {"email": client.email, "password": password, "name": "Ada"})
    assert log_in(stack, client, password).status_code == 200
    assert log_in(stack, client, password.strip()).status_code == 401


@pytest.mark.parametrize("password", ["a" * 73, "ü" * 37])
def test_a_password_that_no_hash_reads_whole_is_refused(
    stack: Stack, customer: Client, password: str
) -> None:
    body = {"email": f"{uuid4().hex}@example.com", "password": password, "name": "Ada"}
    refused = [
        Client(stack.api_url).post("auth/signup", body),
        customer.post(
            "auth/change-password", {"currentPassword": customer.password, "newPassword": password}
        ),
        Client(stack.api_url).post("auth/reset-password", {"tokenHash": "x", "newPassword": password}),
    ]
    assert [response.status_code for response in refused] == [422, 422, 422]
    assert log_in(stack, customer).status_code == 200


def test_resending_a_confirmation_says_nothing_of_who_is_known(stack: Stack, customer: Client) -> None:
    nobody = Client(stack.api_url)
    answers = [
        nobody.post("auth/resend", {"email": address})
        for address in (customer.email, f"{uuid4().hex}@example.com")
    ]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()


def test_an_admin_made_by_the_command_is_an_admin(shop: Client, customer: Client) -> None:
    assert shop.data("GET", "auth/me")["role"] == "ADMIN"
    assert customer.data("GET", "auth/me")["role"] == "CLIENT"
