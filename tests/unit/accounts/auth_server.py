"""A small Supabase Auth on loopback: publishes public keys, and judges the tokens that it is asked about."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

type PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class AuthServer:
    """`keys` are the published ones by key id; `secret` signs HS256 tokens; `broken` answers 500 to everything."""

    def __init__(self) -> None:
        self.keys: dict[str, PrivateKey] = {}
        self.secret = "a shared secret of the project, thirty-two bytes and more"
        self.broken = False
        self.asked: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                status, body = server.answer(self.path, self.headers.get("Authorization", ""))
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: Any) -> None:
                return

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self.issuer = f"{self.url}/auth/v1"

    def __enter__(self) -> Self:
        Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def answer(self, path: str, authorization: str) -> tuple[int, Any]:
        if self.broken:
            return 500, {"message": "broken"}
        if path == "/auth/v1/.well-known/jwks.json":
            return 200, {"keys": [public_jwk(key_id, key) for key_id, key in self.keys.items()]}
        claims = self._judge(authorization.removeprefix("Bearer "))
        if path != "/auth/v1/user" or claims is None:
            return 403, {"error_code": "bad_jwt", "msg": "invalid JWT"}
        return 200, {"id": claims["sub"], "email": claims.get("email", "")}

    def _judge(self, token: str) -> dict[str, Any] | None:
        options: Any = {"verify_aud": False}
        try:
            header = jwt.get_unverified_header(token)
            if header["alg"] == "HS256":
                return jwt.decode(token, self.secret, algorithms=["HS256"], options=options)
            key = self.keys[header["kid"]]
            return jwt.decode(token, key.public_key(), algorithms=["ES256", "RS256"], options=options)
        except (jwt.PyJWTError, KeyError):
            return None


def public_jwk(key_id: str, key: PrivateKey) -> dict[str, Any]:
    if isinstance(key, rsa.RSAPrivateKey):
        return {
            **RSAAlgorithm.to_jwk(key.public_key(), as_dict=True),
            "kid": key_id,
            "alg": "RS256",
            "use": "sig",
        }
    return {**ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": key_id, "alg": "ES256", "use": "sig"}


def public_pem(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
