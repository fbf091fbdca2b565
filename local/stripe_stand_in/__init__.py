"""Stripe on one machine: its API, hosted Checkout and webhooks, for the parts that the bureau uses.

The real SDK talks to it through `base_addresses` and finds the shapes of the pinned API version. It refuses what
Stripe refuses, and it does on command what Stripe does only on a bad day: `Control` holds the switches.
"""

from local.stripe_stand_in.client import Control, pay
from local.stripe_stand_in.launcher import StripeStandIn

__all__ = ["Control", "StripeStandIn", "pay"]
