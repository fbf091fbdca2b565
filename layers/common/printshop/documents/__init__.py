"""Invoices and quotes as PDF: document → page (Jinja2) → print (Chromium) → cache and storage.

`service` is the use case; `browser` is the only module that knows pyppeteer; `process` starts and ends Chromium.
"""
