"""The admin user API, by supabase_auth's own client."""

import secrets
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
from supabase_auth import SyncGoTrueAdminAPI
from supabase_auth.errors import AuthApiError

from devstack.testing.supabase import Target

from .conftest import User


@pytest.fixture
def admin(target: Target) -> Iterator[SyncGoTrueAdminAPI]:
    with httpx.Client() as client:
        yield SyncGoTrueAdminAPI(url=f"{target.url}/auth/v1", headers=target.headers(), http_client=client)


@pytest.fixture
def login(target: Target, http: httpx.Client) -> Callable[[User], httpx.Response]:
    def call(user: User) -> httpx.Response:
        return http.post(
            f"{target.url}/auth/v1/token?grant_type=password",
            headers=target.headers(target.publishable_key),
            json={"email": user.email, "password": user.password},
        )

    return call


def test_a_created_user_is_confirmed_and_can_log_in(
    new_user: Callable[..., User], admin: SyncGoTrueAdminAPI, login: Callable[[User], httpx.Response]
) -> None:
    made = new_user(user_metadata={"name": "Ann"}, app_metadata={"desk": 4})
    user = admin.get_user_by_id(made.id).user
    assert (user.email, user.role, user.aud) == (made.email, "authenticated", "authenticated")
    assert user.user_metadata["name"] == "Ann"
    assert user.app_metadata == {"provider": "email", "providers": ["email"], "desk": 4}
    assert user.email_confirmed_at
    assert user.created_at.tzinfo
    assert login(made).status_code == 200


def test_a_second_user_with_the_same_address_is_422(admin: SyncGoTrueAdminAPI, user: User) -> None:
    with pytest.raises(AuthApiError) as caught:
        admin.create_user({"email": user.email.upper(), "password": "a good one"})
    assert (caught.value.status, caught.value.code) == (422, "email_exists")


def test_an_update_changes_address_password_and_metadata(
    admin: SyncGoTrueAdminAPI, user: User, login: Callable[[User], httpx.Response]
) -> None:
    new = User(user.id, f"contract-{secrets.token_hex(6)}@example.com", secrets.token_hex(8))
    answer = admin.update_user_by_id(
        user.id,
        {"email": new.email, "password": new.password, "email_confirm": True, "user_metadata": {"a": 1}},
    )
    assert answer.user.email == new.email
    assert answer.user.user_metadata["a"] == 1
    assert login(user).status_code == 400
    assert login(new).status_code == 200


def test_a_password_set_by_an_admin_ends_every_session(
    admin: SyncGoTrueAdminAPI,
    user: User,
    login: Callable[[User], httpx.Response],
    target: Target,
    http: httpx.Client,
) -> None:
    token = login(user).json()["access_token"]
    admin.update_user_by_id(user.id, {"password": secrets.token_hex(8)})
    shown = http.get(f"{target.url}/auth/v1/user", headers=target.headers(target.publishable_key, token))
    assert shown.status_code == 403


def test_users_are_listed_by_pages_newest_first(
    admin: SyncGoTrueAdminAPI, new_user: Callable[..., User]
) -> None:
    made = [new_user().id for _ in range(3)]
    first = [user.id for user in admin.list_users(page=1, per_page=2)]
    second = [user.id for user in admin.list_users(page=2, per_page=2)]
    assert first == [made[2], made[1]]
    assert second[0] == made[0]


def test_a_deleted_user_is_gone_with_its_sessions(
    admin: SyncGoTrueAdminAPI,
    user: User,
    login: Callable[[User], httpx.Response],
    target: Target,
    http: httpx.Client,
) -> None:
    token = login(user).json()["access_token"]
    admin.delete_user(user.id)
    assert login(user).status_code == 400
    shown = http.get(f"{target.url}/auth/v1/user", headers=target.headers(target.publishable_key, token))
    assert (shown.status_code, shown.json()["error_code"]) == (403, "user_not_found")


def test_a_banned_user_stays_out_until_the_ban_ends(
    admin: SyncGoTrueAdminAPI, user: User, login: Callable[[User], httpx.Response]
) -> None:
    admin.update_user_by_id(user.id, {"ban_duration": "24h"})
    assert (login(user).status_code, login(user).json()["error_code"]) == (400, "user_banned")
    admin.update_user_by_id(user.id, {"ban_duration": "none"})
    assert login(user).status_code == 200


def test_an_unknown_user_is_404(admin: SyncGoTrueAdminAPI) -> None:
    with pytest.raises(AuthApiError) as caught:
        admin.get_user_by_id(str(uuid.uuid4()))
    assert (caught.value.status, caught.value.code) == (404, "user_not_found")


def test_a_link_carries_its_token_and_its_user(admin: SyncGoTrueAdminAPI, user: User) -> None:
    link = admin.generate_link({"type": "recovery", "email": user.email})
    assert link.user.id == user.id
    assert link.properties.hashed_token in link.properties.action_link
    assert link.properties.verification_type == "recovery"
    with pytest.raises(AuthApiError) as caught:
        admin.generate_link({"type": "recovery", "email": "contract-no@example.com"})
    assert (caught.value.status, caught.value.code) == (404, "user_not_found")


def test_following_a_link_ends_at_the_site_with_a_session(
    admin: SyncGoTrueAdminAPI, user: User, target: Target, http: httpx.Client
) -> None:
    link = admin.generate_link({"type": "magiclink", "email": user.email})
    answer = http.get(link.properties.action_link)
    assert answer.status_code == 303
    session = parse_qs(urlsplit(answer.headers["location"]).fragment)
    claims = jwt.decode(session["access_token"][0], options={"verify_signature": False})
    assert (claims["sub"], claims["iss"]) == (user.id, f"{target.url}/auth/v1")
    again = http.get(link.properties.action_link)
    assert "error_code=otp_expired" in again.headers["location"]


def test_signing_a_user_out_ends_the_sessions_of_the_scope(
    admin: SyncGoTrueAdminAPI,
    user: User,
    login: Callable[[User], httpx.Response],
    target: Target,
    http: httpx.Client,
) -> None:
    here, there = (login(user).json()["access_token"] for _ in range(2))
    admin.sign_out(here, "others")

    def shown(token: str) -> int:
        headers = target.headers(target.publishable_key, token)
        return http.get(f"{target.url}/auth/v1/user", headers=headers).status_code

    assert (shown(here), shown(there)) == (200, 403)


@pytest.mark.parametrize("path", ["admin/users", f"admin/users/{uuid.UUID(int=7)}"])
def test_nobody_without_the_secret_key_is_an_admin(
    target: Target, http: httpx.Client, user: User, login: Callable[[User], httpx.Response], path: str
) -> None:
    url = f"{target.url}/auth/v1/{path}"
    token: Any = login(user).json()["access_token"]
    public = target.headers(target.publishable_key)
    signed_in = target.headers(target.publishable_key, token)
    assert http.get(url, headers=public).status_code in {401, 403}
    refused = http.get(url, headers=signed_in)
    assert (refused.status_code, refused.json()["error_code"]) == (403, "not_admin")
    assert http.get(url).status_code == 401
