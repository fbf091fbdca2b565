"""A route's refusals in the API's document: status and stable code, as the envelope carries them."""

from typing import Any

from pydantic import BaseModel, Field


class Refusal(BaseModel):
    """Why a request was refused, and what to do next."""

    code: str = Field(description="Stable, upper-case, one per cause")
    message: str = Field(description="A sentence that says what to do next")
    details: Any = Field(None, description="Field paths, or the state that the request met")


class Refused(BaseModel):
    """The envelope of every failure."""

    error: Refusal


def refusals(*causes: str) -> dict[int | str, dict[str, Any]]:
    """`responses=` of a route: `refusals("404 QUOTE_NOT_FOUND", "409 NOT_A_DRAFT")`. Those that any route has (login,
    rights, validation, outage) are not named."""
    by_status: dict[int | str, list[str]] = {}
    for cause in causes:
        status, code = cause.split()
        by_status.setdefault(int(status), []).append(code)
    return {
        status: {
            "model": Refused,
            "description": " or ".join(codes),
            "content": {
                "application/json": {
                    "examples": {
                        code: {"value": {"error": {"code": code, "message": "…", "details": None}}}
                        for code in codes
                    }
                }
            },
        }
        for status, codes in by_status.items()
    }
