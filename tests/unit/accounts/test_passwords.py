"""A password is taken as it is typed, and never longer than its hash reads."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from printshop.accounts.passwords import KnownPassword, Password, one_time_password
from printshop.kernel.base_model import StrictModel


class Body(StrictModel):
    name: str = ""
    password: Password


@pytest.mark.parametrize("password", ["a" * 8, "a" * 72, "ä" * 36, "😀" * 18, "  blanks  ", " " * 8])
def test_up_to_72_bytes_are_a_password_blanks_and_all(password: str) -> None:
    assert Body(password=password, name=" Ada ").password == password


@pytest.mark.parametrize("password", ["a" * 7, "a" * 73, "ä" * 37, "😀" * 19, "a" * 71 + "ä"])
def test_fewer_than_8_characters_and_more_than_72_bytes_are_refused(password: str) -> None:
    with pytest.raises(ValidationError):
        Body(password=password)


@pytest.mark.parametrize(("password", "accepted"), [("x", True), ("", False), ("ä" * 37, False)])
def test_a_known_password_may_be_short(password: str, accepted: bool) -> None:
    known: TypeAdapter[Any] = TypeAdapter(KnownPassword)
    try:
        assert known.validate_python(password) == password
    except ValidationError:
        assert not accepted
    else:
        assert accepted


def test_one_time_passwords_differ_and_hold_every_kind_of_character() -> None:
    made = {one_time_password() for _ in range(100)}
    assert len(made) == 100
    for password in made:
        kinds = (str.islower, str.isupper, str.isdigit, lambda letter: not letter.isalnum())
        assert all(any(kind(letter) for letter in password) for kind in kinds)
        assert Body(password=password).password == password
