"""The one HTTP client to the Supabase project, shared by database, storage and auth adapters.

One connection pool per process, HTTP/1.1, explicit timeouts, no session kept, nothing retried: what may be
sent twice is decided by whoever calls.
"""

import httpx

from printshop.settings import Settings

TIMEOUT = httpx.Timeout(connect=5, read=12, write=25, pool=5)
"""Seconds. A statement is ended by the database after 8 s; a request by the gateway after 30 s."""


def service_headers(settings: Settings) -> dict[str, str]:
    """The service key, as `supabase` clients send it: it opens every table and bucket, so it stays here."""
    return {"apikey": settings.service_key, "Authorization": f"Bearer {settings.service_key}"}


def http_client(settings: Settings) -> httpx.Client:
    """A client for `{NEXT_PUBLIC_SUPABASE_URL}`. Keys go with each adapter's own headers."""
    return httpx.Client(base_url=settings.next_public_supabase_url, timeout=TIMEOUT, http2=False)
