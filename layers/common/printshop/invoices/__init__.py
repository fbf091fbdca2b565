"""Invoices: written, paid, sent and closed by the shop; read by whose they are."""

from printshop.invoices.models import (
    Invoice,
    InvoiceItem,
    InvoicePayment,
    InvoiceStatus,
    InvoiceSummary,
    invoice_of,
)
from printshop.invoices.reading import get_invoice, list_invoices

__all__ = [
    "Invoice",
    "InvoiceItem",
    "InvoicePayment",
    "InvoiceStatus",
    "InvoiceSummary",
    "get_invoice",
    "invoice_of",
    "list_invoices",
]
