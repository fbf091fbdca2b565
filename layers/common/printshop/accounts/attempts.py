"""How often somebody may guess a password or have mails sent.

Supabase Auth limits by address, and sees only ours; so we count ourselves, before each attempt, in one request to the
database. Neither an address nor an e-mail is kept: a subject is an HMAC, under the project's secret key.
"""

import hashlib
import hmac
import ipaddress
import unicodedata
from dataclasses import dataclass, replace
from typing import NamedTuple

from printshop.adapters.database import Database
from printshop.config.settings import Settings


class Limit(NamedTuple):
    """So many attempts at once, and one more each time that `seconds` have passed."""

    attempts: int
    seconds: int


PASSWORDS = Limit(10, 900)
"""Wrong passwords of one account: from the tenth on with pauses of 30 s, 1 min … 15 min, which is 96 a day."""
GUESSES = Limit(100, 9)
"""Wrong passwords and recovery links from one source: 100 in a quarter of an hour."""
MAILS = Limit(5, 900)
"""Mails that strangers may have sent to one address."""
MAILINGS = Limit(30, 30)
"""Mails and sign-ups that one source may ask for."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What an attempt was counted under: two hashes, None where it was not."""

    account: str | None
    source: str | None

    def for_database(self) -> dict[str, str | None]:
        return {"account": self.account, "source": self.source}


class Attempts:
    """Counts attempts. A method raises TooManyRequests TOO_MANY_ATTEMPTS, alike for known and unknown addresses.

    `source` is the caller's network address as the gateway saw it; None, or a shop behind a proxy
    (LIMIT_BY_SOURCE=0), counts by account alone.
    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self._key = settings.service_key.encode()
        self._by_source = settings.limit_by_source
        self._database = database

    def password(self, email: str, source: str | None) -> Attempt:
        """Before a password is tried. The answer goes to the function that opens the account, which forgives it."""
        return self._count(("password", email, PASSWORDS), ("guess", source, GUESSES))

    def recovery(self, source: str | None) -> Attempt:
        """Before a recovery link is tried: whose it is shows only then (see `of`)."""
        return self._count(None, ("guess", source, GUESSES))

    def mail(self, email: str, source: str | None) -> None:
        """Before a mail is sent to whoever owns the address. Never forgiven."""
        self._count(("mail", email, MAILS), ("mailing", source, MAILINGS))

    def of(self, attempt: Attempt, email: str) -> Attempt:
        """The attempt, now that it has shown whose account it opens."""
        return replace(attempt, account=self._subject("password", _normal(email)))

    def _count(
        self, account: tuple[str, str, Limit] | None, source: tuple[str, str | None, Limit]
    ) -> Attempt:
        limits: dict[str, Limit] = {}
        counted = Attempt(None, None)
        if account:
            kind, email, limit = account
            subject = self._subject(kind, _normal(email))
            limits[subject] = limit
            counted = replace(counted, account=subject)
        kind, address, limit = source
        if address and self._by_source:
            subject = self._subject(kind, _network(address))
            limits[subject] = limit
            counted = replace(counted, source=subject)
        if limits:
            subjects = [{"subject": subject, **limit._asdict()} for subject, limit in limits.items()]
            self._database.call("count_attempt", p_subjects=subjects)
        return counted

    def _subject(self, kind: str, name: str) -> str:
        return hmac.new(self._key, f"{kind}:{name}".encode(), hashlib.sha256).hexdigest()


def _normal(email: str) -> str:
    """One name for all spellings that may reach one mailbox: the login service ignores case."""
    return unicodedata.normalize("NFKC", email.strip()).casefold()


def _network(address: str) -> str:
    """The address; of IPv6 its /64, which one customer holds whole."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 4:
        return str(found)
    return str(found.ipv4_mapped or ipaddress.ip_network((found, 64), strict=False))
