"""The user behind a token: id, role and client in one cached query."""

import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple
from uuid import UUID

from printshop.accounts.tokens import Identity
from printshop.adapters.database import Database
from printshop.kernel.base_model import CamelModel
from printshop.pricing.price_book import PriceBook

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
    def reads_as(self) -> int | None:
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
        user = User.model_validate(self._ask(identity))
        self._cache[identity] = _Entry(now + CACHE_SECONDS, user)
        while len(self._cache) > CACHE_SIZE:
            self._cache.popitem(last=False)
        return user

    def _ask(
        self,
        identity: Identity,
        *,
        pricing: Sequence[dict[str, str]] | None = None,
        slicing: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        answer: dict[str, Any] = self._database.call(
            "get_request_context",
            p_auth_user_id=str(identity.auth_user_id),
            p_session_id=str(identity.session_id) if identity.session_id else None,
            p_issued_at=identity.issued_at.isoformat(),
            p_pricing=pricing,
            p_slicing=slicing,
        )
        return answer

    def get_with_price_book(
        self, identity: Identity, slices: Sequence[dict[str, str]]
    ) -> tuple[User, PriceBook | None]:
        """The user, and for an admin the price book with these slices, in the one look-up. Never cached."""
        answer = self._ask(identity, pricing=slices)
        book = answer.pop("priceBook", None)
        return User.model_validate(answer), PriceBook.model_validate(book) if book else None

    def get_with_slicing(self, identity: Identity, named: dict[str, Any]) -> tuple[User, dict[str, Any]]:
        """The user, and what decides the slice that he names ({file, materialId, printerId}), as JSON, in the one
        look-up. Never cached."""
        answer = self._ask(identity, slicing=named)
        context = answer.pop("slicing")
        return User.model_validate(answer), context

    def forget(self, identity: Identity) -> None:
        """Drop a user whose session ended in this very process."""
        self._cache.pop(identity, None)
