"""What the log masks, attacked: any secret, in any text around it, at any depth, under any name."""

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr, TypeAdapter, ValidationError

from printshop.kernel.redaction import MASK, redact

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
OPAQUE = st.text(LETTERS, min_size=20, max_size=60)
"""What no rule knows by its look: a refresh token, a password, a link's token."""
TYPED = st.text(
    st.characters(categories=["L", "N", "P", "S"], exclude_characters="\"'\\"), min_size=12, max_size=40
)
"""A password as people make them, without quotes and blanks."""
SECRET_FIELDS = st.sampled_from(
    ["password", "newPassword", "PASSWORD", "access_token", "refreshToken", "Authorization", "cookie", "Set-Cookie",
     "apikey", "x-api-key", "Stripe-Signature", "client_secret", "payToken", "token_hash", "Idempotency-Key",
     "idempotencyKey", "private_key", "X-Amz-Credential", "x-amz-security-token", "oneTimePassword"]
)  # fmt: skip
PERSON_FIELDS = st.sampled_from(
    ["name", "clientName", "client_name", "full-name", "company", "phone", "phoneNumber", "mobile", "address",
     "shippingAddress", "line1", "street", "suburb", "postcode", "recipient", "abn"]
)  # fmt: skip


def jwt_of(parts: tuple[str, str, str]) -> str:
    return f"eyJ{parts[0]}.eyJ{parts[1]}.{parts[2]}"


JWT = st.tuples(OPAQUE, OPAQUE, OPAQUE).map(jwt_of)
KEY = st.tuples(
    st.sampled_from(
        ["sk_live_", "sk_test_", "rk_live_", "whsec_", "sb_secret_", "pi_3Abc_secret_", "cs_test_a1_secret_"]
    ),
    OPAQUE,
).map("".join)
ADDRESS = st.tuples(
    st.text("abcdefghijklmnopqrstuvwxyz.+-'", min_size=3, max_size=30).map(lambda text: f"j{text}x"),
    st.sampled_from(["example.com", "mail.example.com.au"]),
).map("@".join)
PHONE = st.sampled_from(
    [
        "+61 2 5550 1234",
        "+61-491-570-006",
        "+1 (555) 010-9999",
        "0491 570 006",
        "0491570006",
        "(02) 5550 1234",
    ]
)

LOOKS: list[tuple[st.SearchStrategy[str], list[Callable[[str], str]]]] = [
    (
        st.one_of(JWT, KEY),
        [
            lambda s: s,
            lambda s: f"refused {s} of user 7",
            lambda s: f"Bearer {s}",
            lambda s: json.dumps({"note": f"saw {s}"}),
            lambda s: json.dumps(json.dumps({"note": s})),
            lambda s: repr({"seen": s}),
            lambda s: f"https://h/path?x={quote(s, safe='')}&y=1",
            lambda s: f"https://h/#{s}",
            lambda s: f"line one\nline two {s}\n  File \"app.py\", line 3",
        ],
    ),
    (JWT, [lambda s: s.replace(".", "%2E"), lambda s: s.rpartition(".")[0], lambda s: s.split(".", maxsplit=1)[0]]),
    (
        OPAQUE,
        [
            lambda s: f"https://shop.example/api/pay/{s}",
            lambda s: f"GET /api/pay/{s}?from=mail 404",
            lambda s: quote(f"https://shop.example/api/pay/{s}", safe=""),
            lambda s: f"/api/public/quotes/{s}/accept",
            lambda s: quote(f"https://shop.example/api/public/quotes/{s}", safe=""),
            lambda s: f"https://checkout.stripe.com/c/pay/cs_live_{s}#fid{s}",
            lambda s: f"https://billing.stripe.com/p/session/{s}",
            lambda s: f"https://h/object/sign/tmp/1/a.stl?token={s}",
            lambda s: f"https://h/object/upload/sign/tmp/1/a.stl?x=1&token={s}&y=2",
            lambda s: f"https://h/verify?type=recovery&token_hash={s}",
            lambda s: f"https://b.s3.amazonaws.com/k?X-Amz-Signature={s}&X-Amz-Security-Token={s}",
            lambda s: f"https://app/cb#access_token={s}&refresh_token={s}",
            lambda s: f"Cookie: sb:token={s}; sb:refresh-token={s}",
            lambda s: f"cOOKIE: a={s}; theme=dark",
            lambda s: f"SET-COOKIE: sb:refresh-token={s}; HttpOnly; Path=/api/auth",
            lambda s: f"sb%3Atoken%3D{s}",
            lambda s: f"authorization: Basic {s}",
            lambda s: f"Authorization:Bearer {s}",
            lambda s: f"idempotency-key: {s}",
            lambda s: f"Stripe-Signature: t=1783071000,v1={s}",
            lambda s: f"BEARER {s}",
            lambda s: f"sent Basic {s} to it",
        ],
    ),
    (
        TYPED,
        [
            lambda s: repr({"password": s}),
            lambda s: json.dumps({"newPassword": s}, ensure_ascii=False),
            lambda s: f"LogIn(email=None, password='{s}')",
            lambda s: f"body {json.dumps({'refresh_token': s, 'x': 1}, ensure_ascii=False)} refused",
            lambda s: str({"Idempotency-Key": s, "accept": "*/*"}),
        ],
    ),
    (
        ADDRESS,
        [
            lambda s: s,
            lambda s: f"to {s} now",
            lambda s: f"<{s}>",
            lambda s: f"mailto:{s}",
            lambda s: f"https://h/?email={quote(s)}&x=1",
            lambda s: f"https://h/?next={quote(f'/invite?email={quote(s)}', safe='')}&x=1",
            lambda s: quote(json.dumps({"to": s}), safe=""),
            lambda s: f"Key (email)=({s}) already exists.",
            lambda s: repr({"to": [s]}),
        ],
    ),
    (PHONE, [lambda s: s, lambda s: f"call {s} today", lambda s: f"('{s}',)", lambda s: f"phone: {s}."]),
]  # fmt: skip


