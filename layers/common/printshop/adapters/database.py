"""The database as the product uses it: one function call, one transaction, one JSON answer.

A refusal reaches Python in one of two forms, and leaves here as the same `ApiError`:
- returned before anything was written: `{"error": {"status", "code", "message", "details"}}`;
- raised after a write, so that it rolls back: SQLSTATE `PTnnn` with the code in `hint` (PostgREST answers nnn).
"""

import json
from typing import Any

import httpx
from postgrest import APIError, SyncPostgrestClient

from printshop.adapters.supabase import service_headers
from printshop.config.settings import Settings
from printshop.kernel.errors import BY_STATUS, ApiError, Conflict, Unavailable, Unprocessable

_PASSING = {
    "57014",  # statement timeout
    "55P03",  # lock timeout
    "40001",  # serialisation failure
    "40P01",  # deadlock
    "53300",  # too many connections
    "08000",
    "08006",
    "57P01",  # the server is being shut down
    "57P03",
    "PGRST000",
    "PGRST001",
    "PGRST002",
    "PGRST003",  # no connection free in the pool
}


_NOT_STORABLE = {
    "22P05",  # a NUL in JSON text
    "22021",  # bytes that are no text
    "22003",  # a number beyond every column
    "22P02",  # a text that is none of the kind
    "22007",
    "22008",
    "22009",  # a time zone beyond every zone
}


class DatabaseError(RuntimeError):
    """The database refused in a way that no caller can help: a defect, logged and answered as one."""


class Database:
    """PostgREST on the service key. Each method is one round trip."""

    def __init__(self, settings: Settings, client: httpx.Client) -> None:
        base_url = f"{settings.next_public_supabase_url}/rest/v1"
        self._postgrest = SyncPostgrestClient(
            base_url, headers=service_headers(settings), http_client=client, retry_enabled=False
        )

    def call(self, function: str, /, **params: Any) -> Any:
        """Run one SQL function (named parameters, JSON values) and return its JSON answer.

        Raises the ApiError that the function returned or raised, Unavailable when the database does not
        answer, DatabaseError for anything else.
        """
        try:
            answer = self._postgrest.rpc(function, params).execute().data
        except APIError as error:
            raise _refusal(function, error) from error
        except httpx.HTTPError as error:
            raise _unavailable() from error
        except UnicodeEncodeError as error:  # half a character, which no UTF-8 holds
            raise _not_storable() from error
        if isinstance(answer, dict) and isinstance(answer.get("error"), dict):
            raise _api_error(**answer["error"])
        return answer


def _api_error(*, status: int, code: str, message: str, details: Any = None, **_: Any) -> ApiError:
    seconds = details.get("retryAfterSeconds", 10) if isinstance(details, dict) else 10
    return BY_STATUS[status](code, message, details, retry_after=seconds if status == 429 else None)


def _not_storable() -> Unprocessable:
    return Unprocessable("VALUE_REFUSED")


def _unavailable() -> Unavailable:
    return Unavailable("DATABASE_UNAVAILABLE", retry_after=2)


def _refusal(function: str, error: APIError) -> Exception:
    code = error.code or ""
    if code.startswith("PT") and code[2:].isdigit() and int(code[2:]) in BY_STATUS:
        details = json.loads(error.details) if error.details else None
        return _api_error(
            status=int(code[2:]), code=error.hint or "REFUSED", message=error.message or "", details=details
        )
    if code == "23503":
        return Conflict("REFERENCE_GONE")
    if code in _PASSING or code in {"502", "503", "504"}:
        return _unavailable()
    if code in _NOT_STORABLE:
        return _not_storable()
    return DatabaseError(f"{function}: {code} {error.message}")
