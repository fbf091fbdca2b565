"""SAM itself finds no fault, and samconfig.toml deploys with what the template asks for."""

import tomllib

import pytest

from devstack.gateway import TemplateError, parameter_values
from tests.template.bundle import (
    ROOT,
    SOURCE,
    Bundle,
    configured_parameters,
    deploy,
    run_sam,
)


def test_sam_validate_with_lint_finds_no_fault() -> None:
    finished = run_sam("sam", "validate", "--lint", "--template", "template.yaml")
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_every_reference_leads_somewhere(each_stage: Bundle) -> None:
    assert all(isinstance(each_stage.properties(name), dict) for name in each_stage.resources)


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_samconfig_gives_every_parameter_that_has_no_default(stage: str) -> None:
    required = {name for name, each in SOURCE["Parameters"].items() if "Default" not in each}
    assert required
    assert required <= configured_parameters(stage).keys()
    assert configured_parameters(stage)["Stage"] == stage


def test_production_asks_before_it_changes_anything_and_development_does_not() -> None:
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    assert config["prod"]["deploy"]["parameters"]["confirm_changeset"] is True
    assert config["dev"]["deploy"]["parameters"]["confirm_changeset"] is False


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("AppUrl", "https://www.example.com/"),
        ("FurtherOrigins", "https://a.example/"),
        ("FurtherOrigins", "https://a.example, https://b.example"),
        ("FurtherOrigins", "*"),
        ("FurtherOrigins", "https://*.example"),
        ("SupabaseUrl", "project.supabase.co"),
        ("StripeCurrency", "DOLLARS"),
        ("SlicerTimeoutMs", "29999"),
        ("SlicerTimeoutMs", "300001"),
        ("SlicerConcurrency", "5"),
        ("SlicerMaximumConcurrency", "1"),
        ("SlicerLargeMaximumConcurrency", "1"),
        ("SlicerDisable", "yes"),
        ("SlicerHome", "ec2"),
        ("FargateImageUri", "slicer:latest"),
        ("FargateSubnets", "vpc-0a1b2c3d"),
        ("FargateSecurityGroups", "sg-0a1b2c3d;sg-0a1b2c3e"),
        ("FargateMaximumTasks", "0"),
        ("TmpRetentionHours", "23"),
        ("TmpRetentionHours", "49"),
        ("MaxModelMb", "101"),
        ("DownloadUrlSeconds", "301"),
        ("PdfCacheDir", "data/pdfs"),
        ("LogLevel", "info"),
        ("SlicerBin", "prusa-slicer; rm"),
        ("SecretsId", "two words"),
        ("SecretsId", "ssm:without-a-slash"),
        ("SecretsId", "ssm:/printshop/*"),
    ],
)
def test_a_parameter_out_of_its_bounds_is_refused(parameter: str, value: str) -> None:
    with pytest.raises(TemplateError, match=parameter):
        parameter_values(SOURCE["Parameters"], {**configured_parameters("dev"), parameter: value}, str)


def test_only_the_home_that_was_chosen_takes_the_slice_queues() -> None:
    for home, enabled in (("lambda", True), ("fargate", False)):
        bundle = deploy({**configured_parameters("prod"), "SlicerHome": home})
        switched = [
            each["Enabled"]
            for each in bundle.of_type("AWS::Lambda::EventSourceMapping").values()
            if bundle.named("Ref", each["FunctionName"], {"AWS::Lambda::Function"}) == "SlicerFunction"
        ]
        assert switched == [enabled, enabled]
