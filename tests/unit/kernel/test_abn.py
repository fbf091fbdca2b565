"""An ABN checks itself, by the tax office's rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from printshop.kernel.abn import checked_abn

# The tax office's own, Telstra's and the example of the Business Register.
REAL = ["51824753556", "33051775556", "53004085616"]


@pytest.mark.parametrize("number", REAL)
def test_a_real_abn_passes(number: str) -> None:
    assert checked_abn(number) == number


def test_blanks_between_the_digits_are_dropped() -> None:
    assert checked_abn(" 51 824 753 556 ") == "51824753556"


@given(st.sampled_from(REAL), st.integers(0, 10), st.integers(1, 9))
def test_any_one_mistyped_digit_is_found(number: str, place: int, change: int) -> None:
    digits = list(number)
    digits[place] = str((int(digits[place]) + change) % 10)
    with pytest.raises(ValueError, match="check digits"):
        checked_abn("".join(digits))


@pytest.mark.parametrize(
    "text", ["", "5182475355", "518247535561", "5182475355x", "５１８２４７５３５５６", "-1824753556"]
)
def test_what_is_not_eleven_digits_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="11 digits"):
        checked_abn(text)
