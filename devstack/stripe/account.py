"""The merchant's account and balance, which the product reads to check its key."""

from typing import Any

from devstack.stripe.merchant import Call
from devstack.stripe.parameters import EXPAND, Hash
from devstack.stripe.store import Body

RETRIEVE = Hash(EXPAND)

ACCOUNT_ID = "acct_1StandInOneMachine"


def _amount() -> Body:
    return {"amount": 0, "currency": "aud", "source_types": {"card": 0}}


def balance(_: Call, __: dict[str, Any]) -> Body:
    """The balance, always zero: the stand-in has no payouts."""
    return {
        "object": "balance",
        "available": [_amount()],
        "livemode": False,
        "pending": [_amount()],
        "refund_and_dispute_prefunding": {"available": [_amount()], "pending": [_amount()]},
    }


def account(_: Call, __: dict[str, Any]) -> Body:
    no_requirements: Body = {
        "alternatives": [],
        "current_deadline": None,
        "currently_due": [],
        "disabled_reason": None,
        "errors": [],
        "eventually_due": [],
        "past_due": [],
        "pending_verification": [],
    }
    return {
        "id": ACCOUNT_ID,
        "object": "account",
        "business_profile": {
            "annual_revenue": None,
            "estimated_worker_count": None,
            "mcc": None,
            "minority_owned_business_designation": None,
            "name": "Stand-in",
            "product_description": None,
            "support_address": None,
            "support_email": None,
            "support_phone": None,
            "support_url": None,
            "url": None,
        },
        "business_type": None,
        "capabilities": {
            "au_becs_debit_payments": "active",
            "card_payments": "active",
            "transfers": "active",
        },
        "charges_enabled": True,
        "controller": {"type": "account"},
        "country": "AU",
        "created": 1_700_000_000,
        "default_currency": "aud",
        "details_submitted": True,
        "email": "shop@example.com",
        "external_accounts": {
            "object": "list",
            "data": [],
            "has_more": False,
            "url": f"/v1/accounts/{ACCOUNT_ID}/external_accounts",
        },
        "future_requirements": no_requirements,
        "metadata": {},
        "payouts_enabled": True,
        "requirements": no_requirements,
        "settings": _settings(),
        "tos_acceptance": {"date": None, "ip": None, "user_agent": None},
        "type": "standard",
    }


def _settings() -> Body:
    return {
        "bacs_debit_payments": {"display_name": None, "service_user_number": None},
        "branding": {"icon": None, "logo": None, "primary_color": None, "secondary_color": None},
        "card_issuing": {"tos_acceptance": {"date": None, "ip": None}},
        "card_payments": {
            "decline_on": {"avs_failure": False, "cvc_failure": True},
            "statement_descriptor_prefix": None,
            "statement_descriptor_prefix_kana": None,
            "statement_descriptor_prefix_kanji": None,
        },
        "dashboard": {"display_name": "Stand-in", "timezone": "Australia/Sydney"},
        "invoices": {"default_account_tax_ids": None, "hosted_payment_method_save": "offer"},
        "payments": {
            "statement_descriptor": "STAND-IN",
            "statement_descriptor_kana": None,
            "statement_descriptor_kanji": None,
        },
        "payouts": {
            "debit_negative_balances": True,
            "schedule": {"delay_days": 2, "interval": "daily"},
            "statement_descriptor": None,
        },
        "sepa_debit_payments": {},
    }
