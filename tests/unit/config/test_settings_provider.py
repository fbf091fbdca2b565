"""A rotated secret reaches a warm process: in time by itself, at once for a cause, and never by a flood of causes."""

import json
import time
from collections.abc import Iterator
from uuid import uuid4

import pytest

from devstack.aws import REGION, Aws
from printshop.config.settings import SettingsError, load_settings
from printshop.config.settings_provider import CurrentSettings
from tests.support.aws import aws_of_this_process

ENVIRONMENT = {
    "NEXT_PUBLIC_SUPABASE_URL": "https://project.supabase.co",
    "NEXT_PUBLIC_SUPABASE_ANON_KEY": "sb_publishable_a",
}
LONG = 300.0


def secret(**changes: str | None) -> str:
    return json.dumps({"SUPABASE_SERVICE_ROLE_KEY": "sb_secret_1", **changes})


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    with aws_of_this_process(tmp_path_factory.mktemp("aws")) as server:
        yield server


@pytest.fixture
def name(aws: Aws) -> str:
    """A new secret that holds the first service key."""
    fresh = f"printshop/{uuid4()}"
    aws.client("secretsmanager").create_secret(Name=fresh, SecretString=secret())
    return fresh


def put(aws: Aws, name: str, text: str) -> None:
    aws.client("secretsmanager").put_secret_value(SecretId=name, SecretString=text)


def questions(aws: Aws) -> int:
    return sum(call["action"] in {"GetSecretValue", "GetParameter"} for call in aws.calls())


def test_a_rotated_secret_arrives_by_itself_and_not_before_its_time(aws: Aws, name: str) -> None:
    current = CurrentSettings({**ENVIRONMENT, "SECRETS_ID": name}, kept_seconds=1.5)
    first = current.read()
    asked = questions(aws)
    put(aws, name, secret(SUPABASE_SERVICE_ROLE_KEY="sb_secret_2"))
    assert current.read() is first
    assert questions(aws) == asked
    time.sleep(1.5)
    assert current.read().service_key == "sb_secret_2"


def test_a_cause_brings_the_rotated_secret_at_once(aws: Aws, name: str) -> None:
    current = CurrentSettings({**ENVIRONMENT, "SECRETS_ID": name}, kept_seconds=LONG, caused_seconds=0)
    assert current.read().webhook_secret is None
    assert not current.renew()
    put(aws, name, secret(STRIPE_WEBHOOK_SECRET="whsec_2"))
    assert current.renew()
    assert current.read().webhook_secret == "whsec_2"


def test_a_flood_of_causes_asks_once(aws: Aws, name: str) -> None:
    current = CurrentSettings({**ENVIRONMENT, "SECRETS_ID": name}, kept_seconds=LONG, caused_seconds=1)
    current.read()
    asked = questions(aws)
    assert not any(current.renew() for _ in range(1000))
    assert questions(aws) == asked
    time.sleep(1)
    assert not any(current.renew() for _ in range(1000))
    assert questions(aws) == asked + 1


@pytest.mark.parametrize("spoiled", ["not json", "[]", '{"STRIPE_SECRET_KEY": "sk_test_1"}'])
def test_a_secret_that_was_spoiled_changes_nothing_until_it_is_mended(
    aws: Aws, name: str, spoiled: str
) -> None:
    current = CurrentSettings({**ENVIRONMENT, "SECRETS_ID": name}, kept_seconds=0, unreadable_seconds=0)
    first = current.read()
    put(aws, name, spoiled)
    assert current.read() == first
    put(aws, name, secret(SUPABASE_SERVICE_ROLE_KEY="sb_secret_3"))
    assert current.read().service_key == "sb_secret_3"


def test_what_was_read_serves_on_while_secrets_manager_is_away(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = Aws(tmp_path_factory.mktemp("aws-away"))
    server.start()
    for variable, value in (
        ("AWS_ENDPOINT_URL", server.endpoint_url),
        ("AWS_DEFAULT_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
    ):
        monkeypatch.setenv(variable, value)
    server.put_secret("printshop/away", {"SUPABASE_SERVICE_ROLE_KEY": "sb_secret_1"})
    environ = {**ENVIRONMENT, "SECRETS_ID": "printshop/away"}
    current = CurrentSettings(environ, kept_seconds=0, unreadable_seconds=LONG, caused_seconds=0)
    first = current.read()
    server.stop()
    assert current.read() is first
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "what was read before serves on" in record.message
    assert not current.renew()
    assert current.read() is first
    with pytest.raises(SettingsError, match="printshop/away"):
        CurrentSettings(environ).read()


def test_after_a_failed_try_the_next_one_waits(aws: Aws, name: str) -> None:
    current = CurrentSettings({**ENVIRONMENT, "SECRETS_ID": name}, kept_seconds=0, unreadable_seconds=1)
    current.read()
    put(aws, name, "not json")
    current.read()
    asked = questions(aws)
    for _ in range(100):
        current.read()
    assert questions(aws) == asked
    time.sleep(1)
    current.read()
    assert questions(aws) == asked + 1


def test_without_a_secret_nothing_is_asked_for(aws: Aws) -> None:
    current = CurrentSettings(
        {**ENVIRONMENT, "SUPABASE_SERVICE_ROLE_KEY": "sb_secret_1"}, kept_seconds=0, caused_seconds=0
    )
    asked = questions(aws)
    assert current.read() is current.read()
    assert not current.renew()
    assert current.service_key_after("sb_secret_1") is None
    assert questions(aws) == asked


def test_only_a_service_key_of_ours_is_ever_replaced(aws: Aws, name: str) -> None:
    current = CurrentSettings({**ENVIRONMENT, "SECRETS_ID": name}, kept_seconds=LONG, caused_seconds=0)
    current.read()
    put(aws, name, secret(SUPABASE_SERVICE_ROLE_KEY="sb_secret_2"))
    assert current.service_key_after("sb_secret_of_somebody_else") is None
    assert current.newest_service_key("sb_secret_1") == "sb_secret_1"
    assert current.service_key_after("sb_secret_1") == "sb_secret_2"
    assert current.newest_service_key("sb_secret_1") == "sb_secret_2"
    assert current.newest_service_key("sb_secret_of_somebody_else") == "sb_secret_of_somebody_else"


@pytest.mark.parametrize("by_arn", [False, True], ids=["by its path", "by its ARN"])
def test_a_secure_parameter_serves_as_the_secret_and_rotates(aws: Aws, by_arn: bool) -> None:
    path = f"/printshop/{uuid4()}"
    parameters = aws.client("ssm")
    parameters.put_parameter(Name=path, Type="SecureString", Value=secret())
    arn = parameters.get_parameter(Name=path)["Parameter"]["ARN"]
    secrets_id = arn if by_arn else f"ssm:{path}"
    assert load_settings({**ENVIRONMENT, "SECRETS_ID": secrets_id}).service_key == "sb_secret_1"
    current = CurrentSettings({**ENVIRONMENT, "SECRETS_ID": secrets_id}, kept_seconds=LONG, caused_seconds=0)
    current.read()
    changed = secret(SUPABASE_SERVICE_ROLE_KEY="sb_secret_2")
    parameters.put_parameter(Name=path, Type="SecureString", Value=changed, Overwrite=True)
    assert current.renew()
    assert current.read().service_key == "sb_secret_2"


def test_a_parameter_that_is_not_there_is_one_clear_error(aws: Aws) -> None:
    with pytest.raises(SettingsError, match="ssm:/printshop/absent"):
        load_settings({**ENVIRONMENT, "SECRETS_ID": "ssm:/printshop/absent"})