WAYS = [(secrets, way) for secrets, ways in LOOKS for way in ways]


@st.composite
def texts(draw: st.DrawFn) -> tuple[str, str]:
    """A text, and the secret in it."""
    secrets, way = draw(st.sampled_from(WAYS))
    secret = draw(secrets)
    return way(secret), secret


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The same, at some depth, among other things."""
    others = st.one_of(st.none(), st.integers(), st.booleans(), st.just("INV-0001"))
    return st.recursive(
        inner,
        lambda deeper: st.one_of(
            st.tuples(others, deeper, others).map(list),
            st.tuples(deeper, others).map(lambda pair: {"outer": pair[0], "n": pair[1]}),
            st.tuples(others, others, deeper),
            deeper.map(lambda value: {"data": {"request": value}}),
        ),
        max_leaves=3,
    )


def leaks(data: Any, secret: str) -> bool:
    """Whether the line that is written shows the secret, or the better part of it."""
    line = json.dumps(redact(data), ensure_ascii=False, default=str)
    shown = {secret, quote(secret, safe=""), quote(secret), json.dumps(secret)[1:-1]}
    return any(text in line for text in shown) or secret[2 : 2 + max(10, len(secret) // 2)] in line


def assert_masked(found: tuple[Any, str]) -> None:
    data, secret = found
    assert not leaks(data, secret), redact(data)


ANY_TEXT = texts().flatmap(lambda pair: st.tuples(nested(st.just(pair[0])), st.just(pair[1])))


def test_a_secret_in_a_text_at_any_depth_is_not_written() -> None:
    settings(max_examples=250, deadline=None)(given(ANY_TEXT)(assert_masked))()


@pytest.mark.full
def test_a_secret_in_a_text_at_any_depth_is_not_written_in_ten_thousand_cases() -> None:
    settings(max_examples=10_000, deadline=None)(given(ANY_TEXT)(assert_masked))()


@pytest.mark.parametrize("number", range(len(WAYS)))
def test_each_way_to_write_a_secret_is_masked(number: int) -> None:
    secrets, way = WAYS[number]

    @settings(max_examples=5, deadline=None)
    @given(secrets)
    def written(secret: str) -> None:
        assert_masked((way(secret), secret))

    written()


@settings(max_examples=120, deadline=None)
@given(
    st.tuples(st.one_of(SECRET_FIELDS, PERSON_FIELDS), st.text(min_size=12)).flatmap(
        lambda pair: st.tuples(
            nested(
                st.sampled_from(
                    [{pair[0]: pair[1]}, {pair[0]: [pair[1]]}, {pair[0]: {"value": pair[1]}}, [pair[0], pair[1]],
                     [(pair[0], pair[1])], [(pair[0].encode(), pair[1])]]
                )
            ),
            st.just(pair[1]),
        )
    )
)  # fmt: skip
def test_whatever_stands_under_a_telling_name_is_not_written(found: tuple[Any, str]) -> None:
    data, secret = found
    shown = redact(data)
    assert MASK in json.dumps(shown)
    assert secret not in _texts(shown)


def _texts(value: Any) -> list[str]:
    match value:
        case dict():
            return [text for pair in value.items() for each in pair for text in _texts(each)]
        case list():
            return [text for each in value for text in _texts(each)]
        case str():
            return [value]
        case _:
            return []


PLAIN = st.one_of(
    st.uuids().map(str),
    st.integers(min_value=0, max_value=2**53).map(lambda n: f"invoice {n} of client {n % 7}"),
    st.datetimes().map(lambda at: f"{at.isoformat()}+00:00"),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda x: f"{x} g in 02:10:00, 1h 23m 45s"),
    st.binary(min_size=32, max_size=32).map(lambda digest: f"sha256:{digest.hex()}"),
    st.uuids().map(lambda key: f"7/{key}/bunny v2 (final).stl"),
    st.sampled_from(
        [
            "NO_TOKEN: Log in first: send the sb:token cookie or a bearer's header.",
            "PrusaSlicer 2.5.0+UNKNOWN on 127.0.0.1:5432 took 0.31 s, 10.0.0.1 at 12:34:56,789+0000",
            "checkout.session.completed: APPLIED cs_test_a1B2c3 pi_3Abc evt_1Abc",
            "GET /api/quotes/12 200, POST /api/invoices/{id}/stripe-session 503",
            "column token of relation quotes does not exist; secretary, passport, named, cityscape",
            "0012345678, 20260102030405, 0.0491570006, 1-0491570006",
            "https://project.supabase.co/rest/v1/rpc/open_account",
        ]
    ),
)


@settings(max_examples=120, deadline=None)
@given(nested(PLAIN))
def test_what_is_no_secret_is_written_as_it_is(data: Any) -> None:
    assert json.dumps(redact(data)) == json.dumps(data)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "https://h/?email=jaaaaaaaaaaaaaaaa%2Bx%40example.com&x=1",
            "https://h/?email=j***@example.com&x=1",
        ),
        ("to j%6Fe.smith%2540example.com", "to j***@example.com"),
        ("%22password%22%3A%22hunter%2022%22", f'"password":{MASK}'),
        ("next=%2Fapi%2Fpay%2Fabcdef%3Fx", f"next=%2Fapi%2Fpay%2F{MASK}"),
        ("%61pikey%3Dabcdef", f"apikey={MASK}"),
        ("100%25 of bunny%20v2.stl", "100%25 of bunny%20v2.stl"),
    ],
)
def test_what_is_percent_encoded_is_masked_as_well(text: str, shown: str) -> None:
    assert redact(text) == shown


def test_a_token_in_base64_is_masked_too() -> None:
    token = base64.b64encode(jwt_of(("a" * 20, "b" * 20, "c" * 20)).encode()).decode()
    assert redact(f"got {token} as it is") == f"got {MASK} as it is"


def test_names_of_fields_can_be_secret_too() -> None:
    assert redact({"joe.smith@example.com": 1, f"/api/pay/{'a' * 40}": 2}) == {
        "j***@example.com": 1,
        f"/api/pay/{MASK}": 2,
    }


def test_models_dataclasses_and_buffers_are_looked_into() -> None:
    @dataclass
    class Letter:
        recipient: str
        text: str

    class Form(BaseModel):
        password: str
        other: SecretStr

    assert redact(Letter("Joe Smith", "to joe@example.com")) == {
        "recipient": MASK,
        "text": "to j***@example.com",
    }
    assert redact([Form(password="hunter22", other=SecretStr("hunter33"))]) == [
        {"password": MASK, "other": "**********"}
    ]
    assert redact({"a": bytearray(b"secret"), "b": memoryview(b"secret")}) == {
        "a": "<6 bytes>",
        "b": "<6 bytes>",
    }


def test_what_a_validation_quotes_is_masked() -> None:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(dict[str, int]).validate_python({"password": "hunter 2, input", "phone": "Joe's own"})
    assert "hunter" in str(refused.value)
    assert "hunter" not in redact(str(refused.value))
    assert "Joe" not in redact(str(refused.value))


@pytest.mark.parametrize(
    "text",
    [
        "Failing row contains (7, Joe Smith, 1 Main Street, null).",
        "duplicate key: Key (name, company)=(Joe Smith, Smith & Sons (Pty)) already exists.",
        'invalid input syntax for type bigint: "Joe Smith"',
        "{'message': 'violates check', 'details': 'Failing row contains (7, Joe Smith, x).', 'code': '23514'}",
        "Client(id=7, name='Joe Smith', company=\"Joe Smith's\")",
        '{"clientName": "Joe Smith", "address": "1 Main Street\\nJoe Smith"}',
        "p_name => x {'p': {'name': 'Joe Smith', 'contact': 'Joe Smith'}}",
    ],
)
def test_a_person_in_what_a_database_or_a_model_says_is_masked(text: str) -> None:
    assert re.search(r"Joe|Smith|Main", redact(text)) is None, redact(text)


def test_a_ring_of_references_ends() -> None:
    ring: dict[str, Any] = {"id": 7}
    ring["again"] = ring
    assert json.dumps(redact(ring)).count('"id": 7') > 3


def test_masking_twice_changes_nothing_more() -> None:
    once = redact("Cookie: a=b\nBearer abc?token=x joe@example.com sk_live_abc /api/pay/x {'password': 'x'}")
    assert redact(once) == once
