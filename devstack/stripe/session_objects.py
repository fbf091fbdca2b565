"""The full shapes of a Checkout session and its line items, as of the pinned API version."""

from dataclasses import dataclass
from typing import Any

from devstack.stripe import ids
from devstack.stripe.merchant import Merchant
from devstack.stripe.store import Body

_NEVER_SET = (
    "after_expiration allow_promotion_codes client_secret consent consent_collection "
    "currency_conversion customer customer_account excluded_payment_method_types "
    "integration_identifier invoice name_collection optional_items origin_context payment_link "
    "payment_method_configuration_details permissions presentment_details recovered_from "
    "redirect_on_completion return_url saved_payment_method_options setup_intent "
    "shipping_address_collection shipping_cost subscription tax_id_collection wallet_options "
).split()
"""Fields of features that the product does not use."""


@dataclass(frozen=True)
class Payer:
    """The customer at the payment page."""

    email: str
    name: str


def line_item(merchant: Merchant, params: dict[str, Any]) -> Body:
    """A line with the one-off price and product that Stripe makes from `price_data`."""
    price, product = params["price_data"], params["price_data"]["product_data"]
    amount = price["unit_amount"] * params["quantity"]
    return {
        "id": ids.new("item"),
        "object": "item",
        "adjustable_quantity": None,
        "amount_discount": 0,
        "amount_subtotal": amount,
        "amount_tax": 0,
        "amount_total": amount,
        "currency": price["currency"],
        "description": product["name"],
        "metadata": {},
        "price": {
            "id": ids.new("price"),
            "object": "price",
            "active": False,
            "billing_scheme": "per_unit",
            "created": merchant.now(),
            "currency": price["currency"],
            "custom_unit_amount": None,
            "livemode": False,
            "lookup_key": None,
            "metadata": {},
            "nickname": None,
            "product": ids.new("product"),
            "recurring": None,
            "tax_behavior": "unspecified",
            "tiers_mode": None,
            "transform_quantity": None,
            "type": "one_time",
            "unit_amount": price["unit_amount"],
            "unit_amount_decimal": str(price["unit_amount"]),
        },
        "quantity": params["quantity"],
    }


def session(merchant: Merchant, params: dict[str, Any], lines: list[Body], offered: list[str]) -> Body:
    """An open session in payment mode for these lines, payable by the `offered` methods."""
    identifier, now = ids.new("checkout.session"), merchant.now()
    total = sum(line["amount_total"] for line in lines)
    return {
        "id": identifier,
        "object": "checkout.session",
        **dict.fromkeys(_NEVER_SET),
        "collected_information": None,
        "payment_intent": None,
        "adaptive_pricing": params.get("adaptive_pricing") or {"enabled": False},
        "allowed_payment_method_types": params.get("allowed_payment_method_types"),
        "amount_subtotal": sum(line["amount_subtotal"] for line in lines),
        "amount_total": total,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "billing_address_collection": params.get("billing_address_collection"),
        "branding_settings": _branding(),
        "cancel_url": params.get("cancel_url"),
        "client_reference_id": params.get("client_reference_id"),
        "created": now,
        "currency": lines[0]["currency"],
        "custom_fields": [],
        "custom_text": dict.fromkeys(
            ("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")
        ),
        "customer_creation": params.get("customer_creation", "if_required"),
        "customer_details": details(params["customer_email"], None) if "customer_email" in params else None,
        "customer_email": params.get("customer_email"),
        "discounts": [],
        "expires_at": params.get("expires_at", now + 24 * 3600),
        "invoice_creation": _no_invoice(),
        "livemode": False,
        "locale": params.get("locale"),
        "managed_payments": {"enabled": False},
        "metadata": params.get("metadata", {}),
        "mode": params["mode"],
        "payment_method_collection": "if_required",
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": offered,
        "payment_status": "unpaid",
        "phone_number_collection": {"enabled": False},
        "shipping_options": [],
        "status": "open",
        "submit_type": params.get("submit_type"),
        "success_url": params["success_url"],
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
        "url": f"{merchant.base_url}/c/pay/{identifier}",
    }


def _branding() -> Body:
    return {
        "background_color": "#ffffff",
        "border_style": "rounded",
        "button_color": "#0074d4",
        "display_name": "Stand-in",
        "font_family": "default",
        "icon": None,
        "logo": None,
    }


def details(email: str, name: str | None) -> Body:
    """`customer_details`, from the request at first and from the page once paid."""
    return {
        "address": dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))
        if name
        else None,
        "business_name": None,
        "email": email,
        "individual_name": None,
        "name": name,
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": [] if name else None,
    }


def _no_invoice() -> Body:
    data: Body = {
        "account_tax_ids": None,
        "custom_fields": None,
        "description": None,
        "footer": None,
        "issuer": None,
        "metadata": {},
        "rendering_options": None,
    }
    return {"enabled": False, "invoice_data": data}
