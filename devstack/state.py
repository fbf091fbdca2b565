"""`.local/stack.json`: addresses, keys and logins of the stack that `make up` serves from this checkout."""

import json
from pathlib import Path
from typing import Any

__all__ = ["STATE", "is_served", "read_state", "write_state"]

STATE = Path(__file__).resolve().parents[1] / ".local" / "stack.json"


def read_state() -> dict[str, Any] | None:
    """The file's contents, as `Stack.describe` gives them; None without the file."""
    if not STATE.exists():
        return None
    state: dict[str, Any] = json.loads(STATE.read_text())
    return state


def write_state(state: dict[str, Any]) -> None:
    """Write the file in one step, so that a reader never sees half of it. Only the user may read it."""
    partial = STATE.with_suffix(".part")
    partial.touch(mode=0o600)
    partial.write_text(json.dumps(state, indent=2) + "\n")
    partial.replace(STATE)


def is_served() -> bool:
    """Whether the process that wrote the file still runs."""
    state = read_state()
    return state is not None and Path(f"/proc/{state['pid']}").exists()
