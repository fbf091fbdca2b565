"""Docs."""

from printshop.http import create_app, lambda_handler

app = create_app("Docs")
handler = lambda_handler(app)
