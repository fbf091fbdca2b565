"""Supabase Auth's wire: passwords, tokens, sessions, mailed tokens."""

import re
import secrets
from collections.abc import Callable
from typing import Any

import httpx
import jwt
import pytest

from devstack.supabase import Supabase
from devstack.testing.supabase import Target

from .conftest import User

Auth = Callable[..., httpx.Response]
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")


@pytest.fixture(scope="module")
def auth(target: Target, http: httpx.Client) -> Auth:
    """Call as the product's account functions do: with the publishable key, and perhaps a user's token."""

    def call(
        method: str, path: str, body: dict[str, Any] | None = None, token: str | None = None
    ) -> httpx.Response:
        headers = target.headers(target.publishable_key, token)
        return http.request(method, f"{target.url}/auth/v1/{path}", headers=headers, json=body)

    return call


@pytest.fixture
def login(auth: Auth) -> Callable[[User], dict[str, Any]]:
    def call(user: User) -> dict[str, Any]:
        body = {"email": user.email, "password": user.password}
        answer = auth("POST", "token?grant_type=password", body)
        assert answer.status_code == 200, answer.text
        session: dict[str, Any] = answer.json()
        return session

    return call


@pytest.fixture
def mailed_token(target: Target, http: httpx.Client) -> Callable[..., str]:
    """The token hash that a mail of this type would carry."""

    def make(kind: str, email: str, **more: str) -> str:
        body = {"type": kind, "email": email, **more}
        answer = http.post(f"{target.url}/auth/v1/admin/generate_link", headers=target.headers(), json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["hashed_token"])

    return make


def refused(answer: httpx.Response) -> tuple[int, str]:
    body = answer.json()
    assert body.get("msg") or body.get("message")
    return answer.status_code, body.get("error_code") or body.get("code")


def test_a_login_answers_tokens_and_the_user(user: User, login: Callable[[User], dict[str, Any]]) -> None:
    session = login(user)
    assert session["token_type"] == "bearer"
    assert session["expires_in"] > 0
    assert session["refresh_token"]
    assert session["user"]["id"] == user.id
    assert session["user"]["email"] == user.email
    for name in ("created_at", "updated_at", "last_sign_in_at", "email_confirmed_at"):
        assert INSTANT.fullmatch(session["user"][name])


def test_an_access_token_names_issuer_user_role_and_session(
    target: Target, user: User, login: Callable[[User], dict[str, Any]]
) -> None:
    session = login(user)
    claims = jwt.decode(session["access_token"], options={"verify_signature": False})
    assert claims["iss"] == f"{target.url}/auth/v1"
    assert (claims["aud"], claims["role"]) == ("authenticated", "authenticated")
    assert (claims["sub"], claims["email"]) == (user.id, user.email)
    assert claims["exp"] - claims["iat"] == session["expires_in"]
    assert re.fullmatch(r"[0-9a-f-]{36}", claims["session_id"])
    assert claims["is_anonymous"] is False
    assert claims["app_metadata"]["provider"] == "email"


@pytest.mark.local
def test_an_access_token_is_signed_with_the_projects_secret(
    supabase: Supabase, user: User, login: Callable[[User], dict[str, Any]]
) -> None:
    token = login(user)["access_token"]
    claims = jwt.decode(token, supabase.jwt_secret, algorithms=["HS256"], audience="authenticated")
    assert claims["sub"] == user.id


def test_the_key_set_is_public(target: Target, http: httpx.Client) -> None:
    answer = http.get(f"{target.url}/auth/v1/.well-known/jwks.json")
    assert answer.status_code == 200
    assert isinstance(answer.json()["keys"], list)


def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(auth: Auth, user: User) -> None:
    wrong = auth("POST", "token?grant_type=password", {"email": user.email, "password": "wrong-one"})
    unknown = auth("POST", "token?grant_type=password", {"email": "contract-no@example.com", "password": "x"})
    assert refused(wrong) == refused(unknown) == (400, "invalid_credentials")


