"""What the functions write while an order is made and paid: every event of the seed's list, and nothing secret."""

import json
from typing import Any

import httpx
import pytest

from local.stack import Stack
from local.stripe_stand_in import pay
from tests.conftest import Client, sign_up
from tests.models import cube_stl
from tests.orders import checked_out, sliced


@pytest.fixture(scope="module")
def ordered(stack: Stack) -> tuple[Client, dict[str, Any]]:
    """A customer who has ordered and paid, and his invoice."""
    client = sign_up(stack, "Logged Customer")
    invoice = checked_out(client, sliced(client, "logged.stl", cube_stl(6)))
    assert client.get(f"invoices/{invoice['id']}/pdf").status_code == 200
    assert pay(httpx.get(invoice["payUrl"]).headers["location"]).status_code == 303
    stack.stripe.control.wait_until_delivered(20)
    return client, invoice


def lines(stack: Stack, function: str) -> list[dict[str, Any]]:
    text = stack.gateway.log_of(function).read_text().splitlines()
    return [json.loads(line) for line in text if line.startswith("{")]


@pytest.mark.parametrize(
    ("function", "scopes"),
    [
        ("AccountFunction", {"supabase.connect", "supabase.sign_up"}),
        ("QuickOrderFunction", {"supabase.connect", "files.upload", "slicer.queued", "orders.checkout"}),
        (
            "SlicerFunction",
            {"slicer.claim", "storage.download", "slicer.metrics", "storage.upload", "slicer.complete"},
        ),
        ("PdfFunction", {"pdf.render", "pdf.serve", "storage.upload"}),
        ("PayFunction", {"stripe.session"}),
        ("WebhookFunction", {"stripe.webhook"}),
    ],
)
def test_a_function_logs_the_events_of_its_work(
    stack: Stack, ordered: tuple[Client, dict[str, Any]], function: str, scopes: set[str]
) -> None:
    written = lines(stack, function)
    assert scopes <= {line.get("scope") for line in written}
    assert all(line.get("correlation_id") for line in written if line.get("scope") == "stripe.webhook")


def test_no_function_logs_a_secret_a_token_or_an_address(
    stack: Stack, ordered: tuple[Client, dict[str, Any]]
) -> None:
    client, invoice = ordered
    private = [
        client.token,
        client.email,
        client.password,
        invoice["payUrl"].rsplit("/", 1)[1],
        stack.supabase.secret_key,
        stack.supabase.jwt_secret,
        stack.stripe_key,
        stack.webhook_secret,
    ]
    folder = stack.gateway.log_of("PayFunction").parent
    found = [
        (log.name, text[:12]) for log in folder.glob("*.log") for text in private if text in log.read_text()
    ]
    assert found == []
