"""What the functions write while an order is made and paid: every event of the seed's list, and nothing secret."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest

from devstack import Stack
from devstack.stripe import pay
from tests.conftest import Client, sign_up
from tests.integration.api.test_account import recovery_token
from tests.support.models import cube_stl
from tests.support.orders import checked_out, sliced

PERSON = {
    "name": "Wilhelmina Loggedcustomer",
    "company": "Loggedcustomer Widgets",
    "phone": "+61 491 570 156",
}


@dataclass
class Order:
    """A whole order, and every text of it that no log may hold."""

    client: Client
    private: set[str]


@pytest.fixture(scope="module")
def ordered(stack: Stack, shop: Client) -> Order:
    """A customer who has signed up, logged in, ordered, been mailed to and paid; with what goes wrong on the way."""
    client = sign_up(stack, **PERSON)
    session = client.data("POST", "auth/login", {"email": client.email, "password": client.password})
    invoice = checked_out(client, sliced(client, "logged.stl", cube_stl(6)))
    paper = client.get(f"invoices/{invoice['id']}/pdf")
    assert paper.status_code == 200, paper.text
    key = f"key-of-sending-{uuid4().hex}"
    sent = shop.post(f"invoices/{invoice['id']}/send", {}, headers={"Idempotency-Key": key})
    assert sent.is_success, sent.text
    page = httpx.get(invoice["payUrl"], timeout=35).headers["location"]
    assert pay(page).status_code == 303
    stack.stripe.control.wait_until_delivered(20)
    quote = quoted(shop, client)
    recovery = recovered(stack, client)
    return Order(
        client,
        {
            client.token,
            client.token.rpartition(".")[0],
            client.email,
            client.password,
            *PERSON.values(),
            session["accessToken"],
            session["refreshToken"],
            invoice["payUrl"].rsplit("/", 1)[1],
            page,
            quote,
            recovery,
            key,
            stack.supabase.secret_key,
            stack.supabase.jwt_secret,
            stack.stripe_key,
            stack.webhook_secret,
        },
    )


def quoted(shop: Client, client: Client) -> str:
    """The token of a quote's link, which the customer has opened and accepted."""
    items = [{"description": "Advice", "unitPriceCents": 5000}]
    made = shop.data("POST", "quotes", {"clientId": client.user["clientId"], "items": items})
    shop.data("POST", f"quotes/{made['id']}/send", {}, headers={"Idempotency-Key": uuid4().hex})
    token = str(shop.data("GET", f"quotes/{made['id']}")["publicUrl"].rsplit("/", 1)[1])
    nobody = Client(shop.api_url)
    assert nobody.get(f"public/quotes/{token}").is_success
    assert nobody.post(f"public/quotes/{token}/accept", {"note": PERSON["name"]}).is_success
    assert nobody.post(f"public/quotes/{token}/accept", {}).status_code == 409
    return token


def recovered(stack: Stack, client: Client) -> str:
    """A recovery link's token, used twice, and passwords that were wrong."""
    nobody = Client(stack.api_url)
    assert nobody.post("auth/login", {"email": client.email, "password": "wrong"}).status_code == 401
    nobody.data("POST", "auth/forgot-password", {"email": client.email})
    body = {"tokenHash": recovery_token(stack, client.email), "newPassword": "another password of hers"}
    nobody.data("POST", "auth/reset-password", body)
    assert nobody.post("auth/reset-password", body).status_code == 422
    return body["tokenHash"]


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
    stack: Stack, ordered: Order, function: str, scopes: set[str]
) -> None:
    written = lines(stack, function)
    assert scopes <= {line.get("scope") for line in written}
    assert all(line.get("correlation_id") for line in written if line.get("scope") == "stripe.webhook")


def test_no_function_logs_a_secret_a_token_or_a_person(stack: Stack, ordered: Order) -> None:
    assert all(len(text) > 8 for text in ordered.private)
    spelled = {
        spelling
        for text in ordered.private
        for spelling in (text, quote(text, safe=""), quote(text), json.dumps(text)[1:-1])
    }
    logs = list(stack.gateway.log_of("PayFunction").parent.glob("*.log"))
    assert len(logs) > 8
    found = [(log.name, text[:12]) for log in logs for text in spelled if text in log.read_text()]
    assert found == []
