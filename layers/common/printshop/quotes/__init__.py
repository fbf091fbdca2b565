"""Quotes: drafted and priced, sent, accepted or declined, and converted to an invoice."""
