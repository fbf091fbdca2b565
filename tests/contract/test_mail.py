"""What needs the mails: confirmation, recovery, resending. On this machine only."""

import email
import email.policy
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from devstack.processes import wait_for
from devstack.supabase import Supabase
from devstack.testing.supabase import target_of

from .test_auth import Auth, refused

pytestmark = pytest.mark.local
PASSWORD = "a good one"


@pytest.fixture(scope="module")
def confirming(start_supabase: Callable[..., Supabase]) -> Supabase:
    """A project that asks for confirmation, as new hosted ones do."""
    return start_supabase(confirm_email=True, environment={"SUPABASE_MAIL_INTERVAL": "1"})


@pytest.fixture
def auth(confirming: Supabase, http: httpx.Client) -> Auth:
    target = target_of(confirming)

    def call(method: str, path: str, body: dict[str, Any]) -> httpx.Response:
        headers = target.headers(target.publishable_key)
        return http.request(method, f"{target.url}/auth/v1/{path}", headers=headers, json=body)

    return call


@pytest.fixture
def address() -> str:
    return f"contract-{secrets.token_hex(6)}@example.com"


def mails(supabase: Supabase, to: str) -> list[str]:
    """The texts of the mails to one address, oldest first."""
    found = [_read(path) for path in sorted(supabase.outbox.glob("*.eml"))]
    return [text for recipient, text in found if recipient == to]


def _read(path: Path) -> tuple[str, str]:
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    body = message.get_body()
    assert body is not None
    return str(message["To"]), body.get_content()


def link_token(text: str) -> str:
    match = re.search(r"token_hash=([0-9a-f]+)", text)
    assert match
    return match[1]


def test_a_signup_answers_the_user_and_no_session(auth: Auth, confirming: Supabase, address: str) -> None:
    answer = auth("POST", "signup", {"email": address, "password": PASSWORD})
    assert answer.status_code == 200
    assert "access_token" not in answer.json()
    assert answer.json()["email"] == address
    assert answer.json()["confirmation_sent_at"]
    assert answer.json()["identities"]
    assert len(mails(confirming, address)) == 1


def test_a_login_before_the_confirmation_is_400_and_after_it_works(
    auth: Auth, confirming: Supabase, address: str
) -> None:
    auth("POST", "signup", {"email": address, "password": PASSWORD})
    login = {"email": address, "password": PASSWORD}
    assert refused(auth("POST", "token?grant_type=password", login)) == (400, "email_not_confirmed")
    wrong = {"email": address, "password": "another"}
    assert refused(auth("POST", "token?grant_type=password", wrong)) == (400, "invalid_credentials")
    (text,) = mails(confirming, address)
    verified = auth("POST", "verify", {"type": "email", "token_hash": link_token(text)})
    assert verified.json()["user"]["email"] == address
    assert auth("POST", "token?grant_type=password", login).status_code == 200


def test_the_code_in_the_mail_confirms_too(auth: Auth, confirming: Supabase, address: str) -> None:
    auth("POST", "signup", {"email": address, "password": PASSWORD})
    (text,) = mails(confirming, address)
    code = re.search(r"code: (\d{6})", text)
    assert code
    answer = auth("POST", "verify", {"type": "signup", "email": address, "token": code[1]})
    assert answer.status_code == 200
    assert answer.json()["access_token"]


def test_a_known_address_gets_a_made_up_user_and_no_mail(
    auth: Auth, confirming: Supabase, address: str
) -> None:
    first = auth("POST", "signup", {"email": address, "password": PASSWORD}).json()
    (text,) = mails(confirming, address)
    auth("POST", "verify", {"type": "signup", "token_hash": link_token(text)})
    again = auth("POST", "signup", {"email": address, "password": "some other", "data": {"name": "Eve"}})
    assert again.status_code == 200
    assert again.json()["id"] != first["id"]
    assert again.json()["identities"] == []
    assert len(mails(confirming, address)) == 1
    login = auth("POST", "token?grant_type=password", {"email": address, "password": PASSWORD})
    assert login.status_code == 200


def test_a_confirmation_is_sent_again_but_not_at_once(auth: Auth, confirming: Supabase, address: str) -> None:
    auth("POST", "signup", {"email": address, "password": PASSWORD})
    resend = {"type": "signup", "email": address}
    assert refused(auth("POST", "resend", resend)) == (429, "over_email_send_rate_limit")
    wait_for(lambda: auth("POST", "resend", resend).status_code == 200, 5, "the end of the interval")
    first, second = mails(confirming, address)
    stale = auth("POST", "verify", {"type": "signup", "token_hash": link_token(first)})
    assert refused(stale) == (403, "otp_expired")
    fresh = auth("POST", "verify", {"type": "signup", "token_hash": link_token(second)})
    assert fresh.status_code == 200


def test_resending_to_an_unknown_address_tells_nothing(
    auth: Auth, confirming: Supabase, address: str
) -> None:
    answer = auth("POST", "resend", {"type": "signup", "email": address})
    assert (answer.status_code, answer.json()) == (200, {})
    assert mails(confirming, address) == []


def test_a_recovery_mail_carries_the_token_that_verifies(
    auth: Auth, confirming: Supabase, address: str
) -> None:
    auth("POST", "signup", {"email": address, "password": PASSWORD})
    answer = auth("POST", "recover", {"email": address})
    assert (answer.status_code, answer.json()) == (200, {})
    assert refused(auth("POST", "recover", {"email": address})) == (429, "over_email_send_rate_limit")
    recovery = mails(confirming, address)[-1]
    verified = auth("POST", "verify", {"type": "recovery", "token_hash": link_token(recovery)})
    assert verified.json()["user"]["email_confirmed_at"]


def test_a_recovery_for_an_unknown_address_gets_the_same_answer(
    auth: Auth, confirming: Supabase, address: str
) -> None:
    answer = auth("POST", "recover", {"email": address})
    assert (answer.status_code, answer.json()) == (200, {})
    assert mails(confirming, address) == []


def test_an_invitation_is_mailed_and_confirms(
    auth: Auth, confirming: Supabase, address: str, http: httpx.Client
) -> None:
    target = target_of(confirming)
    invited = http.post(f"{target.url}/auth/v1/invite", headers=target.headers(), json={"email": address})
    assert invited.status_code == 200
    (text,) = mails(confirming, address)
    answer = auth("POST", "verify", {"type": "invite", "token_hash": link_token(text)})
    assert answer.json()["user"]["id"] == invited.json()["id"]
