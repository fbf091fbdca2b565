"""The outside world, one module each: database, storage, queues, Stripe, e-mail, Chromium, the sandbox."""
