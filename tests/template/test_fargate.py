"""The slicer's other home: what SlicerHome=fargate deploys, and what its tasks may do."""

from typing import Any

import pytest

from tests.template.bundle import SOURCE, Bundle, configured_parameters, deploy
from tests.template.roles import Roles, Statement

IMAGE = "123456789012.dkr.ecr.ap-southeast-2.amazonaws.com/printshop/slicer-repo"
DIGEST = "sha256:" + "5f" * 32
NETWORK = {
    "FargateSubnets": "subnet-0a1b2c3d,subnet-0a1b2c3e",
    "FargateSecurityGroups": "sg-0a1b2c3d",
}
OWN_ALARMS = {"SlicesWait", "SlicesAreDone"}


def at_fargate(**changes: str) -> Bundle:
    given = {"SlicerHome": "fargate", "FargateImageUri": f"{IMAGE}:latest", **NETWORK, **changes}
    return deploy({**configured_parameters("prod"), **given})


@pytest.fixture(scope="module")
def fargate() -> Bundle:
    return at_fargate()


@pytest.fixture(scope="module")
def container(fargate: Bundle) -> dict[str, Any]:
    (only,) = fargate.properties("SlicerTask")["ContainerDefinitions"]
    return dict(only)


def statements(bundle: Bundle, role: str) -> list[Statement]:
    return list(Roles(bundle).of_role(bundle.attributes[role]["Arn"]))


def test_every_reference_leads_somewhere(fargate: Bundle) -> None:
    assert all(isinstance(fargate.properties(name), dict) for name in fargate.resources)


def test_the_lambda_home_deploys_nothing_of_the_other(bundle: Bundle, fargate: Bundle) -> None:
    added = set(fargate.resources) - set(bundle.resources)
    assert {fargate.resources[name]["Type"].split("::")[1] for name in added} == {
        "ECS",
        "IAM",
        "Logs",
        "ApplicationAutoScaling",
        "CloudWatch",
    }
    assert not [name for name, each in bundle.resources.items() if "::ECS::" in each["Type"]]
    assert set(bundle.resources) <= set(fargate.resources)


def test_the_service_starts_only_after_the_function_has_left_the_lanes(fargate: Bundle) -> None:
    awaited = fargate.resources["SlicerService"]["DependsOn"]
    switched = {
        name: each["Enabled"]
        for name, each in fargate.of_type("AWS::Lambda::EventSourceMapping").items()
        if fargate.named("Ref", each["FunctionName"], {"AWS::Lambda::Function"}) == "SlicerFunction"
    }
    assert switched == dict.fromkeys(awaited, False)


def test_fargate_without_an_image_or_a_network_is_refused_before_anything_changes() -> None:
    (rule,) = SOURCE["Rules"].values()
    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "SlicerHome"}, "fargate"]}
    demanded = {each["Assert"]["Fn::Not"][0]["Fn::Equals"][0]["Ref"] for each in rule["Assertions"]}
    assert demanded == {"FargateImageUri", "FargateSubnets", "FargateSecurityGroups"}
    assert all(SOURCE["Parameters"][name]["Default"] == "" for name in demanded)


