"""Clients."""

from printshop.http import create_app, lambda_handler

app = create_app("Clients")
handler = lambda_handler(app)
