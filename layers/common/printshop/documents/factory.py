"""A PDF service made of its parts: browser, cache and storage."""

from printshop.adapters.chromium.installation import find_chromium
from printshop.adapters.chromium.renderer import TIME_LIMIT, Renderer
from printshop.adapters.database import Database
from printshop.adapters.storage.objects import Storage
from printshop.config.settings import Settings
from printshop.documents.cache import PdfCache, cache_folder
from printshop.documents.heartbeat import record_heartbeat
from printshop.documents.service import PdfService


def make_pdf_service(
    settings: Settings, database: Database, storage: Storage, *, time_limit: float = TIME_LIMIT
) -> PdfService:
    """A service with a browser of its own: a process makes one and keeps it.

    The browser starts with the first document, which has `time_limit` seconds like every other. Raises Unavailable
    RENDERER_UNAVAILABLE.
    """
    record_heartbeat(database, settings.chromium_bin)
    renderer = Renderer(find_chromium(settings.chromium_bin), time_limit=time_limit)
    return PdfService(renderer, storage, PdfCache(cache_folder(settings.pdf_cache_dir)))
