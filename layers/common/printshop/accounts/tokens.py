"""Access tokens of Supabase Auth, verified without a round trip where that is possible.

A project signs with ES256 (its public keys at the JWKS address) or, older ones, with a shared HS256 secret. The
algorithm in a token's header only chooses among keys that we hold for exactly that algorithm; a token that no
local key can decide goes to the Auth server. Anon and service keys are tokens too, of other roles: refused.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import jwt
from jwt import PyJWKClient

from printshop.config.settings import Settings
from printshop.kernel.errors import Unauthorized, Unavailable

ASYMMETRIC = ("ES256", "RS256", "EdDSA")
JWKS_SECONDS = 600
"""How long fetched keys are kept; a token signed with an unknown key id makes them be fetched anew."""
LEEWAY_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a valid token names."""

    auth_user_id: UUID
    session_id: UUID | None
    issued_at: datetime
    email: str


def invalid_token() -> Unauthorized:
    return Unauthorized("INVALID_TOKEN")


class TokenVerifier:
    """Turns a token into an Identity, or refuses it. Holds the project's public keys for ten minutes."""

    def __init__(self, settings: Settings, client: httpx.Client) -> None:
        self._issuer = f"{settings.next_public_supabase_url}/auth/v1"
        secret = settings.supabase_jwt_secret
        self._secret = secret.get_secret_value() if secret else None
        self._anon_key = settings.next_public_supabase_anon_key
        self._client = client
        self._keys = PyJWKClient(f"{self._issuer}/.well-known/jwks.json", lifespan=JWKS_SECONDS, timeout=5)

    def verify(self, token: str) -> Identity:
        """The token's identity. Raises Unauthorized (INVALID_TOKEN, TOKEN_EXPIRED), Unavailable."""
        try:
            algorithm = jwt.get_unverified_header(token).get("alg")
            if algorithm == "HS256" and self._secret is not None:
                return self._identity(self._decode(token, self._secret, "HS256"))
            if algorithm in ASYMMETRIC:
                key = self._keys.get_signing_key_from_jwt(token)
                return self._identity(self._decode(token, key.key, algorithm))
            if algorithm == "HS256":
                return self._ask_auth_server(token)
        except jwt.ExpiredSignatureError as error:
            raise Unauthorized("TOKEN_EXPIRED") from error
        except jwt.PyJWKClientConnectionError as error:
            raise _auth_unavailable() from error
        except jwt.PyJWKClientError:
            # A key that we do not hold: the project may have rotated its keys a moment ago.
            return self._ask_auth_server(token)
        except (jwt.PyJWTError, ValueError, KeyError, TypeError, AttributeError) as error:
            # A header or claim of the wrong type is as bad as a bad signature.
            raise invalid_token() from error
        raise invalid_token()

    def _decode(self, token: str, key: Any, algorithm: str) -> dict[str, Any]:
        return jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience="authenticated",
            issuer=self._issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iat", "sub", "aud", "iss"]},
        )

    def _identity(self, claims: dict[str, Any]) -> Identity:
        if claims.get("role") != "authenticated":
            raise invalid_token()
        session = claims.get("session_id")
        return Identity(
            auth_user_id=UUID(claims["sub"]),
            session_id=UUID(session) if session else None,
            issued_at=datetime.fromtimestamp(int(claims["iat"]), UTC),
            email=str(claims.get("email", "")),
        )

    def _ask_auth_server(self, token: str) -> Identity:
        """For a shared-secret project whose secret we were not given."""
        headers = {"apikey": self._anon_key, "Authorization": f"Bearer {token}"}
        try:
            response = self._client.get(f"{self._issuer}/user", headers=headers)
        except httpx.HTTPError as error:
            raise _auth_unavailable() from error
        if response.status_code >= 500:
            raise _auth_unavailable()
        if response.is_error:
            raise invalid_token()
        # The server has judged signature and expiry; what it says of the user wins over the claims.
        try:
            claims = jwt.decode(token, options={"verify_signature": False})
            return self._identity({**claims, "sub": response.json()["id"]})
        except (jwt.PyJWTError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise invalid_token() from error


def _auth_unavailable() -> Unavailable:
    return Unavailable("AUTH_UNAVAILABLE", retry_after=2)
