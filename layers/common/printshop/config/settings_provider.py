"""The process's settings, which follow a rotated secret.

A warm function keeps what it read for five minutes. It asks again at once when a key of its own was refused, or a
webhook's signature fits no secret that it knows; forged ones can make it ask once in ten seconds, no oftener. While
the secret cannot be read, or used, what was read before serves on.
"""

import os
import time
from collections.abc import Mapping
from threading import RLock

from printshop.config.settings import Settings, SettingsError, load_settings
from printshop.kernel.log import get_logger

KEPT_SECONDS = 300
"""Until the secret is asked for without any cause."""
UNREADABLE_SECONDS = 30
"""Until the next try, after one that failed."""
CAUSED_SECONDS = 10
"""Between two questions, however many causes there are."""

log = get_logger()


class CurrentSettings:
    """The settings of now. Without SECRETS_ID they never change. `environ` is the process's own by default."""

    def __init__(
        self,
        environ: Mapping[str, str] | None = None,
        *,
        kept_seconds: float = KEPT_SECONDS,
        unreadable_seconds: float = UNREADABLE_SECONDS,
        caused_seconds: float = CAUSED_SECONDS,
    ) -> None:
        self._environ = os.environ if environ is None else environ
        self._kept_seconds = kept_seconds
        self._unreadable_seconds = unreadable_seconds
        self._caused_seconds = caused_seconds
        self._lock = RLock()
        self._settings: Settings | None = None
        self._asked_at = 0.0
        self._due_at = 0.0
        self._service_keys: set[str] = set()

    def read(self) -> Settings:
        """Raises SettingsError when the environment cannot be used, and never could."""
        with self._lock:
            if self._settings is None:
                return self._keep(load_settings(self._environ))
            if self._has_secret and time.monotonic() >= self._due_at:
                self._ask()
            return self._settings

    def renew(self) -> bool:
        """Ask for the secret now; whether it brought anything new. False too if it was asked for just before."""
        with self._lock:
            known = self._settings is not None and self._has_secret
            return known and time.monotonic() >= self._asked_at + self._caused_seconds and self._ask()

    def newest_service_key(self, made_with: str) -> str:
        """The service key of now in the place of one of before; any other key as it is."""
        with self._lock:
            if self._settings is None or made_with not in self._service_keys:
                return made_with
            return self._settings.service_key

    def service_key_after(self, refused: str) -> str | None:
        """Another service key than the refused one; None if there is none, or `refused` was never one of ours."""
        with self._lock:
            if refused not in self._service_keys:
                return None
            if self.newest_service_key(refused) == refused:
                self.renew()
            newest = self.newest_service_key(refused)
            return newest if newest != refused else None

    def _ask(self) -> bool:
        try:
            fresh = load_settings(self._environ)
        except SettingsError as error:
            log.warn(
                scope="settings.secret",
                message="The secret cannot be used; what was read before serves on",
                error=error,
            )
            self._asked_at = time.monotonic()
            self._due_at = self._asked_at + self._unreadable_seconds
            return False
        changed = fresh != self._settings
        self._keep(fresh)
        if changed:
            log.info(scope="settings.secret", message="The secret has changed")
        return changed

    def _keep(self, settings: Settings) -> Settings:
        self._settings = settings
        self._service_keys.add(settings.service_key)
        self._asked_at = time.monotonic()
        self._due_at = self._asked_at + self._kept_seconds
        return settings

    @property
    def _has_secret(self) -> bool:
        return bool(self._environ.get("SECRETS_ID", "").strip())


current = CurrentSettings()
"""This process's."""
