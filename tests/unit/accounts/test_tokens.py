"""Access tokens: what a project signs is accepted, everything else is refused."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from printshop.accounts.tokens import TokenVerifier
from printshop.config.settings import load_settings
from printshop.kernel.errors import Unauthorized, Unavailable
from tests.unit.accounts.auth_server import AuthServer, PrivateKey, public_pem

USER = "2f0c7a52-6f3e-4d0a-9b7e-0d6f6a6f7a01"
SESSION = "7d0b6f3e-52c7-4d0a-8e57-1a2b3c4d5e6f"

type NewVerifier = Callable[..., TokenVerifier]


@pytest.fixture
def server() -> Iterator[AuthServer]:
    with AuthServer() as running:
        running.keys["first"] = ec.generate_private_key(ec.SECP256R1())
        yield running


@pytest.fixture
def verifier(server: AuthServer) -> Iterator[NewVerifier]:
    """Make a verifier of the server's project; `secret` as SUPABASE_JWT_SECRET."""
    with httpx.Client(timeout=5) as client:

        def make(secret: str = "", url: str = "") -> TokenVerifier:
            environment = {
                "NEXT_PUBLIC_SUPABASE_URL": url or server.url,
                "NEXT_PUBLIC_SUPABASE_ANON_KEY": "sb_publishable_a",
                "SUPABASE_SERVICE_ROLE_KEY": "sb_secret_b",
                "SUPABASE_JWT_SECRET": secret,
            }
            return TokenVerifier(load_settings(environment), client)

        yield make


def claims(server: AuthServer, **changes: Any) -> dict[str, Any]:
    """A signed-in user's claims; a change to None leaves the claim out."""
    now = int(time.time())
    whole = {
        "iss": server.issuer,
        "aud": "authenticated",
        "role": "authenticated",
        "sub": USER,
        "session_id": SESSION,
        "email": "joe@example.com",
        "iat": now,
        "exp": now + 3600,
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not None}


def shared(server: AuthServer, **changes: Any) -> str:
    return jwt.encode(claims(server, **changes), server.secret, algorithm="HS256")


def signed(
    server: AuthServer, key: PrivateKey, key_id: str = "first", algorithm: str = "ES256", **changes: Any
) -> str:
    return jwt.encode(claims(server, **changes), key, algorithm=algorithm, headers={"kid": key_id})


def packed(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def refusal(verifier: TokenVerifier, token: str) -> str:
    with pytest.raises(Unauthorized) as refused:
        verifier.verify(token)
    return refused.value.code


def test_a_shared_secret_token_is_verified_without_a_round_trip(
    server: AuthServer, verifier: NewVerifier
) -> None:
    identity = verifier(server.secret).verify(shared(server))
    assert (identity.auth_user_id, identity.session_id) == (UUID(USER), UUID(SESSION))
    assert identity.email == "joe@example.com"
    assert abs(identity.issued_at.timestamp() - time.time()) < 5
    assert server.asked == []


def test_a_public_key_token_is_verified_with_one_fetch_of_the_keys(
    server: AuthServer, verifier: NewVerifier
) -> None:
    checker = verifier()
    for _ in range(3):
        assert checker.verify(signed(server, server.keys["first"])).auth_user_id == UUID(USER)
    assert server.asked == ["/auth/v1/.well-known/jwks.json"]


def test_an_rsa_key_is_as_good(server: AuthServer, verifier: NewVerifier) -> None:
    server.keys["second"] = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    token = signed(server, server.keys["second"], "second", "RS256")
    assert verifier().verify(token).auth_user_id == UUID(USER)


def test_a_project_between_two_keys_has_both_accepted(server: AuthServer, verifier: NewVerifier) -> None:
    checker = verifier(server.secret)
    assert checker.verify(shared(server)).auth_user_id == UUID(USER)
    assert checker.verify(signed(server, server.keys["first"])).auth_user_id == UUID(USER)


def test_a_rotated_key_is_accepted_at_once(server: AuthServer, verifier: NewVerifier) -> None:
    checker = verifier()
    checker.verify(signed(server, server.keys["first"]))
    server.keys = {"second": ec.generate_private_key(ec.SECP256R1())}
    assert checker.verify(signed(server, server.keys["second"], "second")).auth_user_id == UUID(USER)


def test_a_token_without_a_session_has_none(server: AuthServer, verifier: NewVerifier) -> None:
    assert verifier(server.secret).verify(shared(server, session_id=None)).session_id is None


def test_without_the_secret_the_auth_server_decides(server: AuthServer, verifier: NewVerifier) -> None:
    checker = verifier()
    assert checker.verify(shared(server)).auth_user_id == UUID(USER)
    forged = jwt.encode(claims(server), "another secret that is long enough for it", algorithm="HS256")
    assert refusal(checker, forged) == "INVALID_TOKEN"
    assert server.asked == ["/auth/v1/user"] * 2


def test_the_auth_servers_word_does_not_make_a_service_key_a_user(
    server: AuthServer, verifier: NewVerifier
) -> None:
    assert refusal(verifier(), shared(server, role="service_role")) == "INVALID_TOKEN"


@pytest.mark.parametrize("kind", ["shared", "signed"])
def test_an_expired_token_says_so(server: AuthServer, verifier: NewVerifier, kind: str) -> None:
    past: dict[str, Any] = {"iat": int(time.time()) - 7200, "exp": int(time.time()) - 3600}
    token = shared(server, **past) if kind == "shared" else signed(server, server.keys["first"], **past)
    assert refusal(verifier(server.secret), token) == "TOKEN_EXPIRED"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://other.supabase.co/auth/v1"},
        {"aud": "anon"},
        {"role": "anon"},
        {"role": "service_role"},
        {"role": None},
        {"iss": None},
        {"aud": None},
        {"exp": None},
        {"iat": None},
        {"sub": None},
        {"sub": "7"},
        {"sub": ""},
        {"session_id": "not a uuid"},
        {"session_id": 7},
        # An id must not name the time: workers that collect apart have to agree.
        pytest.param({"iat": int(time.time()) + 3600}, id="issued in an hour"),
        pytest.param({"nbf": int(time.time()) + 3600}, id="valid in an hour"),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["shared", "signed"])
