"""Workshop."""

from printshop.http import create_app, lambda_handler

app = create_app("Workshop")
handler = lambda_handler(app)
