"""Examples of requests and answers, made from a schema: a field's own example, else a value that fits its name."""

from dataclasses import dataclass
from typing import Any

type Schema = dict[str, Any]

_STRINGS = {
    "email": "ada@example.com",
    "name": "Ada Lovelace",
    "clientName": "Ada Lovelace",
    "company": "Analytical Engines",
    "phone": "+61 2 5550 1234",
    "abn": "51824753556",
    "number": "INV-0001",
    "currency": "AUD",
    "filename": "bunny.stl",
    "mimeType": "model/stl",
    "postcode": "2000",
    "state": "NSW",
    "suburb": "Sydney",
    "country": "AU",
    "line1": "1 Macquarie Street",
    "description": "bunny.stl, PLA",
    "shippingLabel": "Metro delivery",
    "reference": "Bank transfer 3 July",
    "message": "Thank you for your order.",
    "timeZone": "Australia/Sydney",
    "settingsHash": "9f2c" * 16,
}
_ENDINGS = (
    ("At", "2026-07-03T09:30:00+00:00"),
    ("Date", "2026-07-03"),
    ("date", "2026-07-03"),
    ("Until", "2026-08-02"),
    ("Url", "https://shop.example.com/signed"),
    ("url", "https://shop.example.com/signed"),
    ("Token", "f3a9c2…"),
    ("Key", "7/5b1e/bunny.stl"),
)
_FORMATS = {
    "date": "2026-07-03",
    "date-time": "2026-07-03T09:30:00+00:00",
    "email": "ada@example.com",
    "uuid": "5b1e7a52-8f0e-4c7c-9d55-0a4e7a1f2b3c",
    "uri": "https://shop.example.com",
    "binary": "…",
}
_NUMBERS = (
    ("subtotalCents", 10000),
    ("taxCents", 1000),
    ("totalCents", 11000),
    ("balanceCents", 11000),
    ("unitPriceCents", 10000),
    ("Cents", 0),
    ("taxRateBps", 1000),
    ("Bps", 0),
    ("Percent", 100),
    ("timeSec", 3120),
    ("massMg", 15400),
    ("Seconds", 120),
    ("sizeBytes", 284184),
    ("quantity", 1),
    ("position", 1),
    ("limit", 50),
)


def sample(schema: Schema, components: dict[str, Schema], *, request: bool = False) -> Any:
    """An instance of the schema. Of a request's optional fields only those with an example of their own."""
    return _Sampler(components, request).of(schema, "", ())


@dataclass(frozen=True)
class _Sampler:
    components: dict[str, Schema]
    request: bool

    def of(self, schema: Schema, name: str, within: tuple[str, ...]) -> Any:
        """`name` is the field's; `within` names the schemas around it, for one may hold itself."""
        if "$ref" in schema:
            target = schema["$ref"].rsplit("/", 1)[-1]
            return None if target in within else self.of(self.components[target], name, (*within, target))
        for key in ("examples", "example", "const", "enum", "default"):
            if key in schema and schema[key] not in (None, [], {}, ""):
                return schema[key][0] if key in {"examples", "enum"} else schema[key]
        if options := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
            return self.of(options[0], name, within)
        return self._by_type(schema, name, within)

    def _by_type(self, schema: Schema, name: str, within: tuple[str, ...]) -> Any:
        found: Any = None
        match schema.get("type"):
            case "object":
                found = {
                    key: self.of(field, key, within)
                    for key, field in schema.get("properties", {}).items()
                    if not self.request or key in schema.get("required", ()) or "examples" in field
                }
            case "array":
                found = [self.of(schema.get("items", {}), name, within)]
            case "string" if name == "number" and "Quote" in "".join(within):
                found = "QT-0001"
            case "string":
                found = _string(schema, name)
            case "integer" | "number":
                found = _number(schema, name)
            case "boolean":
                found = True
        return found


def _string(schema: Schema, name: str) -> str:
    text = _STRINGS.get(name) or _FORMATS.get(schema.get("format", ""))
    text = text or next((given for ending, given in _ENDINGS if name.endswith(ending)), "text")
    return text.ljust(schema.get("minLength", 0), "x")[: schema.get("maxLength")]


def _number(schema: Schema, name: str) -> float:
    number = next((given for ending, given in _NUMBERS if name.endswith(ending)), 12)
    lowest = schema.get("minimum", schema.get("exclusiveMinimum", number - 1) + 1)
    found = min(max(number, lowest), schema.get("maximum", number + lowest))
    return int(found) if found == int(found) else found
