"""Idempotency keys: the first answer of an endpoint is replayed for 24 hours."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from devstack.stripe.errors import ApiError
from devstack.stripe.merchant import Merchant

KEPT_SECONDS = 24 * 3600
LONGEST = 255


@dataclass(frozen=True)
class Answer:
    """The answer to a request: status, extra headers and JSON body."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str]


@dataclass(frozen=True)
class Request:
    """The request that a key is bound to."""

    key: str
    endpoint: str
    """Method and path."""

    parameters: bytes
    request_id: str

    @property
    def fingerprint(self) -> str:
        return sha256(self.parameters).hexdigest()


class Keys:
    """The known keys, and those whose first request is still running."""

    def __init__(self, merchant: Merchant) -> None:
        self._merchant = merchant
        self._in_use: set[str] = set()

    @contextmanager
    def claim(self, request: Request) -> Iterator[Answer | None]:
        """Hold the key while its request runs; yields the saved answer if there is one.

        Raises ApiError: 400 idempotency_error for another endpoint or other parameters, 409 while another
        request with the same key runs.
        """
        if len(request.key) > LONGEST:
            raise ApiError(f"Idempotency keys can be up to {LONGEST} characters long.", executed=False)
        if request.key in self._in_use:
            raise ApiError(
                "There is currently another in-progress request using this Idempotent Key (that probably means "
                "you submitted twice, and the other request is still going through): "
                f"{request.key}. Try again in a bit.",
                status=409,
                code="idempotency_key_in_use",
                executed=False,
            )
        self._in_use.add(request.key)
        try:
            yield self._saved(request)
        finally:
            self._in_use.discard(request.key)

    def save(self, request: Request, answer: Answer) -> None:
        self._merchant.store.run(
            "insert or replace into idempotency "
            "(key, endpoint, fingerprint, request_id, status, headers, body, created) "
            "values (?, ?, ?, ?, ?, ?, ?, ?)",
            request.key,
            request.endpoint,
            request.fingerprint,
            request.request_id,
            answer.status,
            json.dumps(answer.headers),
            json.dumps(answer.body),
            self._merchant.now(),
        )

    def _saved(self, request: Request) -> Answer | None:
        store = self._merchant.store
        store.run("delete from idempotency where created <= ?", self._merchant.now() - KEPT_SECONDS)
        row = store.run("select * from idempotency where key = ?", request.key).fetchone()
        if row is None:
            return None
        if row["endpoint"] != request.endpoint:
            raise _misused(
                "Keys for idempotent requests can only be used for the same endpoint they were first used for "
                f"('{row['endpoint']}' vs '{request.endpoint}')",
                request.key,
            )
        if row["fingerprint"] != request.fingerprint:
            raise _misused(
                "Keys for idempotent requests can only be used with the same parameters they were first used with",
                request.key,
            )
        headers = {"Idempotent-Replayed": "true", "Original-Request": row["request_id"]}
        return Answer(row["status"], json.loads(row["body"]), {**json.loads(row["headers"]), **headers})


def _misused(message: str, key: str) -> ApiError:
    return ApiError(
        f"{message}. Try using a key other than '{key}' if you meant to execute a different request.",
        kind="idempotency_error",
        executed=False,
    )
