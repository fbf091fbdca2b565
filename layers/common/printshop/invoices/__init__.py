"""Invoices: written, paid, sent and closed by the shop; read by whose they are."""