def test_wrong_claims_are_refused_however_well_signed(
    server: AuthServer, verifier: NewVerifier, kind: str, changes: dict[str, Any]
) -> None:
    token = shared(server, **changes) if kind == "shared" else signed(server, server.keys["first"], **changes)
    assert refusal(verifier(server.secret), token) == "INVALID_TOKEN"


def test_a_foreign_key_under_a_known_id_is_refused(server: AuthServer, verifier: NewVerifier) -> None:
    assert refusal(verifier(), signed(server, ec.generate_private_key(ec.SECP256R1()))) == "INVALID_TOKEN"


def test_an_unknown_key_id_is_refused(server: AuthServer, verifier: NewVerifier) -> None:
    stranger = ec.generate_private_key(ec.SECP256R1())
    assert refusal(verifier(), signed(server, stranger, "stranger")) == "INVALID_TOKEN"


@pytest.mark.parametrize("with_secret", [True, False])
def test_the_public_key_as_a_shared_secret_is_refused(
    server: AuthServer, verifier: NewVerifier, with_secret: bool
) -> None:
    # PyJWT refuses to sign so, hence by hand, as an attacker would.
    head = f"{packed({'alg': 'HS256', 'kid': 'first', 'typ': 'JWT'})}.{packed(claims(server))}"
    mac = hmac.new(public_pem(server.keys["first"]), head.encode(), hashlib.sha256).digest()
    token = f"{head}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"
    assert refusal(verifier(server.secret if with_secret else ""), token) == "INVALID_TOKEN"


@pytest.mark.parametrize("algorithm", ["none", "None", "HS512", "PS256", "ES384", "", None, ["ES256"], 7])
def test_another_algorithm_is_refused(server: AuthServer, verifier: NewVerifier, algorithm: Any) -> None:
    token = f"{packed({'alg': algorithm, 'kid': 'first'})}.{packed(claims(server))}."
    assert refusal(verifier(server.secret), token) == "INVALID_TOKEN"


@pytest.mark.parametrize("algorithm", ["RS256", "EdDSA"])
def test_a_key_of_another_kind_than_the_header_says_is_refused(
    server: AuthServer, verifier: NewVerifier, algorithm: str
) -> None:
    token = f"{packed({'alg': algorithm, 'kid': 'first'})}.{packed(claims(server))}.{'A' * 86}"
    assert refusal(verifier(), token) == "INVALID_TOKEN"


def test_the_keys_of_the_project_are_no_users(server: AuthServer, verifier: NewVerifier) -> None:
    checker = verifier(server.secret)
    now = int(time.time())
    for role in ("anon", "service_role"):
        legacy = {"iss": "supabase", "ref": "project", "role": role, "iat": now, "exp": now + 10**8}
        assert refusal(checker, jwt.encode(legacy, server.secret, algorithm="HS256")) == "INVALID_TOKEN"
    for key in ("sb_publishable_a", "sb_secret_b"):
        assert refusal(checker, key) == "INVALID_TOKEN"


@pytest.mark.parametrize(
    "token",
    ["", "x", "a.b.c", "....", "eyJ.eyJ.eyJ", "ä.ö.ü", "\x00", "a" * 20_000, f"{packed([])}.{packed({})}.",
     f"{packed({'alg': 'ES256', 'kid': 7})}.{packed({})}.", f"{packed({'alg': 'ES256'})}.{packed({})}."],
    ids=lambda token: repr(token[:12]),
)  # fmt: skip
def test_garbage_is_refused(server: AuthServer, verifier: NewVerifier, token: str) -> None:
    assert refusal(verifier(server.secret), token) == "INVALID_TOKEN"


def test_a_changed_token_is_refused(server: AuthServer, verifier: NewVerifier) -> None:
    head, _, signature = shared(server).split(".")
    other = packed(claims(server, sub="00000000-0000-0000-0000-000000000001"))
    assert refusal(verifier(server.secret), f"{head}.{other}.{signature}") == "INVALID_TOKEN"


@pytest.mark.parametrize("fault", ["broken", "gone"])
@pytest.mark.parametrize("kind", ["shared", "signed"])
def test_an_auth_server_that_does_not_answer_is_no_refusal(
    server: AuthServer, verifier: NewVerifier, fault: str, kind: str
) -> None:
    server.broken = True
    checker = verifier(url="http://127.0.0.1:9" if fault == "gone" else "")
    token = shared(server) if kind == "shared" else signed(server, server.keys["first"])
    with pytest.raises(Unavailable) as unavailable:
        checker.verify(token)
    assert unavailable.value.code == "AUTH_UNAVAILABLE"
