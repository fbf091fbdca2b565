"""Legacy API keys, and tokens signed with a published key."""

import secrets
from collections.abc import Callable

import httpx
import jwt

from devstack.supabase import Supabase
from devstack.testing.supabase import target_of


def test_a_legacy_key_has_the_rights_of_the_new_kind(supabase: Supabase, http: httpx.Client) -> None:
    target = target_of(supabase)
    service, anon = supabase.keys.service_role_key, supabase.keys.anon_key
    email, password = f"contract-{secrets.token_hex(6)}@example.com", secrets.token_hex(8)
    new_user = {"email": email, "password": password, "email_confirm": True}
    made = http.post(f"{target.url}/auth/v1/admin/users", headers=target.headers(), json=new_user)
    users = http.get(f"{target.url}/auth/v1/admin/users", headers=target.headers(service))
    assert users.status_code == 200
    assert http.get(f"{target.url}/storage/v1/bucket", headers=target.headers(service)).status_code == 200
    assert http.get(f"{target.url}/rest/v1/", headers=target.headers(service)).status_code == 200
    login = http.post(
        f"{target.url}/auth/v1/token?grant_type=password",
        headers=target.headers(anon),
        json={"email": email, "password": password},
    )
    assert login.status_code == 200
    shown = http.get(f"{target.url}/auth/v1/user", headers=target.headers(anon, login.json()["access_token"]))
    assert shown.json()["id"] == made.json()["id"]
    assert http.get(f"{target.url}/auth/v1/admin/users", headers=target.headers(anon)).status_code == 403


def test_tokens_can_be_signed_with_a_published_key(
    start_supabase: Callable[..., Supabase], http: httpx.Client
) -> None:
    target = target_of(start_supabase(jwt_algorithm="ES256"))
    public = target.headers(target.publishable_key)
    body = {"email": "contract-es@example.com", "password": "a good one"}
    session = http.post(f"{target.url}/auth/v1/signup", headers=public, json=body).json()
    token = session["access_token"]
    key_set = http.get(f"{target.url}/auth/v1/.well-known/jwks.json").json()
    key = next(
        key
        for key in jwt.PyJWKSet.from_dict(key_set).keys
        if key.key_id == jwt.get_unverified_header(token)["kid"]
    )
    claims = jwt.decode(token, key.key, algorithms=["ES256"], audience="authenticated")
    assert claims["iss"] == f"{target.url}/auth/v1"
    headers = target.headers(target.publishable_key, token)
    assert http.get(f"{target.url}/auth/v1/user", headers=headers).json()["id"] == claims["sub"]
    assert http.get(f"{target.url}/storage/v1/bucket", headers=headers).json() == []
    fresh = http.post(
        f"{target.url}/auth/v1/token?grant_type=refresh_token",
        headers=public,
        json={"refresh_token": session["refresh_token"]},
    )
    assert fresh.status_code == 200
    forged = jwt.encode({**claims, "role": "service_role"}, "x" * 40, algorithm="HS256")
    refused = http.get(
        f"{target.url}/storage/v1/bucket", headers=target.headers(target.publishable_key, forged)
    )
    assert refused.status_code == 400
