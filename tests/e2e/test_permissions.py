"""Every call that a function makes to AWS is one that its role allows."""

from devstack import Stack
from tests.conftest import Client
from tests.support.models import cube_stl
from tests.support.orders import checked_out, sliced
from tests.template.roles import load_roles


def test_no_function_does_more_on_aws_than_its_role_allows(
    stack: Stack, customer: Client, shop: Client
) -> None:
    checked_out(customer, sliced(customer, "cube.stl", cube_stl(5)))
    shop.get("health/ready")
    stack.gateway.fire("JanitorFunction")
    roles = load_roles()
    calls = {
        # IAM knows SQS's batch calls by the action that they repeat.
        (call["function"], f"{call['service']}:{call['action'].removesuffix('Batch')}", call["resource"])
        for call in stack.aws.calls()
        if call["function"] != "local"
    }
    refused = [call for call in sorted(calls) if not roles.allowed(*call)]
    assert refused == []
    made = {(function, action) for function, action, _ in calls}
    assert {
        ("QuickOrderFunction", "sqs:SendMessage"),
        ("QuickOrderFunction", "secretsmanager:GetSecretValue"),
        ("HealthFunction", "sqs:GetQueueAttributes"),
        ("SlicerFunction", "sqs:ReceiveMessage"),
        ("SlicerFunction", "sqs:DeleteMessage"),
    } <= made
