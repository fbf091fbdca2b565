"""What is deployed and what is committed beside it holds no secret; functions get the name of one."""

import json
import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from printshop.config.settings import Settings
from tests.template.bundle import FUNCTIONS, ROOT, SOURCE, Bundle

LOOKS_SECRET = re.compile(
    r"\b(?:sk|rk)_(?:live|test)_\w+|\bwhsec_\w+|\bsb_secret_\w+|\beyJ[\w-]{8,}|\bAKIA[0-9A-Z]{12,}|-----BEGIN"
)
SECRET_SETTINGS = {
    name.upper() for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)
}
FILES = [
    ROOT / "template.yaml",
    ROOT / "samconfig.toml",
    ROOT / ".env.example",
    *sorted((ROOT / "events").glob("*.json")),
]


def test_settings_hold_their_secrets_as_secrets() -> None:
    assert SecretStr.__name__ in str(Settings.model_fields["supabase_service_role_key"].annotation)
    assert {"SUPABASE_SERVICE_ROLE_KEY", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET"} <= SECRET_SETTINGS


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_committed_file_holds_what_looks_like_a_secret(path: Path) -> None:
    assert not LOOKS_SECRET.findall(path.read_text())


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_secret_is_in_a_functions_environment(function: str, bundle: Bundle) -> None:
    environment = bundle.environment(function)
    assert not SECRET_SETTINGS & environment.keys()
    assert environment["SECRETS_ID"] == "printshop/prod"


def test_no_parameter_takes_a_secret() -> None:
    taking = [
        name for name in SOURCE["Parameters"] if re.search("secret|password|token|servicerole", name, re.I)
    ]
    assert taking == ["SecretsId"]
    assert "service_role" not in json.dumps(SOURCE["Outputs"]).lower()


def test_the_environment_example_names_every_setting_and_gives_no_secret() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    given = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert {name.upper() for name in Settings.model_fields} <= given.keys()
    assert not [name for name in SECRET_SETTINGS if given[name]]


def test_the_environment_example_says_what_each_variable_is() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    unexplained = [
        line
        for before, line in zip(["", *lines], lines, strict=False)
        if "=" in line and not line.startswith("#") and not before.startswith("#")
    ]
    assert not unexplained
