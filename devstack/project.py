"""The project that a command works on: the one of the environment, or the stack that `make up` serves."""

import json
import os
from pathlib import Path

STATE = Path(__file__).resolve().parents[1] / ".local" / "stack.json"
"""What `make up` says of the stack that it serves."""

NO_PROJECT = (
    "No project: set NEXT_PUBLIC_SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY, or start `make up` first."
)


def chosen_project() -> tuple[str, str] | None:
    """Its URL and secret key; None when there is neither."""
    url, key = os.environ.get("NEXT_PUBLIC_SUPABASE_URL"), os.environ.get("SUPABASE_SERVICE_ROLE_KEY")
    if url and key:
        return url, key
    if not STATE.exists():
        return None
    stack = json.loads(STATE.read_text())
    return stack["supabaseUrl"], stack["secretKey"]
