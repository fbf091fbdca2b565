"""Stripe on one machine: its API, hosted Checkout and webhooks, for the parts that the product uses.

The real SDK talks to it through `base_addresses` and finds the shapes of the pinned API version. It refuses what
Stripe refuses. `Control` orders what Stripe does only in trouble: lost, late and repeated webhooks, failing calls.
`pay` is a customer at the payment page, with one of `cards`; `currencies` holds Stripe's units and amount limits.
"""

from devstack.stripe import cards, currencies
from devstack.stripe.client import Control, pay
from devstack.stripe.errors import ApiError
from devstack.stripe.launcher import StripeStandIn
from devstack.stripe.switches import FaultKind

__all__ = ["ApiError", "Control", "FaultKind", "StripeStandIn", "cards", "currencies", "pay"]
