"""Each function has a role of its own that allows what it does, on exactly the resource it does it to."""

import pytest

from tests.template.bundle import FUNCTIONS, Bundle, configured_parameters, deploy
from tests.template.roles import Roles

QUEUE_ACTIONS = {
    "QuickOrderFunction": {"SendMessage"},
    "JanitorFunction": {"SendMessage"},
    "HealthFunction": {"GetQueueAttributes"},
    "SlicerFunction": {"ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueAttributes"},
}
"""Written by hand from what each function is for; the others never touch a queue."""
EVERY_ACTION = set().union(*QUEUE_ACTIONS.values()) | {"PurgeQueue", "DeleteQueue", "SetQueueAttributes"}


@pytest.fixture(scope="module")
def roles(bundle: Bundle) -> Roles:
    return Roles(bundle)


def test_no_two_functions_share_a_role(bundle: Bundle) -> None:
    used = [bundle.properties(function)["Role"] for function in FUNCTIONS]
    assert len(used) == len(set(used))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_role_names_exact_resources_and_exact_actions(function: str, roles: Roles) -> None:
    for statement in roles.statements(function):
        assert statement.effect == "Allow"
        assert not [action for action in statement.actions if "*" in action or "?" in action]
        for resource in statement.resources:
            # The streams of the function's own log group, the six characters that end a secret's ARN, and whichever
            # identity of the account's SES has verified the sender: the address or its domain.
            exact = resource.removesuffix(":*") if ":logs:" in resource else resource.removesuffix("-??????")
            exact = exact.removesuffix("*") if exact.endswith(":identity/*") else exact
            assert "*" not in exact
            assert "?" not in exact


def test_a_secret_given_by_its_arn_is_the_only_one_that_may_be_read(bundle: Bundle) -> None:
    arn = "arn:aws:secretsmanager:ap-southeast-2:123456789012:secret:printshop/prod-a1B2c3"
    named = Roles(deploy({**configured_parameters("prod"), "SecretsId": arn}))
    assert named.allowed("PayFunction", "secretsmanager:GetSecretValue", arn)
    assert not named.allowed("PayFunction", "secretsmanager:GetSecretValue", arn[:-1] + "4")


@pytest.mark.parametrize(
    "named",
    [
        "ssm:/printshop/prod",
        pytest.param(
            "arn:aws:ssm:ap-southeast-2:123456789012:parameter/printshop/prod", marks=pytest.mark.full
        ),
    ],
)
def test_a_parameter_in_the_secrets_place_is_the_only_one_that_may_be_read(named: str) -> None:
    parameter = Roles(deploy({**configured_parameters("prod"), "SecretsId": named}))
    assert parameter.allowed("PayFunction", "ssm:GetParameter", "/printshop/prod")
    assert not parameter.allowed("PayFunction", "ssm:GetParameter", "/printshop/prod2")
    assert not parameter.allowed("PayFunction", "ssm:GetParameter", "/printshop/prod/below")
    assert not parameter.allowed("PayFunction", "ssm:PutParameter", "/printshop/prod")
    assert not parameter.allowed("PayFunction", "secretsmanager:GetSecretValue", "/printshop/prod")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_reads_the_bundles_secret_and_no_other(function: str, roles: Roles) -> None:
    assert roles.allowed(function, "secretsmanager:GetSecretValue", "printshop/prod")
    assert not roles.allowed(function, "secretsmanager:GetSecretValue", "printshop/dev")
    assert not roles.allowed(function, "secretsmanager:GetSecretValue", "printshop/prod-and-more")
    assert not roles.allowed(function, "secretsmanager:PutSecretValue", "printshop/prod")
    assert not roles.allowed(function, "ssm:GetParameter", "/printshop/prod")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_writes_its_own_log_and_no_other(function: str, bundle: Bundle, roles: Roles) -> None:
    own = bundle.properties(function)["LoggingConfig"]["LogGroup"]
    groups = [each["Ref"] for name, each in bundle.attributes.items() if name.endswith("Logs")]
    writable = [
        group
        for group in groups
        if roles.allowed(
            function,
            "logs:PutLogEvents",
            f"arn:aws:logs:ap-southeast-2:123456789012:log-group:{group}:log-stream:x",
        )
    ]
    assert writable == [own]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_only_the_mailer_sends_mail(function: str, roles: Roles) -> None:
    sends = function == "MailerFunction"
    assert roles.allowed(function, "ses:SendRawEmail", "shop@example.com") is sends
    assert roles.allowed(function, "sqs:ReceiveMessage", "MailQueue") is sends
    assert not roles.allowed(function, "ses:SendEmail", "shop@example.com")


@pytest.mark.parametrize("queue", ["SliceQueue", "LargeSliceQueue"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_does_to_the_slice_queues_what_it_is_for(function: str, queue: str, roles: Roles) -> None:
    may = {action for action in EVERY_ACTION if roles.allowed(function, f"sqs:{action}", queue)}
    assert may == QUEUE_ACTIONS.get(function, set())


@pytest.mark.parametrize("letters", ["SliceDeadLetters", "LargeSliceDeadLetters"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_only_the_janitor_reads_what_slicing_gave_up_on_and_leaves_it(
    function: str, letters: str, roles: Roles
) -> None:
    may = {action for action in EVERY_ACTION if roles.allowed(function, f"sqs:{action}", letters)}
    assert may == ({"ReceiveMessage"} if function == "JanitorFunction" else set())


def test_the_schedule_may_invoke_the_janitor_and_nothing_else(bundle: Bundle) -> None:
    (schedule,) = bundle.of_type("AWS::Scheduler::Schedule").values()
    name = bundle.named("Arn", schedule["Target"]["RoleArn"], {"AWS::IAM::Role"})
    assert name
    policies = bundle.properties(name)["Policies"]
    (statement,) = [each for policy in policies for each in policy["PolicyDocument"]["Statement"]]
    assert statement["Action"] == "lambda:InvokeFunction"
    assert statement["Resource"] == bundle.attributes["JanitorFunction"]["Arn"]


def test_the_gateway_may_invoke_each_function_by_its_own_routes_only(bundle: Bundle) -> None:
    permissions = bundle.of_type("AWS::Lambda::Permission").values()
    assert permissions
    for permission in permissions:
        assert permission["Principal"] == "apigateway.amazonaws.com"
        assert "/api/" in permission["SourceArn"]
