"""Back office."""

from printshop.http import create_app, lambda_handler

app = create_app("Back office")
handler = lambda_handler(app)
