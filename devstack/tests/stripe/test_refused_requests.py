import json
from typing import Any

import httpx
import pytest
import stripe

from devstack.testing.stripe_shop import Shop, order


def _price(**changes: Any) -> list[dict[str, Any]]:
    line = order()["line_items"][0]
    return [{**line, "price_data": {**line["price_data"], **changes}}]


@pytest.mark.parametrize(
    ("changes", "code", "param", "message"),
    [
        ({"colour": "red"}, "parameter_unknown", "colour", "Received unknown parameter: colour"),
        (
            {"payment_method_types": ["card"]},
            "parameter_unknown",
            "payment_method_types",
            "Received unknown parameter: payment_method_types",
        ),
        ({"mode": None}, "parameter_missing", "mode", "Missing required param: mode."),
        ({"success_url": None}, "parameter_missing", "success_url", "Missing required param: success_url."),
        ({"line_items": None}, "parameter_missing", "line_items", "Missing required param: line_items."),
        (
            {"line_items": [{"price_data": {"currency": "aud"}, "quantity": 1}]},
            "parameter_missing",
            "line_items[0][price_data][product_data]",
            "Missing required param: line_items[0][price_data][product_data].",
        ),
        (
            {"line_items": _price(unit_amount="12.50")},
            "parameter_invalid_integer",
            "line_items[0][price_data][unit_amount]",
            "Invalid integer: 12.50",
        ),
        (
            {"line_items": _price(unit_amount=-1)},
            "parameter_invalid_integer",
            "line_items[0][price_data][unit_amount]",
            "This value must be greater than or equal to 0.",
        ),
        (
            {"line_items": _price(product_data={"name": "Invoice", "description": ""})},
            "parameter_invalid_empty",
            "line_items[0][price_data][product_data][description]",
            "You passed an empty string for 'line_items[0][price_data][product_data][description]'.",
        ),
        (
            {"line_items": _price(product_data={"name": "Invoice", "size": "L"})},
            "parameter_unknown",
            "line_items[0][price_data][product_data][size]",
            "Received unknown parameter: line_items[0][price_data][product_data][size]",
        ),
        (
            {"line_items": _price(currency="xyz")},
            None,
            "line_items[0][price_data][currency]",
            "Invalid currency: xyz.",
        ),
        ({"mode": "subscription"}, None, "mode", "Invalid mode: must be payment"),
        ({"success_url": "/paid"}, "url_invalid", "success_url", "Not a valid URL"),
        ({"customer_email": "ada"}, "email_invalid", "customer_email", "Invalid email address: ada"),
        (
            {"client_reference_id": "x" * 201},
            None,
            "client_reference_id",
            "Invalid string: xxxxxxxxxx...xxxxxxxxxx",
        ),
        ({"metadata": {"note": "x" * 501}}, None, "metadata[note]", "Metadata values can have up to 500"),
        ({"metadata": {"k" * 41: "x"}}, None, "metadata", "Metadata keys can have up to 40 characters"),
        ({"expires_at": "tomorrow"}, "parameter_invalid_integer", "expires_at", "Invalid integer: tomorrow"),
        ({"adaptive_pricing": {"enabled": "1"}}, None, "adaptive_pricing[enabled]", "Invalid boolean: 1"),
        ({"line_items": "one"}, None, "line_items", "Invalid array"),
    ],
)
def test_a_wrong_parameter_is_refused_in_stripes_words(
    shop: Shop, changes: dict[str, Any], code: str | None, param: str, message: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.open_session(**changes)

    error = refused.value
    assert (error.http_status, error.code, error.param) == (400, code, param)
    assert error.user_message is not None
    assert error.user_message.startswith(message)
    assert error.error is not None
    assert error.error.type == "invalid_request_error"
    assert error.request_id is not None
    assert error.request_id.startswith("req_")


def test_an_unset_metadata_value_is_left_out(shop: Shop) -> None:
    session = shop.open_session(metadata={"invoiceId": "42", "note": ""})

    assert session.metadata is not None
    assert session.metadata.to_dict() == {"invoiceId": "42"}


@pytest.mark.parametrize(
    ("read", "param", "message"),
    [
        (
            lambda v1: v1.checkout.sessions.retrieve("cs_test_x"),
            "session",
            "No such checkout.session: cs_test_x",
        ),
        (
            lambda v1: v1.checkout.sessions.expire("cs_test_x"),
            "session",
            "No such checkout.session: cs_test_x",
        ),
        (lambda v1: v1.payment_intents.retrieve("pi_x"), "intent", "No such payment_intent: 'pi_x'"),
        (lambda v1: v1.charges.retrieve("ch_x"), "id", "No such charge: 'ch_x'"),
        (lambda v1: v1.refunds.retrieve("re_x"), "id", "No such refund: 're_x'"),
        (lambda v1: v1.events.retrieve("evt_x"), "id", "No such event: 'evt_x'"),
    ],
)
def test_an_unknown_id_is_not_found(shop: Shop, read: Any, param: str, message: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        read(shop.client.v1)

    error = refused.value
    assert (error.http_status, error.code, error.param) == (404, "resource_missing", param)
    assert error.user_message == message


@pytest.mark.parametrize(
    ("limit", "bound"), [(0, "greater than or equal to 1"), (101, "less than or equal to 100")]
)
def test_a_list_limit_out_of_bounds_is_refused(shop: Shop, limit: int, bound: str) -> None:
    with pytest.raises(stripe.InvalidRequestError, match=bound):
        shop.client.v1.events.list({"limit": limit})


def test_a_cursor_that_names_nothing_is_refused(shop: Shop) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.client.v1.charges.list({"starting_after": "ch_x"})

    assert (refused.value.code, refused.value.param) == ("resource_missing", "starting_after")


def test_a_wrong_key_is_unauthorised_and_never_shown_whole(shop: Shop) -> None:
    client = stripe.StripeClient("sk_test_wrong_1234567890", base_addresses={"api": shop.stand_in.url})

    with pytest.raises(stripe.AuthenticationError) as refused:
        client.v1.balance.retrieve(options={"max_network_retries": 0})

    assert refused.value.http_status == 401
    assert refused.value.user_message == "Invalid API Key provided: sk_test_********7890"


def test_the_right_key_reads_balance_and_account(shop: Shop) -> None:
    assert shop.client.v1.balance.retrieve().livemode is False
    assert shop.client.v1.accounts.retrieve_current().charges_enabled is True


def test_a_request_without_a_key_is_unauthorised(shop: Shop) -> None:
    answer = httpx.get(f"{shop.stand_in.url}/v1/balance", trust_env=False)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="Stripe"'
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_basic_authentication_with_the_key_as_user_works(shop: Shop) -> None:
    key = "sk_test_51StandIn"

    assert httpx.get(f"{shop.stand_in.url}/v1/balance", auth=(key, ""), trust_env=False).status_code == 200


def test_json_instead_of_a_form_is_refused(shop: Shop) -> None:
    answer = shop.post("/v1/refunds", json.dumps({"charge": "ch_1"}), Content_Type="application/json")

    assert answer.status_code == 400
    assert "application/x-www-form-urlencoded" in answer.json()["error"]["message"]


@pytest.mark.parametrize("body", ["charge=a&charge[b]=c", "charge[=a", "charge=%ff"])
def test_a_form_that_cannot_be_read_is_refused(shop: Shop, body: str) -> None:
    assert shop.post("/v1/refunds", body).status_code == 400


def test_an_unknown_address_is_not_found(shop: Shop) -> None:
    answer = shop.post("/v1/customers", "")

    assert answer.status_code == 404
    assert answer.json()["error"]["message"].startswith("Unrecognized request URL (POST: /v1/customers)")


def test_a_version_of_another_release_is_refused_and_the_sdks_own_is_recorded(shop: Shop) -> None:
    assert shop.client.v1.balance.retrieve() is not None
    assert shop.stand_in.control.requests()[-1].stripe_version == stripe.api_version

    with pytest.raises(stripe.InvalidRequestError, match="Invalid Stripe API version: 2024-06-20"):
        shop.client.v1.balance.retrieve(options={"stripe_version": "2024-06-20"})
