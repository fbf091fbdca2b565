"""Keyset pages: a cursor is the last row's place in the order, so that a list costs the same at any depth."""

import base64
import binascii
import json
from datetime import datetime
from typing import Any

from printshop.kernel.errors import BadRequest


def encode_cursor(*place: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(place, ensure_ascii=False).encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None, kinds: tuple[type, ...]) -> tuple[Any, ...]:
    """The place in the order, or as many Nones as it has parts. Raises BadRequest CURSOR_INVALID."""
    if cursor is None:
        return (None,) * len(kinds)
    try:
        place = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        json.dumps(place, ensure_ascii=False).encode()  # half a character is in no text of ours
    except (ValueError, binascii.Error) as error:
        raise _invalid() from error
    if not isinstance(place, list) or [type(part) for part in place] != list(kinds):
        raise _invalid()
    if any(isinstance(part, int) and abs(part) >= 2**63 for part in place):
        raise _invalid()
    return tuple(place)


def decode_time_cursor(cursor: str | None) -> tuple[str | None, int | None]:
    """The place in an order by time: an ISO timestamp and an id. Raises BadRequest CURSOR_INVALID."""
    moment, row_id = decode_cursor(cursor, (str, int))
    if moment is not None:
        try:
            datetime.fromisoformat(moment)
        except ValueError as error:
            raise _invalid() from error
    return moment, row_id


def _invalid() -> BadRequest:
    return BadRequest("CURSOR_INVALID")
