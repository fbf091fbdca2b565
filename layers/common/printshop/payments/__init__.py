"""Money in: the pay link, Stripe Checkout and Stripe's events."""
