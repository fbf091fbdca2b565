"""Stripe on one machine: its API, hosted Checkout and webhooks, for the parts that the bureau uses.

The real SDK talks to it through `base_addresses` and finds the shapes of the pinned API version. It refuses what
Stripe refuses, and it does on command what Stripe does only on a bad day: `Control` holds the switches.
"""

from devstack.stripe.client import Control, pay
from devstack.stripe.launcher import StripeStandIn

__all__ = ["Control", "StripeStandIn", "pay"]
