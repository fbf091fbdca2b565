"""What the PDF function tells of itself when it starts, for the readiness check."""

import tempfile
from pathlib import Path
from typing import Any, Protocol

from printshop.adapters.chromium.installation import LAYER, find_chromium, make_workspace
from printshop.adapters.database import DatabaseError
from printshop.kernel.errors import ApiError, Unavailable
from printshop.kernel.log import get_logger

log = get_logger()


class FunctionCaller(Protocol):
    """printshop.adapters.database.Database is one."""

    def call(self, function: str, /, **params: Any) -> Any: ...


def renderer_health(chromium_bin: str | None, *, layer: Path = LAYER) -> dict[str, Any]:
    """{"binary": path or null, "version": text or null, "tmpWritable": bool}. Starts nothing."""
    tmp_writable = _tmp_writable()
    try:
        chromium = find_chromium(chromium_bin, layer=layer)
    except Unavailable:
        return {"binary": None, "version": None, "tmpWritable": tmp_writable}
    return {"binary": str(chromium.source), "version": chromium.version, "tmpWritable": tmp_writable}


def record_heartbeat(database: FunctionCaller, chromium_bin: str | None) -> None:
    """Store the state of the renderer. A heartbeat that cannot be stored is logged and stops nothing."""
    detail = renderer_health(chromium_bin)
    try:
        database.call("record_heartbeat", p_component="pdf", p_detail=detail)
    except (ApiError, DatabaseError) as error:
        log.warn(scope="pdf.heartbeat", message="The heartbeat was not stored", error=error, data=detail)


def _tmp_writable() -> bool:
    try:
        with tempfile.TemporaryFile(dir=make_workspace()) as file:
            file.write(b"x")
            file.flush()
    except (OSError, Unavailable):
        return False
    return True
