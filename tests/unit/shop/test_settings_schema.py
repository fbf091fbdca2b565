"""The settings that may be written: each bound, each list, and everything every time."""

from typing import Any

import pytest
from pydantic import ValidationError

from printshop.shop.schemas import SettingsRequest

REGION = {
    "id": 1,
    "code": "a",
    "label": "A",
    "states": ["NSW"],
    "postcodePrefixes": ["20"],
    "baseCents": 1,
    "surchargeCents": 0,
    "isDefault": True,
}
SETTINGS: dict[str, Any] = {
    "businessName": "3D Print Bureau",
    "businessAddress": "1 George St\nSydney",
    "businessPhone": "",
    "businessEmail": "",
    "abn": None,
    "logoDataUrl": None,
    "bankDetails": "",
    "timeZone": "Australia/Sydney",
    "currency": None,
    "taxRateBps": 1000,
    "quotePrefix": "QT-",
    "invoicePrefix": "INV-",
    "paymentTerms": [{"code": "COD", "days": 0}],
    "defaultPaymentTerm": "COD",
    "overdueGraceDays": 0,
    "quoteValidityDays": 30,
    "hourlyRateCents": 4500,
    "setupCents": 2000,
    "minimumCents": 3500,
    "fastTrackSurchargeBps": 0,
    "defaultMaterialId": 1,
    "shippingRegions": [REGION],
    "jobPolicy": "ON_PAYMENT",
    "guardOfflinePrinters": True,
    "guardMaintenancePrinters": True,
    "maxActivePrintsPerPrinter": 1,
    "autoDetachOnComplete": True,
    "archiveJobsAfterDays": 7,
    "usePrintFactors": False,
}


def test_the_seeds_settings_are_accepted_as_they_are() -> None:
    request = SettingsRequest.model_validate(SETTINGS)
    assert request.model_dump(by_alias=True, exclude={"updated_at"}) == SETTINGS


@pytest.mark.parametrize("name", SETTINGS)
def test_no_setting_may_be_left_out(name: str) -> None:
    part = {key: value for key, value in SETTINGS.items() if key != name}
    with pytest.raises(ValidationError):
        SettingsRequest.model_validate(part)


@pytest.mark.parametrize(
    "change",
    [
        {"abn": "51824753557"},
        {"abn": "5182475355"},
        {"timeZone": "Mars/Olympus"},
        {"timeZone": "../etc/passwd"},
        {"timeZone": "UTC+3"},
        {"currency": "aud"},
        {"currency": "AU"},
        {"taxRateBps": 10_001},
        {"taxRateBps": -1},
        {"taxRateBps": "1000"},
        {"quotePrefix": "Q1"},
        {"invoicePrefix": "INVOICE-NUMBER-"},
        {"invoicePrefix": "I\nV"},
        {"paymentTerms": []},
        {"paymentTerms": [{"code": "COD", "days": 0}, {"code": "COD", "days": 1}]},
        {"paymentTerms": [{"code": "COD", "days": 366}]},
        {"defaultPaymentTerm": "NET90"},
        {"overdueGraceDays": 366},
        {"quoteValidityDays": 0},
        {"hourlyRateCents": -1},
        {"hourlyRateCents": 10**11},
        {"minimumCents": 0.5},
        {"fastTrackSurchargeBps": 100_001},
        {"defaultMaterialId": 2**53 + 1},
        {"shippingRegions": [REGION, {**REGION, "code": "b", "isDefault": False}]},
        {"shippingRegions": [REGION, {**REGION, "id": 2, "isDefault": False}]},
        {"shippingRegions": [REGION, {**REGION, "id": 2, "code": "b"}]},
        {"shippingRegions": [{**REGION, "postcodePrefixes": ["2 0"]}]},
        {"jobPolicy": "ALWAYS"},
        {"maxActivePrintsPerPrinter": 0},
        {"archiveJobsAfterDays": 0},
        {"businessEmail": "not an address"},
        {"businessName": "x" * 201},
        {"businessName": "two\nlines"},
        {"bankDetails": "x" * 2001},
        {"bankDetails": "nul\0"},
        {"updatedAt": "yesterday"},
        {"updatedAt": "2026-01-01T00:00:00"},
        {"unknown": 1},
    ],
    ids=str,
)
def test_a_value_beyond_its_bounds_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SettingsRequest.model_validate({**SETTINGS, **change})


@pytest.mark.parametrize(
    "change",
    [
        {"abn": "51 824 753 556"},
        {"timeZone": "UTC"},
        {"quotePrefix": ""},
        {"quotePrefix": "2026/Q-"},
        {"businessEmail": "  "},
        {"shippingRegions": []},
        {"shippingRegions": [{**REGION, "isDefault": False}]},
        {"defaultMaterialId": None},
        {"updatedAt": "2026-01-01T00:00:00.123456+00:00"},
    ],
    ids=str,
)
def test_a_value_within_its_bounds_is_accepted(change: dict[str, Any]) -> None:
    SettingsRequest.model_validate({**SETTINGS, **change})


@pytest.mark.parametrize("text", ["51824753556", "53004085616", "53 004 085 616"])
def test_an_abn_has_eleven_digits_and_a_checksum(text: str) -> None:
    request = SettingsRequest.model_validate({**SETTINGS, "abn": text})
    assert request.abn == text.replace(" ", "")


@pytest.mark.parametrize(
    "text",
    [
        "51824753557",
        "15824753556",
        "00000000000",
        "5182475355",
        "518247535566",
        "5182475355a",
        "５１８２４７５３５５６",
        "",
    ],
)
def test_what_is_no_abn_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        SettingsRequest.model_validate({**SETTINGS, "abn": text})
