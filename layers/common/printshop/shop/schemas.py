"""The settings as they are written, each value within its bounds, and as they are read."""

import re
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import (
    AfterValidator,
    BeforeValidator,
    EmailStr,
    Field,
    model_validator,
)

from printshop.kernel.abn import Abn
from printshop.kernel.base_model import CamelModel, StrictModel
from printshop.pricing.shipping import ShippingRegion

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _one_line(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("must be one line of text")
    return text


def _time_zone(name: str) -> str:
    """One that Python knows, where it has a list of them; the database knows its own and is asked as well."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        if available_timezones():
            raise ValueError("must be an IANA time zone, such as Australia/Sydney") from error
    return name


def _moment(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("must be the updatedAt that you read")
    return text


def _blank_is_empty(value: object) -> object:
    return "" if isinstance(value, str) and not value.strip() else value


Line = Annotated[str, AfterValidator(_one_line)]
Cents = Annotated[int, Field(ge=0, le=10**10, description="Minor units of the currency, ex tax")]
Bps = Annotated[int, Field(ge=0, le=10_000, description="Basis points: 1000 is 10 %")]
Prefix = Annotated[
    str,
    # A digit at its end would run into the number: INV-1 and 0001 must not read as INV- and 10001.
    Field(
        max_length=12,
        pattern=r"^([A-Za-z0-9._/#-]*[A-Za-z._/#-])?$",
        description="Letters, digits and ._/#-, not ending in a digit. The count goes on whatever it is",
    ),
]
Code = Annotated[str, Field(min_length=1, max_length=20, pattern=r"^[A-Z0-9_-]+$")]


def _unique(field: str, values: Iterable[object]) -> None:
    twice = [str(value) for value, times in Counter(values).items() if times > 1]
    if twice:
        raise ValueError(f"{field} must be unique: {', '.join(twice)}")


class PaymentTerm(StrictModel):
    """How long a client has to pay."""

    code: Annotated[Code, Field(examples=["NET14"])]
    days: Annotated[int, Field(ge=0, le=365, examples=[14])]


class Region(StrictModel):
    """A delivery region, as `shipping.ShippingRegion` reads it. States and prefixes are compared without case."""

    id: Annotated[int, Field(ge=1, le=2**31 - 1)]
    code: Annotated[Line, Field(min_length=1, max_length=40)]
    label: Annotated[Line, Field(min_length=1, max_length=100)]
    states: Annotated[list[Annotated[Line, Field(min_length=1, max_length=40)]], Field(max_length=50)]
    postcode_prefixes: Annotated[
        list[Annotated[str, Field(pattern=r"^[0-9A-Za-z]{1,10}$")]], Field(max_length=1000)
    ]
    base_cents: Cents
    surcharge_cents: Cents
    is_default: bool

    @model_validator(mode="after")
    def _is_a_shipping_region(self) -> Self:
        ShippingRegion.model_validate(self.model_dump())
        return self


class SettingsRequest(StrictModel):
    """All settings: what is sent replaces what was there. What GET answers may be sent back as it is."""

    business_name: Annotated[Line, Field(max_length=200, examples=["3D Print Bureau"])]
    business_address: Annotated[str, Field(max_length=1000, examples=["1 George St, Sydney NSW 2000"])]
    business_phone: Annotated[Line, Field(max_length=50, examples=["02 9000 0000"])]
    business_email: Annotated[
        EmailStr | Literal[""],
        BeforeValidator(_blank_is_empty),
        Field(max_length=254, examples=["shop@example.com"]),
    ]
    abn: Abn | None
    logo_data_url: Annotated[
        str | None,
        Field(max_length=800_000, description="Null removes the logo; else the stored one", examples=[None]),
    ]
    bank_details: Annotated[str, Field(max_length=2000, examples=["BSB 062-000, account 1234 5678"])]
    time_zone: Annotated[
        str, Field(min_length=1, max_length=64, examples=["Australia/Sydney"]), AfterValidator(_time_zone)
    ]
    currency: Annotated[
        str | None,
        Field(pattern=r"^[A-Z]{3}$", description="Null is the deployment's own", examples=["AUD"]),
    ]
    tax_rate_bps: Annotated[Bps, Field(examples=[1000])]
    quote_prefix: Annotated[Prefix, Field(examples=["QT-"])]
    invoice_prefix: Annotated[Prefix, Field(examples=["INV-"])]
    payment_terms: Annotated[
        list[PaymentTerm], Field(min_length=1, max_length=20, examples=[[{"code": "COD", "days": 0}]])
    ]
    default_payment_term: Annotated[Code, Field(examples=["COD"])]
    overdue_grace_days: Annotated[int, Field(ge=0, le=365, examples=[0])]
    quote_validity_days: Annotated[int, Field(ge=1, le=365, examples=[30])]
    hourly_rate_cents: Annotated[Cents, Field(examples=[4500])]
    setup_cents: Annotated[Cents, Field(examples=[2000])]
    minimum_cents: Annotated[Cents, Field(examples=[3500])]
    fast_track_surcharge_bps: Annotated[
        int, Field(ge=0, le=100_000, description="Basis points", examples=[2500])
    ]
    default_material_id: Annotated[int | None, Field(ge=1, le=2**53, examples=[1])]
    shipping_regions: Annotated[
        list[Region],
        Field(
            max_length=100,
            examples=[
                [
                    {
                        "id": 1,
                        "code": "regional",
                        "label": "Regional delivery",
                        "states": [],
                        "postcodePrefixes": [],
                        "baseCents": 2500,
                        "surchargeCents": 0,
                        "isDefault": True,
                    }
                ]
            ],
        ),
    ]
    job_policy: Annotated[Literal["ON_PAYMENT", "ON_INVOICE"], Field(examples=["ON_PAYMENT"])]
    guard_offline_printers: Annotated[bool, Field(examples=[True])]
    guard_maintenance_printers: Annotated[bool, Field(examples=[True])]
    max_active_prints_per_printer: Annotated[int, Field(ge=1, le=100, examples=[1])]
    auto_detach_on_complete: Annotated[bool, Field(examples=[True])]
    archive_jobs_after_days: Annotated[int, Field(ge=1, le=365, examples=[7])]
    use_print_factors: Annotated[
        bool,
        Field(description="Price prints by what real ones took, where enough of them say", examples=[False]),
    ]
    updated_at: Annotated[
        Annotated[str, Field(max_length=40), AfterValidator(_moment)] | None,
        Field(
            description="`updatedAt` of the settings that you changed; a later one refuses the write",
            examples=[None],
        ),
    ] = None

    @model_validator(mode="after")
    def _lists_fit_together(self) -> Self:
        codes = [term.code for term in self.payment_terms]
        _unique("paymentTerms.code", codes)
        if self.default_payment_term not in codes:
            raise ValueError("defaultPaymentTerm must be one of paymentTerms")
        _unique("shippingRegions.id", (region.id for region in self.shipping_regions))
        _unique("shippingRegions.code", (region.code for region in self.shipping_regions))
        if sum(region.is_default for region in self.shipping_regions) > 1:
            raise ValueError("shippingRegions may have one default")
        return self


class StoredPaymentTerm(CamelModel):
    code: str
    days: int


class ShopSettings(CamelModel):
    """The settings. Amounts are minor units of `currency`, ex tax; `currency` null is the deployment's own."""

    business_name: str
    business_address: str
    business_phone: str
    business_email: str
    abn: str | None
    logo_data_url: str | None
    bank_details: str
    time_zone: str
    currency: str | None
    tax_rate_bps: int
    quote_prefix: str
    invoice_prefix: str
    payment_terms: list[StoredPaymentTerm]
    default_payment_term: str
    overdue_grace_days: int
    quote_validity_days: int
    hourly_rate_cents: int
    setup_cents: int
    minimum_cents: int
    fast_track_surcharge_bps: int
    default_material_id: int | None
    shipping_regions: list[ShippingRegion]
    job_policy: Literal["ON_PAYMENT", "ON_INVOICE"]
    guard_offline_printers: bool
    guard_maintenance_printers: bool
    max_active_prints_per_printer: int
    auto_detach_on_complete: bool
    archive_jobs_after_days: int
    use_print_factors: bool
    updated_at: str
