"""A refusal as every route answers it."""

from typing import Any

import httpx


def refused(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Assert status, code and a whole sentence; the error."""
    assert response.status_code == status, response.text
    error: dict[str, Any] = response.json()["error"]
    assert error["code"] == code
    assert error["message"].endswith(".")
    return error
