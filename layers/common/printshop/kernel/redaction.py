"""Masks secrets and personal data before they are logged: by the name of their field, and by their form in any text.

Secrets (passwords, tokens, keys, cookies, signatures), links that open something to whoever holds them, and persons
(names, companies, phones, addresses; of an e-mail the first letter and the host stay), also percent-encoded. No rule
can tell a person's name in the middle of a sentence: a log line gives the id instead.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

MASK = "[redacted]"
DEPTH = 12
"""Levels of nesting; deeper data is left out, so that a circular reference cannot hang the log."""

ENCODINGS = 3
"""How often a text may be percent-encoded: a link in a link's parameter, once more in a log of it."""

_WORD = re.compile(r"\S+")
_WORDS = (
    r"(?:pass[_-]?(?:word|code|phrase)|passwd|secret|token|authorization|cookie|api[_-]?key|signature|private"
    r"|credential|idempotency[_-]?key)"
)
_PERSON = (
    r"(?:(?:(?:client|customer|contact|first|last|full|given|family|company|business|billing|shipping|recipient"
    r"|holder|user|display)[_-]?)?name|company|recipient|contact|attention|phone(?:[_-]?number)?|mobile|fax"
    r"|(?:(?:billing|shipping|street|postal|home|source|ip)[_-]?)?address|(?:address[_-]?)?line[_-]?[123]|street"
    r"|suburb|city|post[_-]?code|postal[_-]?code|zip(?:[_-]?code)?|abn|tax[_-]?id|source[_-]?ip)"
)
_HIDING_NAME = re.compile(_WORDS, re.I)
_PERSON_NAME = re.compile(_PERSON, re.I)

_QUOTED = r"(?P<quote>\\*[\"'])(?:(?!(?P=quote))(?:\\.|[^\\]))*(?:(?P=quote))?"
"""A text in quotes, which may be escaped themselves, to its end or to the end of all."""
_END_OF_NAME = r"\\*[\"']\s*:\s*b?"

# No pattern looks ahead or back without a bound from every place: a long line stays cheap.
_RULES: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = tuple(
    (re.compile(pattern, flags | re.S), shown)
    for pattern, flags, shown in (
        # {"password": "…"}, {'refreshToken': '…'}, {\"client_secret\": \"…\"}, {"pin_code_token": 123}
        (rf"({_WORDS}[\w-]{{0,40}}{_END_OF_NAME})(?!\[red)(?:{_QUOTED}|[^\s,}}\]\"']+)", re.I, rf"\1{MASK}"),
        (rf"((?<![a-z0-9]){_PERSON}{_END_OF_NAME}){_QUOTED}", re.I, rf"\1{MASK}"),
        # What models and calls show of themselves: password='…', name='…'; ?token=…&, sb:token=…;
        (rf"({_WORDS}[\w-]{{0,40}}(?:=|%3D))(?!\[red)(?:{_QUOTED}|[^\s&;,\"')\]}}]+)", re.I, rf"\1{MASK}"),
        (rf"((?<![a-z0-9]){_PERSON}=){_QUOTED}", re.I, rf"\1{MASK}"),
        (r"input_value=.*?(?=, input_type=|$)", 0, f"input_value={MASK}"),
        # A header's line, to its end
        (
            r"((?:authorization|cookie|stripe-signature|idempotency-key|api-?key)[ \t]*:(?!\s*\[red)[ \t]*)[^\r\n]+",
            re.I,
            rf"\1{MASK}",
        ),
        (r"(\bbearer\s+)(?!\[red)[^\s\"',;]+", re.I, rf"\1{MASK}"),
        (r"(\bBasic\s+)[A-Za-z0-9+/]{8,}=*", 0, rf"\1{MASK}"),
        # A JWT, or the beginning of one, also in base64 once more
        (r"(?:eyJ|ZXlK)[\w+/=-]{8,}(?:(?:\.|%2E)[\w+/=-]*)*", 0, MASK),
        # Stripe's and Supabase's keys; a Stripe object's client secret
        (r"(?<![A-Za-z0-9])(?:(?:sk|rk|ek)_(?:live|test)_|whsec_|sb_secret_)[\w+/=]+", 0, MASK),
        (r"\b\w*_secret_\w+", 0, MASK),
        # Whoever holds the link may pay or decide
        (
            r"((?:/|%2F)(?:api(?:/|%2F)pay|public(?:/|%2F)quotes|c(?:/|%2F)pay)(?:/|%2F))[\w%#~.-]+",
            re.I,
            rf"\1{MASK}",
        ),
        (r"(\b(?:checkout|billing|invoice|pay|files)\.stripe\.com(?:/|%2F))[^\s\"'<>]+", re.I, rf"\1{MASK}"),
        # What PostgreSQL quotes of a row
        (r"(Key \([^)]{0,200}\)=)\(.*?\)(?= already| is not| conflicts|$)", 0, rf"\1({MASK})"),
        (r"(Failing row contains )\([^\r\n]*", 0, rf"\1({MASK})"),
        (r"(invalid input (?:syntax|value) for [\w ]{1,60}: )\\*\".*?\"", 0, rf"\1{MASK}"),
        # Persons
        (r"\b([\w])(?:[\w.+'-]|%(?!40)[0-9A-Fa-f]{2}){0,64}(?:@|%40)([\w-]+\.[\w.-]+)", 0, r"\1***@\2"),
        (r"(?<![\w.:+-])(?:\+|%2B)[1-9]\d?[\d ().-]{6,16}\d(?![\w:])", 0, MASK),
        (r"(?<![\w.:/-])\(?0[2-478]\)?(?:[ -]?\d){8}(?![\w:-])", 0, MASK),
    )
)


