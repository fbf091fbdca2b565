"""The full shapes of payment intents and charges, as of the pinned API version."""

from typing import Any

from devstack.stripe import ids
from devstack.stripe.cards import Card
from devstack.stripe.merchant import Merchant
from devstack.stripe.store import Body

BECS = "au_becs_debit"


def intent(merchant: Merchant, session: Body, data: dict[str, Any]) -> Body:
    """The payment intent that Checkout creates at the first attempt to pay, without a charge."""
    identifier = ids.new("payment_intent")
    return {
        "id": identifier,
        "object": "payment_intent",
        "allowed_payment_method_types": session["allowed_payment_method_types"],
        "amount": session["amount_total"],
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic_async",
        "client_secret": f"{identifier}_secret_{ids.new('product')[5:]}",
        "confirmation_method": "automatic",
        "created": merchant.now(),
        "currency": session["currency"],
        "customer": None,
        "customer_account": None,
        "description": data.get("description"),
        "excluded_payment_method_types": None,
        "hooks": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "managed_payments": None,
        "metadata": data.get("metadata", {}),
        "next_action": None,
        "on_behalf_of": None,
        "payment_details": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {},
        "payment_method_types": session["payment_method_types"],
        "payment_record": None,
        "presentment_details": None,
        "processing": None,
        "receipt_email": data.get("receipt_email"),
        "review": None,
        "setup_future_usage": None,
        "shipping": None,
        "source": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": data.get("statement_descriptor_suffix"),
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
    }


def charge(merchant: Merchant, payment: Body, payer: Body, means: Body, card: Card | None) -> Body:
    """A charge that has not happened yet: `pending`, nothing captured. `payer` holds email and name."""
    return {
        "id": ids.new("charge"),
        "object": "charge",
        "amount": payment["amount"],
        "amount_captured": 0,
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "authorization_code": None,
        "balance_transaction": None,
        "billing_details": {
            "address": dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state")),
            "email": payer["email"],
            "name": payer["name"],
            "phone": None,
            "tax_id": None,
        },
        "calculated_statement_descriptor": "STAND-IN",
        "captured": False,
        "created": merchant.now(),
        "currency": payment["currency"],
        "customer": None,
        "description": payment["description"],
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "fraud_details": {},
        "livemode": False,
        "metadata": payment["metadata"],
        "on_behalf_of": None,
        "outcome": outcome(card),
        "paid": False,
        "payment_intent": payment["id"],
        "payment_method": payment["payment_method"],
        "payment_method_details": means,
        "presentment_details": None,
        "radar_options": {},
        "receipt_email": payment["receipt_email"],
        "receipt_number": None,
        "receipt_url": None,
        "refunded": False,
        "review": None,
        "shipping": None,
        "source": None,
        "source_transfer": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": payment["statement_descriptor_suffix"],
        "status": "pending",
        "transfer_data": None,
        "transfer_group": None,
    }


def outcome(card: Card | None) -> Body:
    declined = card is not None and card.decline_code is not None
    return {
        "advice_code": "try_again_later" if declined else None,
        "network_advice_code": None,
        "network_decline_code": "51" if declined else None,
        "network_status": "declined_by_network" if declined else "approved_by_network",
        "reason": card.decline_code if declined and card else None,
        "risk_level": "normal",
        "risk_score": 20,
        "seller_message": "The bank declined this charge." if declined else "Payment complete.",
        "type": "issuer_declined" if declined else "authorized",
    }


def card_means(card: Card, amount: int) -> Body:
    """`payment_method_details` of a card."""
    details: Body = {
        "amount_authorized": amount,
        "authorization_code": "123456",
        "brand": card.brand,
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
        "country": "US",
        "exp_month": 12,
        "exp_year": 2034,
        "extended_authorization": {"status": "disabled"},
        "fingerprint": f"standin{card.last4}",
        "funding": "credit",
        "incremental_authorization": {"status": "unavailable"},
        "installments": None,
        "last4": card.last4,
        "mandate": None,
        "multicapture": {"status": "unavailable"},
        "network": card.brand,
        "network_token": {"used": False},
        "network_transaction_id": "104102115",
        "overcapture": {"maximum_amount_capturable": amount, "status": "unavailable"},
        "regulated_status": "unregulated",
        "three_d_secure": None,
        "wallet": None,
    }
    return {"card": details, "type": "card"}


def debit_means() -> Body:
    """`payment_method_details` of a BECS direct debit, which takes days to clear."""
    account: Body = {
        "bsb_number": "000000",
        "expected_debit_date": None,
        "fingerprint": "standinbecs",
        "last4": "3456",
        "mandate": None,
    }
    return {BECS: account, "type": BECS}


def card_error(card: Card, charge_id: str, request_id: str | None) -> Body:
    """`last_payment_error` after a decline."""
    return {
        "advice_code": "try_again_later",
        "charge": charge_id,
        "code": "card_declined",
        "decline_code": card.decline_code,
        "doc_url": "https://stripe.com/docs/error-codes/card-declined",
        "message": card.message,
        "network_decline_code": "51",
        "payment_method_type": "card",
        "request_log_url": f"https://dashboard.stripe.com/test/logs/{request_id}",
        "type": "card_error",
    }


def debit_error(charge_id: str) -> Body:
    """`last_payment_error` after a direct debit has bounced."""
    return {
        "charge": charge_id,
        "code": "payment_intent_payment_attempt_failed",
        "doc_url": "https://stripe.com/docs/error-codes/payment-intent-payment-attempt-failed",
        "message": "The customer's bank refused the debit.",
        "payment_method_type": BECS,
        "type": "invalid_request_error",
    }
