"""A function's environment variables, folders, context and layers."""

import shutil
import sys
from pathlib import Path

import pytest

from devstack.gateway import Gateway
from devstack.gateway.launcher import private_opt
from devstack.tests.gateway.conftest import SITE, Start

LAMBDA_S_OWN = {
    "AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API", "AWS_REGION", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT", "LANG", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "TZ", "_HANDLER", "_X_AMZN_TRACE_ID",
    # Python sets this one itself where the system lacks the locale, on Lambda too.
    "LC_CTYPE",
}  # fmt: skip


def test_the_handler_has_only_the_variables_of_the_template_and_of_lambda(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEAKED", "from the shell")
    gateway.recycle("Shop")
    environment = gateway.invoke("Shop", {"act": "environment"})
    assert {name: value for name, value in environment.items() if name not in LAMBDA_S_OWN} == {
        "COLOUR": "red",
        "STACK": "local in ap-southeast-2",
        "GREETING": "hello-b",
        "LIGHT": "sun",
        "ORDERS_URL": gateway.queue_url("Orders"),
        "ORDERS_ARN": "arn:aws:sqs:ap-southeast-2:123456789012:local-Orders",
        "TOKEN": "s3cret",
        "VAULT": environment["VAULT"],
    }
    assert environment["VAULT"].startswith(
        "arn:aws:secretsmanager:ap-southeast-2:123456789012:secret:gateway-tests/vault-"
    )
    assert environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "128"


def test_a_parameter_changes_the_condition_and_the_environment(start_gateway: Start, tmp_path: Path) -> None:
    shutil.copytree(SITE, tmp_path / "site")
    (tmp_path / "site" / "functions" / "nowhere").mkdir()
    gateway = start_gateway(
        template=tmp_path / "site" / "template.yaml", parameters={"Colour": "blue", "Night": "yes"}
    )
    environment = gateway.invoke("Shop", {"act": "environment"})
    assert (environment["COLOUR"], environment["LIGHT"], environment["HIDDEN"]) == ("blue", "moon", "lamp")
    assert "Night" in gateway.application.functions


def test_the_context_has_function_memory_and_remaining_time(gateway: Gateway) -> None:
    context = gateway.invoke("Shop", {"act": "context"})
    assert context["function_name"] == "local-Shop"
    assert context["memory_limit_in_mb"] == "128"
    assert context["invoked_function_arn"].endswith(":function:local-Shop")
    assert 4000 < context["remaining"] <= 5000


def test_from_source_the_function_runs_in_its_folder_with_its_layers(gateway: Gateway) -> None:
    found = gateway.invoke("Shop", {"act": "modules"})
    assert found["tool"] == "screwdriver"
    assert found["cwd"] == found["path"][0] == str(SITE / "functions" / "shop")
    assert found["path"][1] == str(SITE / "layers" / "tools")


def test_an_image_runs_from_its_folder_with_the_handler_of_its_dockerfile(gateway: Gateway) -> None:
    assert gateway.invoke("Press", {"sheets": 2}) == {"pressed": 2, "with": "screwdriver"}


def test_built_functions_use_only_the_build_folder_and_the_layers_under_opt(
    start_gateway: Start, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    build = site / ".aws-sam" / "build"
    shutil.copytree(SITE, site)
    for name in ("Shop", "Broken", "Single", "Worker"):
        shutil.copytree(SITE / "functions" / "shop", build / name)
    (build / "Layer" / "python").mkdir(parents=True)
    (build / "Layer" / "python" / "tool.py").write_text('NAME = "hammer"')
    (build / "template.yaml").write_text(
        "Resources: {Tools: {Properties: {ContentUri: Layer}}, Shop: {Properties: {CodeUri: Shop}}}"
    )
    gateway = start_gateway(template=site / "template.yaml", built=True)
    found = gateway.invoke("Shop", {"act": "modules"})
    assert found["tool"] == "hammer"
    assert found["cwd"] == str(build / "Shop")
    assert found["from"].endswith("/python/tool.py")
    assert found["from"].startswith("/opt/" if private_opt() else str(tmp_path / "run" / "opt"))
    assert not [folder for folder in found["path"] if folder.startswith((sys.prefix, str(site / "layers")))]
