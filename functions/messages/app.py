"""Messages."""

from printshop.http import create_app, lambda_handler

app = create_app("Messages")
handler = lambda_handler(app)
