"""The one HTTP client to the Supabase project, shared by database, storage and auth adapters.

One connection pool per process, HTTP/1.1, explicit timeouts, no session kept, nothing retried: what may be
sent twice is decided by whoever calls. What Supabase refused for its key was not done, and is sent again with a newer
one, if there is one.
"""

from typing import Any

import httpx

from printshop.config.settings import Settings
from printshop.config.settings_provider import CurrentSettings, current

TIMEOUT = httpx.Timeout(connect=5, read=12, write=25, pool=5)
"""Seconds. A statement is ended by the database after 8 s; a request by the gateway after 30 s."""


def service_headers(settings: Settings) -> dict[str, str]:
    """The service key, as `supabase` clients send it: it opens every table and bucket, so it stays here."""
    return _headers(settings.service_key)


def _headers(key: str) -> dict[str, str]:
    return {"apikey": key, "Authorization": f"Bearer {key}"}


class _SupabaseClient(httpx.Client):
    """Sends with the newest service key: adapters live as long as the process, and the key they know may not.

    Not by `auth=`, which the database's library turns off with each request.
    """

    def __init__(self, made_with: str, now: CurrentSettings, **options: Any) -> None:
        super().__init__(**options)
        self._made_with = made_with
        self._now = now

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        if any(request.headers.get(name) != value for name, value in _headers(self._made_with).items()):
            return super().send(request, **options)  # with the public key, or a user's token
        key = self._now.newest_service_key(self._made_with)
        request.headers.update(_headers(key))
        response = super().send(request, **options)
        newer = self._now.service_key_after(key) if _is_refused(response) else None
        if newer is None:
            return response
        response.close()
        request.headers.update(_headers(newer))
        return super().send(request, **options)


def _is_refused(response: httpx.Response) -> bool:
    """Whether the key was: the project's gateway says 401 and Auth 403, but Storage 400 with the 403 in the body."""
    if response.status_code != httpx.codes.BAD_REQUEST:
        return response.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}
    return b'"statusCode":"403"' in response.read()


def http_client(settings: Settings, now: CurrentSettings = current) -> httpx.Client:
    """A client for `{NEXT_PUBLIC_SUPABASE_URL}`. Keys go with each adapter's own headers.

    `now` knows the service key that came after that of `settings`.
    """
    return _SupabaseClient(
        settings.service_key,
        now,
        base_url=settings.next_public_supabase_url,
        timeout=TIMEOUT,
        http2=False,
    )