def test_a_refresh_gives_a_new_pair_of_the_same_session(
    auth: Auth, user: User, login: Callable[[User], dict[str, Any]]
) -> None:
    first = login(user)
    answer = auth("POST", "token?grant_type=refresh_token", {"refresh_token": first["refresh_token"]})
    assert answer.status_code == 200
    second = answer.json()
    assert second["refresh_token"] != first["refresh_token"]
    sessions = {jwt.decode(each["access_token"], options={"verify_signature": False})["session_id"]
                for each in (first, second)}  # fmt: skip
    assert len(sessions) == 1
    assert auth("GET", "user", token=second["access_token"]).json()["id"] == user.id


def test_an_unknown_refresh_token_is_refused(auth: Auth) -> None:
    answer = auth("POST", "token?grant_type=refresh_token", {"refresh_token": "nothing"})
    status, code = refused(answer)
    assert status == 400
    assert code in {"refresh_token_not_found", "validation_failed"}  # the latter if it does not look like one


def test_a_good_token_shows_its_user_and_any_other_none(
    auth: Auth, user: User, login: Callable[[User], dict[str, Any]]
) -> None:
    token = login(user)["access_token"]
    assert auth("GET", "user", token=token).json()["email"] == user.email
    head, body, _ = token.split(".")
    assert refused(auth("GET", "user", token=f"{head}.{body}.{'A' * 43}")) == (403, "bad_jwt")
    assert auth("GET", "user").status_code in {401, 403}


def test_a_new_password_ends_the_other_sessions(
    auth: Auth, user: User, login: Callable[[User], dict[str, Any]]
) -> None:
    here, there = login(user), login(user)
    new = User(user.id, user.email, secrets.token_hex(8))
    changed = auth("PUT", "user", {"password": new.password}, here["access_token"])
    assert changed.status_code == 200
    assert auth("GET", "user", token=here["access_token"]).status_code == 200
    assert refused(auth("GET", "user", token=there["access_token"])) == (403, "session_not_found")
    old = auth("POST", "token?grant_type=password", {"email": user.email, "password": user.password})
    assert refused(old) == (400, "invalid_credentials")
    login(new)


def test_a_password_that_is_the_old_one_or_weak_is_422(
    auth: Auth, user: User, login: Callable[[User], dict[str, Any]]
) -> None:
    token = login(user)["access_token"]
    assert refused(auth("PUT", "user", {"password": user.password}, token)) == (422, "same_password")
    assert refused(auth("PUT", "user", {"password": "short"}, token)) == (422, "weak_password")


def test_user_metadata_is_merged(auth: Auth, user: User, login: Callable[[User], dict[str, Any]]) -> None:
    token = login(user)["access_token"]
    auth("PUT", "user", {"data": {"name": "Ann", "shade": "red"}}, token)
    answer = auth("PUT", "user", {"data": {"shade": None, "size": 2}}, token).json()
    assert answer["user_metadata"]["name"] == "Ann"
    assert answer["user_metadata"]["size"] == 2
    assert "shade" not in answer["user_metadata"]


@pytest.mark.parametrize(
    ("scope", "ended"),
    [("local", {"here"}), ("others", {"there"}), ("global", {"here", "there"}), (None, {"here", "there"})],
)
def test_a_logout_ends_the_sessions_of_its_scope(
    auth: Auth, user: User, login: Callable[[User], dict[str, Any]], scope: str | None, ended: set[str]
) -> None:
    sessions = {"here": login(user), "there": login(user)}
    path = f"logout?scope={scope}" if scope else "logout"
    assert auth("POST", path, token=sessions["here"]["access_token"]).status_code == 204
    for name, session in sessions.items():
        shown = auth("GET", "user", token=session["access_token"])
        fresh = auth("POST", "token?grant_type=refresh_token", {"refresh_token": session["refresh_token"]})
        if name in ended:
            assert refused(shown) == (403, "session_not_found")
            assert refused(fresh) == (400, "refresh_token_not_found")
        else:
            assert (shown.status_code, fresh.status_code) == (200, 200)


