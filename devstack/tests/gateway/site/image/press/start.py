"""An image function: its package beside it, the layer's copied in."""

from typing import Any

import tool  # type: ignore[import-not-found]


def handler(event: dict[str, Any], context: Any) -> Any:
    return {"pressed": event["sheets"], "with": tool.NAME}