def redact(value: Any, name: str = "", depth: int = 0) -> Any:
    """`value` with everything secret or personal masked, as plain data. `name` is the field it stands under."""
    if _hides(name) and value is not None:
        return MASK
    return _masked(value, depth + 1) if depth <= DEPTH else "…"


def _masked(value: Any, depth: int) -> Any:
    shown: Any
    match value:
        case None | bool() | int() | float():
            shown = value
        case bytes() | bytearray() | memoryview():
            shown = f"<{len(value)} bytes>"
        case Mapping():
            shown = {_text(str(key)): redact(inner, str(key), depth) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            shown = _series(list(value), depth)
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            shown = _masked(
                {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}, depth
            )
        case _ if hasattr(value, "model_dump"):
            shown = _masked(value.model_dump(), depth)
        case _:
            shown = _text(str(value))
    return shown


def _hides(name: str) -> bool:
    return bool(name) and bool(_HIDING_NAME.search(name) or _PERSON_NAME.fullmatch(name))


def _series(values: list[Any], depth: int) -> list[Any]:
    """A list; one of two, whose first is a name, may be a header with its value."""
    match values:
        case [str() | bytes() as first, second]:
            name = first if isinstance(first, str) else first.decode("latin-1")
            return [redact(first, depth=depth), redact(second, name, depth)]
        case _:
            return [redact(inner, depth=depth) for inner in values]


def _text(text: str) -> str:
    masked = _by_rules(text)
    return _WORD.sub(_masked_encoded, masked) if "%" in masked else masked


def _by_rules(text: str) -> str:
    for pattern, shown in _RULES:
        text = pattern.sub(shown, text)
    return text


def _masked_encoded(match: re.Match[str]) -> str:
    """A word that hides something behind percent-encoding, decoded and masked; any other word as it is."""
    word = decoded = match.group()
    for _ in range(ENCODINGS):
        encoded, decoded = decoded, unquote(decoded)
        if decoded == encoded:
            break
        masked = _by_rules(decoded)
        if masked != decoded:
            return masked
    return word
