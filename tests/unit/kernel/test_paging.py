"""Cursors: what was encoded comes back, everything else is refused."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from printshop.kernel.errors import BadRequest
from printshop.kernel.paging import decode_cursor, encode_cursor


@given(st.text(max_size=60), st.integers(-(10**18), 10**18))
def test_a_cursor_brings_back_the_place_it_was_made_of(text: str, number: int) -> None:
    cursor = encode_cursor(text, number)
    assert decode_cursor(cursor, (str, int)) == (text, number)
    assert set(cursor) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_no_cursor_is_the_first_page() -> None:
    assert decode_cursor(None, (str, int)) == (None, None)


def packed(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "%%%",
        "not a cursor",
        "ä",
        "AAAA",
        base64.urlsafe_b64encode(b"\xff\xfe").decode(),
        packed({"id": 1}),
        packed("text"),
        packed(["only one"]),
        packed(["2026-01-01", 1, 2]),
        packed([1, "2026-01-01"]),
        packed(["2026-01-01", True]),
        packed(["2026-01-01", 1.5]),
        packed([None, None]),
        packed([["2026-01-01"], 1]),
    ],
)
def test_anything_else_is_refused(cursor: str) -> None:
    with pytest.raises(BadRequest) as refused:
        decode_cursor(cursor, (str, int))
    assert refused.value.code == "CURSOR_INVALID"


@given(st.text(max_size=100))
def test_no_text_breaks_the_reader(cursor: str) -> None:
    try:
        place = decode_cursor(cursor, (str, int))
    except BadRequest as refused:
        assert refused.code == "CURSOR_INVALID"
    else:
        assert [type(part) for part in place] == [str, int]
