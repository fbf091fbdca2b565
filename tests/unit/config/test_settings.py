"""The environment as settings: every bound, one clear error, secrets kept out of messages."""

import json
from collections.abc import Iterator
from uuid import uuid4

import pytest

from devstack.aws import Aws
from printshop.config.settings import SettingsError, load_settings
from tests.support.aws import aws_of_this_process

MINIMAL = {
    "NEXT_PUBLIC_SUPABASE_URL": "https://project.supabase.co",
    "NEXT_PUBLIC_SUPABASE_ANON_KEY": "sb_publishable_a",
    "SUPABASE_SERVICE_ROLE_KEY": "sb_secret_b",
}
STRIPE = {
    "STRIPE_SECRET_KEY": "sk_test_c",
    "STRIPE_WEBHOOK_SECRET": "whsec_d",
    "STRIPE_SUCCESS_URL": "https://shop.example/paid",
    "STRIPE_CANCEL_URL": "https://shop.example/cancelled",
}
PRODUCTION = {
    **MINIMAL,
    **STRIPE,
    "APP_ENV": "production",
    "NEXT_PUBLIC_APP_URL": "https://shop.example",
}


def refusal(**changes: str) -> str:
    with pytest.raises(SettingsError) as refused:
        load_settings({**MINIMAL, **changes})
    return str(refused.value)


def test_development_needs_supabase_alone() -> None:
    settings = load_settings(MINIMAL)
    assert settings.app_env == "development"
    assert (settings.stripe_key, settings.webhook_secret) == (None, None)
    assert (settings.stripe_currency, settings.slicer_bin) == ("AUD", "prusaslicer")
    assert (settings.slicer_disable, settings.slicer_concurrency, settings.slicer_timeout_ms) == (
        False,
        1,
        120_000,
    )
    assert (settings.max_model_bytes, settings.tmp_retention_hours) == (50 * 1024 * 1024, 24)
    assert 60 <= settings.download_url_seconds <= 300


