"""The body behind an Idempotency-Key, as the database compares it.

A key belongs to a user and a route; the same key with another body is refused (422 IDEMPOTENCY_KEY_REUSED).
"""

import hashlib
import json

from pydantic import BaseModel


def body_hash(*parts: BaseModel | int | str) -> str:
    """SHA-256, in hex, of a request: its body, and the path's ids where the route has any."""
    shown = [part.model_dump_json() if isinstance(part, BaseModel) else part for part in parts]
    return hashlib.sha256(json.dumps(shown).encode()).hexdigest()
