"""E-mail addresses as a message and SES take them: ASCII throughout, international domains in their ASCII form."""

import re
from email.headerregistry import Address
from typing import Final

_LOCAL: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_DOMAIN: Final = re.compile(
    r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}", re.IGNORECASE
)
_NAMED: Final = re.compile(r'\s*"?(?P<name>[^<>]*?)"?\s*<(?P<address>[^<>]+)>\s*')


class AddressRefused(ValueError):
    """The text is no address that mail can be sent to; the message says what to do."""


def mailbox(text: str, name: str = "") -> Address:
    """An address, with a name beside it. Raises AddressRefused."""
    local, _, domain = text.strip().rpartition("@")
    try:
        domain = domain.encode("idna").decode()
    except UnicodeError:
        domain = ""
    if len(local) > 64 or not _LOCAL.fullmatch(local) or not _DOMAIN.fullmatch(domain):
        raise AddressRefused(
            f"{text.strip()[:254]!r} is no e-mail address that can be written to; correct it."
        )
    return Address(one_line(name), local, domain)


def named_mailbox(text: str) -> Address:
    """`Name <address>` or the address alone. Raises AddressRefused."""
    named = _NAMED.fullmatch(text)
    return mailbox(named["address"], named["name"]) if named else mailbox(text)


def one_line(text: str) -> str:
    """The text without line ends and control characters, as a header takes it."""
    printable = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(printable.split())
