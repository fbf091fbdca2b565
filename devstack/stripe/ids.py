"""Identifiers that look like Stripe's test mode: a prefix that names the kind, then letters and digits."""

import secrets
import string

_ALPHABET = string.ascii_letters + string.digits

_SHAPES = {
    "checkout.session": ("cs_test_a1", 56),
    "payment_intent": ("pi_3", 23),
    "payment_method": ("pm_1", 23),
    "charge": ("ch_3", 23),
    "refund": ("re_3", 23),
    "balance_transaction": ("txn_3", 23),
    "dispute": ("du_1", 23),
    "event": ("evt_1", 23),
    "webhook_endpoint": ("we_1", 23),
    "item": ("li_1", 23),
    "price": ("price_1", 23),
    "product": ("prod_", 14),
    "request": ("req_", 14),
    "webhook_secret": ("whsec_", 32),
}


def new(kind: str) -> str:
    """A fresh identifier of a kind, named as in the object's own `object` field."""
    prefix, length = _SHAPES[kind]
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(length))