def test_a_recovery_token_opens_one_session_in_which_the_password_can_be_set(
    auth: Auth, user: User, login: Callable[[User], dict[str, Any]], mailed_token: Callable[..., str]
) -> None:
    body = {"type": "recovery", "token_hash": mailed_token("recovery", user.email)}
    session = auth("POST", "verify", body)
    assert session.status_code == 200
    assert refused(auth("POST", "verify", body)) == (403, "otp_expired")
    new = User(user.id, user.email, secrets.token_hex(8))
    auth("PUT", "user", {"password": new.password}, session.json()["access_token"]).raise_for_status()
    login(new)


def test_a_magic_link_is_verified_by_the_documented_type(
    auth: Auth, user: User, mailed_token: Callable[..., str]
) -> None:
    token_hash = mailed_token("magiclink", user.email)
    answer = auth("POST", "verify", {"type": "email", "token_hash": token_hash})
    assert answer.json()["user"]["id"] == user.id


def test_an_invented_token_is_403_and_an_incomplete_call_400(auth: Auth) -> None:
    assert refused(auth("POST", "verify", {"type": "recovery", "token_hash": "0" * 64})) == (
        403,
        "otp_expired",
    )
    assert auth("POST", "verify", {"token_hash": "0" * 64}).status_code == 400


def test_an_admins_link_confirms_a_new_user(
    auth: Auth, target: Target, http: httpx.Client, mailed_token: Callable[..., str]
) -> None:
    email = f"contract-{secrets.token_hex(6)}@example.com"
    password = secrets.token_hex(8)
    token_hash = mailed_token("signup", email, password=password)
    blocked = auth("POST", "token?grant_type=password", {"email": email, "password": password})
    assert refused(blocked) == (400, "email_not_confirmed")
    answer = auth("POST", "verify", {"type": "signup", "token_hash": token_hash})
    assert answer.status_code == 200
    user_id = answer.json()["user"]["id"]
    http.delete(f"{target.url}/auth/v1/admin/users/{user_id}", headers=target.headers())


@pytest.mark.local
def test_a_signup_without_confirmation_answers_a_session(auth: Auth) -> None:
    email = f"contract-{secrets.token_hex(6)}@example.com"
    answer = auth("POST", "signup", {"email": email, "password": "a good one", "data": {"name": "Ann"}})
    assert answer.status_code == 200
    assert answer.json()["access_token"]
    assert answer.json()["user"]["user_metadata"]["name"] == "Ann"
    again = auth("POST", "signup", {"email": email, "password": "a good one"})
    assert refused(again) == (422, "user_already_exists")


def test_a_signup_with_a_weak_password_or_no_address_is_refused(auth: Auth) -> None:
    weak = auth("POST", "signup", {"email": "contract-weak@example.com", "password": "short"})
    assert refused(weak) == (422, "weak_password")
    assert auth("POST", "signup", {"email": "no address", "password": "a good one"}).status_code == 400


@pytest.mark.local
def test_a_trigger_on_users_has_only_the_rights_of_the_auth_service(
    auth: Auth, supabase: Supabase, database: Any
) -> None:
    database.execute("create table public.contract_people (id uuid)")
    body = "begin insert into public.contract_people values (new.id); return new; end"
    database.execute(
        f"create function public.contract_people_trigger() returns trigger language plpgsql as $${body}$$"
    )
    database.execute(
        "create trigger contract_people after insert on auth.users"
        " for each row execute function public.contract_people_trigger()"
    )
    email = f"contract-{secrets.token_hex(6)}@example.com"
    try:
        answer = auth("POST", "signup", {"email": email, "password": "a good one"})
        assert refused(answer) == (500, "unexpected_failure")
        assert answer.json()["msg"] == "Database error saving new user"
        database.execute("alter function public.contract_people_trigger() security definer")
        assert auth("POST", "signup", {"email": email, "password": "a good one"}).status_code == 200
    finally:
        database.execute("drop function public.contract_people_trigger() cascade")
        database.execute("drop table public.contract_people")
