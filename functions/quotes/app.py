"""Quotes."""

from printshop.http import create_app, lambda_handler

app = create_app("Quotes")
handler = lambda_handler(app)
