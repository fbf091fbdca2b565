"""A shop that has no Stripe account: invoices, papers and mails work, without a link, and say so."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import httpx
import psycopg
import pytest

from devstack import ROOT, SECRETS_ID, SENDER, Stack
from devstack.aws import Aws
from devstack.gateway import Gateway
from devstack.processes import free_port
from printshop.payments.links import NO_CARD_PAYMENTS
from tests.conftest import Client
from tests.integration.payments.papers import mail_text, paper_text
from tests.support.invoices import keyed, refused, written


@dataclass(frozen=True)
class Deployment:
    gateway: Gateway
    aws: Aws

    def seen_by(self, client: Client) -> Client:
        """The same caller, at this API."""
        return replace(client, api_url=self.gateway.api_url)


@pytest.fixture(scope="module")
def without_stripe(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The functions once more, before the same Supabase; their secret holds no key of Stripe's."""
    run_dir = tmp_path_factory.mktemp("without-stripe")
    aws = Aws(run_dir / "aws")
    aws.start()
    aws.put_secret(
        SECRETS_ID,
        {
            "SUPABASE_SERVICE_ROLE_KEY": stack.supabase.secret_key,
            "SUPABASE_JWT_SECRET": stack.supabase.jwt_secret,
        },
    )
    aws.client("ses").verify_email_identity(EmailAddress=SENDER)
    port = free_port()
    gateway = Gateway(
        ROOT / "template.yaml",
        run_dir / "gateway",
        parameters=stack.template_parameters(port),
        aws=aws,
        port=port,
    )
    gateway.start()
    yield Deployment(gateway, aws)
    gateway.stop()
    aws.stop()


@pytest.fixture
def here(without_stripe: Deployment, shop: Client) -> Client:
    return without_stripe.seen_by(shop)


@pytest.fixture
def invoice(here: Client, ada: Client) -> dict[str, Any]:
    return written(here, ada.user["clientId"])


def test_the_invoice_the_paper_and_the_mail_say_that_there_is_no_card_payment(
    without_stripe: Deployment, here: Client, ada: Client, invoice: dict[str, Any]
) -> None:
    assert (invoice["payUrl"], invoice["payNote"]) == (None, NO_CARD_PAYMENTS)
    owner = without_stripe.seen_by(ada)
    assert owner.data("GET", f"invoices/{invoice['id']}")["payNote"] == NO_CARD_PAYMENTS
    for text in (paper_text(owner, invoice), mail_text(without_stripe.aws, here, invoice)):
        assert NO_CARD_PAYMENTS in text
        assert "/api/pay/" not in text
        assert "110.00" in text


def test_every_way_to_stripe_is_refused_with_what_to_do_instead(
    without_stripe: Deployment, here: Client, invoice: dict[str, Any], database: psycopg.Connection
) -> None:
    page = here.post(f"invoices/{invoice['id']}/stripe-session")
    assert refused(page) == (409, "STRIPE_NOT_CONFIGURED")
    back = here.post(f"invoices/{invoice['id']}/refunds", {}, headers=keyed())
    assert refused(back) == (409, "STRIPE_NOT_CONFIGURED")
    token = database.execute("select pay_token from invoices where id = %s", (invoice["id"],)).fetchone()
    assert token is not None
    link = httpx.get(f"{here.api_url}/api/pay/{token[0]}", timeout=35)
    assert (link.status_code, "pay it directly" in link.text) == (409, True)
    # Without a secret there is no webhook either: anybody can sign with an empty one.
    webhook = here.post("stripe/webhook", {}, headers={"Stripe-Signature": "t=1,v1=0"})
    assert refused(webhook) == (404, "ROUTE_NOT_FOUND")


def test_money_by_hand_and_the_janitor_need_no_stripe(
    without_stripe: Deployment, here: Client, invoice: dict[str, Any]
) -> None:
    paid = here.data("POST", f"invoices/{invoice['id']}/mark-paid", headers=keyed())
    assert (paid["status"], paid["payNote"]) == ("PAID", None)
    report = without_stripe.gateway.invoke("JanitorFunction", {"source": "aws.scheduler"})
    assert report["stripe"] == {}
