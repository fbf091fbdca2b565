"""The user behind a token: id, role and client in one cached query."""

import time
from collections import OrderedDict
from typing import Literal, NamedTuple
from uuid import UUID

from printshop.accounts.tokens import Identity
from printshop.adapters.database import Database
from printshop.kernel.base_model import CamelModel

CACHE_SECONDS = 30
"""How long a logout, a role change or a deletion may take to arrive; admin routes do not use the cache."""
CACHE_SIZE = 1024


class User(CamelModel):
    """A login of the bureau. A CLIENT is bound to one client; an ADMIN is the shop."""

    id: int
    auth_user_id: UUID
    email: str
    name: str
    role: Literal["ADMIN", "CLIENT"]
    client_id: int | None
    must_change_password: bool = False
    """The password is still the shop's one-time one: nothing but changing it, `me` and logging out is open."""

    @property
    def is_admin(self) -> bool:
        return self.role == "ADMIN"

    @property
    def client_scope(self) -> int | None:
        """The client whose rows this user may see; None sees all, as the shop."""
        return None if self.is_admin else self.client_id


class _Entry(NamedTuple):
    until: float
    user: User


class Users:
    """Looks users up, and keeps what it found for CACHE_SECONDS."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._cache: OrderedDict[Identity, _Entry] = OrderedDict()

    def get(self, identity: Identity, *, fresh: bool = False) -> User:
        """The user of a verified token. Raises Forbidden NO_PROFILE, Unauthorized SESSION_ENDED."""
        now = time.monotonic()
        entry = self._cache.get(identity)
        if entry and entry.until > now and not fresh:
            return entry.user
        self._cache.pop(identity, None)
        user = self._read(identity)
        self._cache[identity] = _Entry(now + CACHE_SECONDS, user)
        while len(self._cache) > CACHE_SIZE:
            self._cache.popitem(last=False)
        return user

    def _read(self, identity: Identity) -> User:
        answer = self._database.call(
            "authenticate",
            p_auth_user_id=str(identity.auth_user_id),
            p_session_id=str(identity.session_id) if identity.session_id else None,
            p_issued_at=identity.issued_at.isoformat(),
        )
        return User.model_validate(answer)

    def forget(self, identity: Identity) -> None:
        """Drop a user whose session ended in this very process."""
        self._cache.pop(identity, None)
