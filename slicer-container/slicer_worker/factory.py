"""The one place that builds a worker on the real database and storage."""

from printshop.adapters.database import Database, DatabaseError
from printshop.adapters.sandbox import MEMORY_BYTES, become_subreaper, make_undumpable
from printshop.adapters.storage.objects import Storage
from printshop.adapters.supabase import http_client
from printshop.config.settings import Settings
from printshop.kernel.errors import ApiError
from printshop.kernel.log import get_logger
from printshop.slicing.claims import Claims
from printshop.slicing.scratch_folder import sweep_scratch
from slicer_worker.worker import SliceWorker

RESERVE_BYTES = 256 * 1024**2
"""What the sandbox keeps for this process (under 150 MB whatever the model) and whatever else runs beside it."""

log = get_logger()


def memory_per_child(sandbox_bytes: int, children: int) -> int:
    """The memory in bytes that each of so many children at once may take of a sandbox.

    A child must run out of it before the sandbox does, which would take this process along.
    """
    return min(MEMORY_BYTES, (sandbox_bytes - RESERVE_BYTES) // children)


def build_worker(settings: Settings, memory_bytes: int = MEMORY_BYTES) -> SliceWorker:
    """A worker, after the leftovers of a killed one are swept and readiness has heard of it."""
    make_undumpable()
    become_subreaper()
    if swept := sweep_scratch():
        log.warn(
            scope="slicer.scratch", message="Leftovers of a killed worker removed", data={"folders": swept}
        )
    client = http_client(settings)
    worker = SliceWorker(
        Claims(Database(settings, client)), Storage(settings, client), settings, memory_bytes=memory_bytes
    )
    beat(worker)
    return worker


def beat(worker: SliceWorker) -> None:
    """Send a heartbeat. A database that is away, or answers nonsense, is no reason not to live."""
    try:
        worker.heartbeat()
    except (ApiError, DatabaseError) as error:
        log.warn(scope="slicer.heartbeat", error=error)