def test_the_process_environment_is_the_default_source(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in MINIMAL.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SLICER_CONCURRENCY", "3")
    monkeypatch.delenv("SECRETS_ID", raising=False)
    assert load_settings().slicer_concurrency == 3


@pytest.mark.parametrize(
    ("name", "lowest", "highest"),
    [
        ("SLICER_CONCURRENCY", 1, 4),
        ("SLICER_TIMEOUT_MS", 30_000, 300_000),
        ("MAX_MODEL_MB", 1, 100),
        ("TMP_RETENTION_HOURS", 24, 48),
        ("DOWNLOAD_URL_SECONDS", 60, 300),
    ],
)
def test_a_number_is_accepted_up_to_its_bounds_and_refused_beyond(
    name: str, lowest: int, highest: int
) -> None:
    for accepted in (lowest, highest):
        assert getattr(load_settings({**MINIMAL, name: str(accepted)}), name.lower()) == accepted
    for refused in (str(lowest - 1), str(highest + 1), "NaN", "many", f"{lowest}.5", "1e9", "-1"):
        assert f"{name}:" in refusal(**{name: refused})


@pytest.mark.parametrize("name", sorted(MINIMAL))
@pytest.mark.parametrize("value", [None, "", "   ", "\t\n"])
def test_a_missing_or_blank_variable_is_named(name: str, value: str | None) -> None:
    environment = {key: text for key, text in MINIMAL.items() if key != name}
    if value is not None:
        environment[name] = value
    with pytest.raises(SettingsError, match=f"{name}: is missing"):
        load_settings(environment)


def test_a_blank_optional_variable_counts_as_absent() -> None:
    settings = load_settings({**MINIMAL, "STRIPE_WEBHOOK_SECRET": "  ", "SLICER_CONCURRENCY": ""})
    assert (settings.webhook_secret, settings.slicer_concurrency) == (None, 1)


def test_one_error_names_every_variable_at_fault() -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings({"SLICER_CONCURRENCY": "9", "TMP_RETENTION_HOURS": "1", "STRIPE_CURRENCY": "dollars"})
    for name in (*MINIMAL, "SLICER_CONCURRENCY", "TMP_RETENTION_HOURS", "STRIPE_CURRENCY"):
        assert name in str(refused.value)
    assert ".env.example" in str(refused.value)


@pytest.mark.parametrize(
    "url", ["project.supabase.co", "ftp://x.example", "https://", "https://a b", "javascript:1"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    assert "NEXT_PUBLIC_SUPABASE_URL:" in refusal(NEXT_PUBLIC_SUPABASE_URL=url)


def test_an_address_loses_its_trailing_slash() -> None:
    settings = load_settings({**MINIMAL, "NEXT_PUBLIC_SUPABASE_URL": "https://project.supabase.co//"})
    assert settings.next_public_supabase_url == "https://project.supabase.co"


def test_a_currency_is_upper_case_whatever_was_written() -> None:
    assert load_settings({**MINIMAL, "STRIPE_CURRENCY": "nzd"}).stripe_currency == "NZD"


@pytest.mark.parametrize(("value", "disabled"), [("1", True), ("0", False)])
def test_the_slicer_is_disabled_by_a_one(value: str, disabled: bool) -> None:
    assert load_settings({**MINIMAL, "SLICER_DISABLE": value}).slicer_disable is disabled


@pytest.mark.parametrize("value", ["yes", "true", "2"])
def test_an_unreadable_switch_is_refused(value: str) -> None:
    assert "SLICER_DISABLE:" in refusal(SLICER_DISABLE=value)


@pytest.mark.parametrize("environment", ["prod", "PRODUCTION", "staging"])
def test_an_unknown_environment_is_refused(environment: str) -> None:
    assert "APP_ENV:" in refusal(APP_ENV=environment)


def test_a_complete_production_environment_is_accepted() -> None:
    assert load_settings(PRODUCTION).stripe_key == "sk_test_c"


@pytest.mark.parametrize("name", sorted({*MINIMAL, *STRIPE}))
def test_production_needs_every_supabase_and_stripe_variable(name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        load_settings({**PRODUCTION, name: ""})


def test_production_names_all_missing_variables_at_once() -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings({**MINIMAL, "APP_ENV": "production", "SLICER_CONCURRENCY": "9"})
    for name in (*STRIPE, "SLICER_CONCURRENCY"):
        assert name in str(refused.value)


def test_production_serves_over_https_only() -> None:
    with pytest.raises(SettingsError, match="NEXT_PUBLIC_APP_URL"):
        load_settings({**PRODUCTION, "NEXT_PUBLIC_APP_URL": "http://shop.example"})


def test_no_secret_is_in_an_error_nor_in_a_representation() -> None:
    secret = "sk_test_very_private"
    message = refusal(STRIPE_SECRET_KEY=secret, SLICER_CONCURRENCY=secret, STRIPE_SUCCESS_URL=secret)
    assert secret not in message
    settings = load_settings({**PRODUCTION, "STRIPE_SECRET_KEY": secret})
    assert secret not in f"{settings} {settings!r}"


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    with aws_of_this_process(tmp_path_factory.mktemp("aws")) as server:
        yield server


def kept(aws: Aws, text: str) -> str:
    """The name of a new secret that holds `text`."""
    name = f"printshop/{uuid4()}"
    aws.client("secretsmanager").create_secret(Name=name, SecretString=text)
    return name


def test_a_secret_is_laid_over_the_environment(aws: Aws) -> None:
    name = kept(
        aws, json.dumps({"SUPABASE_SERVICE_ROLE_KEY": "sb_secret_kept", "STRIPE_SECRET_KEY": "sk_test_kept"})
    )
    settings = load_settings({**MINIMAL, "STRIPE_SECRET_KEY": "sk_test_environment", "SECRETS_ID": name})
    assert (settings.service_key, settings.stripe_key) == ("sb_secret_kept", "sk_test_kept")
    assert settings.next_public_supabase_anon_key == "sb_publishable_a"


def test_a_value_that_the_secret_leaves_empty_does_not_exist(aws: Aws) -> None:
    name = kept(aws, json.dumps({"STRIPE_WEBHOOK_SECRET": None, "SUPABASE_JWT_SECRET": ""}))
    settings = load_settings({**MINIMAL, "SECRETS_ID": name})
    assert (settings.webhook_secret, settings.supabase_jwt_secret) == (None, None)


@pytest.mark.parametrize("text", ["[1]", "not json, yet private", '"text"'])
def test_a_secret_that_is_no_object_is_one_clear_error(aws: Aws, text: str) -> None:
    name = kept(aws, text)
    with pytest.raises(SettingsError) as refused:
        load_settings({**MINIMAL, "SECRETS_ID": name})
    assert name in str(refused.value)
    assert "private" not in str(refused.value)


def test_a_secret_that_is_not_there_is_one_clear_error(aws: Aws) -> None:
    with pytest.raises(SettingsError, match="printshop/absent"):
        load_settings({**MINIMAL, "SECRETS_ID": "printshop/absent"})


def test_further_origins_join_the_apps_own_as_browsers_write_them() -> None:
    own = {"NEXT_PUBLIC_APP_URL": "https://Shop.example:443/app/"}
    further = {"ALLOWED_ORIGINS": " https://STAFF.example , http://localhost:3001,"}
    assert load_settings({**MINIMAL, **own, **further}).origins == {
        "https://shop.example",
        "https://staff.example",
        "http://localhost:3001",
    }
    assert load_settings(MINIMAL).origins == {"http://localhost:3000"}


@pytest.mark.parametrize(
    "origins",
    ["*", "null", "https://*.example", "staff.example", "https://a.example/b", "https://u@a.example"],
)
def test_what_is_no_origin_is_refused(origins: str) -> None:
    assert "ALLOWED_ORIGINS" in refusal(ALLOWED_ORIGINS=f"https://ok.example,{origins}")


def test_production_takes_no_plain_http_origin() -> None:
    with pytest.raises(SettingsError, match="https ALLOWED_ORIGINS"):
        load_settings({**PRODUCTION, "ALLOWED_ORIGINS": "http://staff.example"})
