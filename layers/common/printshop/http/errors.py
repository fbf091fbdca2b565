"""The error answers of a route in the API's document: status and stable code, in the envelope of every failure."""

from typing import Any

from pydantic import BaseModel, Field

from printshop.kernel.error_codes import ERROR_SENTENCES


class Error(BaseModel):
    """Why a request failed, and what to do next."""

    code: str = Field(description="Stable, upper-case, one per cause")
    message: str = Field(description="A sentence that says what to do next")
    details: Any = Field(None, description="Field paths, or the state that the request met")


class ErrorResponse(BaseModel):
    """The envelope of every failure."""

    error: Error


def error_responses(*causes: str) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of a route: `error_responses("404 QUOTE_NOT_FOUND", "409 NOT_A_DRAFT")`. Name only the route's
    own errors: those that every route may answer (login, rights, validation, outage) are added to the document."""
    by_status: dict[int, list[str]] = {}
    for cause in causes:
        status, code = cause.split()
        by_status.setdefault(int(status), []).append(code)
    return {
        status: {
            "model": ErrorResponse,
            "description": " or ".join(codes),
            "content": {
                "application/json": {
                    "examples": {
                        code: {
                            "value": {"error": {"code": code, "message": sentences[code], "details": None}}
                        }
                        for code in codes
                    }
                }
            },
        }
        for status, codes in by_status.items()
        for sentences in (ERROR_SENTENCES[status],)
    }
