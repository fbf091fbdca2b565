"""Quotes and invoices by e-mail: `compose` writes a message, `sender` hands it to SES, `outbox` does all of it."""