def test_the_task_runs_the_poller_as_the_images_own_user_on_a_root_that_it_cannot_write(
    container: dict[str, Any],
) -> None:
    assert [*container["EntryPoint"], *container["Command"]] == ["python", "-m", "slicer_worker.poller"]
    assert (container["User"], container["ReadonlyRootFilesystem"]) == ("slicer", True)
    assert container["MountPoints"] == [{"SourceVolume": "scratch", "ContainerPath": "/tmp"}]
    assert container["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}
    assert container["StopTimeout"] == 120


def test_the_task_has_no_init_whose_environment_would_tell_the_slicer_where_the_credentials_are(
    container: dict[str, Any],
) -> None:
    # An init would run as the same user and be open to it in /proc; the poller as PID 1 is closed.
    assert container["LinuxParameters"]["InitProcessEnabled"] is False


def test_the_task_has_two_processors_of_x86_and_4_gb(fargate: Bundle) -> None:
    task = fargate.properties("SlicerTask")
    assert (task["Cpu"], task["Memory"]) == ("2048", "4096")
    assert task["RuntimePlatform"]["CpuArchitecture"] == "X86_64"


def test_the_task_is_told_what_the_function_is_told(fargate: Bundle, container: dict[str, Any]) -> None:
    told = {each["Name"]: str(each["Value"]) for each in container["Environment"]}
    assert told.pop("AWS_DEFAULT_REGION") == "ap-southeast-2"
    assert told == fargate.environment("SlicerFunction")
    assert "Secrets" not in container  # the program reads the one secret by itself, as the function does


def test_the_poller_may_take_both_lanes_read_its_secret_and_protect_itself_and_no_more(
    fargate: Bundle,
) -> None:
    may = {
        (action, each)
        for rule in statements(fargate, "SlicerTaskRole")
        for action in rule.actions
        for each in rule.resources
    }
    lanes = [fargate.attributes[name]["Arn"] for name in ("SliceQueue", "LargeSliceQueue")]
    cluster = fargate.attributes["SlicerCluster"]["Ref"]
    tasks = f"arn:aws:ecs:ap-southeast-2:123456789012:task/{cluster}/*"
    secret = "arn:aws:secretsmanager:ap-southeast-2:123456789012:secret:printshop/prod-??????"
    assert may == {
        *((f"sqs:{action}Message", lane) for action in ("Receive", "Delete") for lane in lanes),
        *(("sqs:ChangeMessageVisibility", lane) for lane in lanes),
        ("ecs:UpdateTaskProtection", tasks),
        ("secretsmanager:GetSecretValue", secret),
    }


@pytest.mark.parametrize("version", [":latest", f"@{DIGEST}"])
def test_ecs_may_fetch_this_image_and_write_the_tasks_log(version: str) -> None:
    bundle = at_fargate(FargateImageUri=IMAGE + version)
    may = {rule.actions[-1]: rule.resources for rule in statements(bundle, "SlicerTaskStartRole")}
    assert may == {
        "ecr:GetDownloadUrlForLayer": (
            "arn:aws:ecr:ap-southeast-2:123456789012:repository/printshop/slicer-repo",
        ),
        "ecr:GetAuthorizationToken": ("*",),
        "logs:PutLogEvents": (bundle.attributes["SlicerTaskLogs"]["Arn"],),
    }


def test_only_this_accounts_tasks_may_take_the_roles(fargate: Bundle) -> None:
    for role in ("SlicerTaskRole", "SlicerTaskStartRole"):
        (rule,) = fargate.properties(role)["AssumeRolePolicyDocument"]["Statement"]
        assert rule["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
        assert rule["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}


def test_a_deployment_never_stops_the_old_task_first(fargate: Bundle) -> None:
    service = fargate.properties("SlicerService")
    rules = service["DeploymentConfiguration"]
    assert (rules["MinimumHealthyPercent"], rules["MaximumPercent"]) == (100, 200)
    assert rules["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}
    assert "DesiredCount" not in service
    network = service["NetworkConfiguration"]["AwsvpcConfiguration"]
    assert network["Subnets"] == ["subnet-0a1b2c3d", "subnet-0a1b2c3e"]


def test_the_service_grows_with_what_waits_in_both_lanes_and_shrinks_when_all_is_done(
    fargate: Bundle,
) -> None:
    (target,) = fargate.of_type("AWS::ApplicationAutoScaling::ScalableTarget").values()
    assert (target["MinCapacity"], target["MaxCapacity"]) == ("1", "3")
    cluster = fargate.attributes["SlicerCluster"]["Ref"]
    service = fargate.attributes["SlicerService"]["Name"]
    assert target["ResourceId"] == f"service/{cluster}/{service}"
    watched = {}
    for alarm in OWN_ALARMS:
        metrics = [
            each["MetricStat"]["Metric"]
            for each in fargate.properties(alarm)["Metrics"]
            if "MetricStat" in each
        ]
        watched[alarm] = {
            (each["MetricName"].removeprefix("ApproximateNumberOfMessages"), each["Dimensions"][0]["Value"])
            for each in metrics
        }
    lanes = [fargate.attributes[name]["QueueName"] for name in ("SliceQueue", "LargeSliceQueue")]
    assert watched == {
        "SlicesWait": {("Visible", lane) for lane in lanes},
        "SlicesAreDone": {(state, lane) for state in ("Visible", "NotVisible") for lane in lanes},
    }
    done = fargate.properties("SlicesAreDone")
    assert (done["EvaluationPeriods"], done["TreatMissingData"]) == (15, "breaching")


def test_the_service_only_grows_while_slices_wait_and_does_from_the_first(fargate: Bundle) -> None:
    assert fargate.properties("SlicesWait")["Threshold"] == 1
    policy = fargate.properties("SlicerScaleOut")["StepScalingPolicyConfiguration"]
    assert policy["AdjustmentType"] == "ChangeInCapacity"
    steps = policy["StepAdjustments"]
    assert [(step["MetricIntervalLowerBound"], step["ScalingAdjustment"]) for step in steps] == [
        (0, 1),
        (20, 2),
        (60, 4),
    ]
    assert [step.get("MetricIntervalUpperBound") for step in steps] == [
        *(step["MetricIntervalLowerBound"] for step in steps[1:]),
        None,
    ]


def test_the_service_shrinks_to_its_least_at_once(fargate: Bundle) -> None:
    policy = fargate.properties("SlicerScaleIn")["StepScalingPolicyConfiguration"]
    (step,) = policy["StepAdjustments"]
    assert (policy["AdjustmentType"], step["ScalingAdjustment"]) == ("ExactCapacity", 0)
