"""The process's one browser and cache, for whichever function puts documents on paper."""

from functools import lru_cache

from printshop.pdf.cache import PdfCache, cache_folder
from printshop.pdf.chromium import find_chromium
from printshop.pdf.heartbeat import record_heartbeat
from printshop.pdf.renderer import Renderer
from printshop.pdf.service import PdfService
from printshop.services import get_services


@lru_cache(maxsize=1)
def pdf_service() -> PdfService:
    """Made once; the browser starts with the first document. Raises Unavailable RENDERER_UNAVAILABLE."""
    services = get_services()
    settings = services.settings
    record_heartbeat(services.database, settings.chromium_bin)
    renderer = Renderer(find_chromium(settings.chromium_bin))
    return PdfService(renderer, services.storage, PdfCache(cache_folder(settings.pdf_cache_dir)))
