"""The process's one browser and cache, for whichever function puts documents on paper."""

from functools import lru_cache

from printshop.adapters.chromium.installation import find_chromium
from printshop.adapters.chromium.renderer import TIME_LIMIT, Renderer
from printshop.documents.cache import PdfCache, cache_folder
from printshop.documents.heartbeat import record_heartbeat
from printshop.documents.service import PdfService
from printshop.services import get_services


@lru_cache(maxsize=1)
def pdf_service(time_limit: float = TIME_LIMIT) -> PdfService:
    """Made once; the browser starts with the first document, which has `time_limit` seconds like every other.

    Raises Unavailable RENDERER_UNAVAILABLE.
    """
    services = get_services()
    settings = services.settings
    record_heartbeat(services.database, settings.chromium_bin)
    renderer = Renderer(find_chromium(settings.chromium_bin), time_limit=time_limit)
    return PdfService(renderer, services.storage, PdfCache(cache_folder(settings.pdf_cache_dir)))
