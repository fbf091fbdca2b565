"""Passwords as the login service hashes them: taken literally, and at most 72 bytes, for bcrypt reads no more."""

import secrets
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

MAX_BYTES = 72


def _hashable(password: str) -> str:
    if len(password.encode()) > MAX_BYTES:
        raise ValueError("a password has at most 72 bytes of UTF-8; letters beyond ASCII take 2 to 4")
    return password


# A blank at either end is part of a password.
KnownPassword = Annotated[
    str,
    StringConstraints(strip_whitespace=False, min_length=1, max_length=MAX_BYTES),
    AfterValidator(_hashable),
]
Password = Annotated[
    str,
    StringConstraints(strip_whitespace=False, min_length=8, max_length=MAX_BYTES),
    AfterValidator(_hashable),
]
"""A new one."""


def one_time_password() -> str:
    """96 random bits, with every kind of character that a project may ask for."""
    return f"{secrets.token_urlsafe(12)}-Aa1"
