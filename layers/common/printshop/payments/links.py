"""The links on papers and in mails."""

from printshop.settings import Settings


def pay_link(settings: Settings, pay_token: str) -> str:
    """Lives as long as the invoice; a Checkout session's own link dies in a day."""
    return f"{settings.next_public_app_url}/api/pay/{pay_token}"


def accept_link(settings: Settings, public_token: str) -> str:
    """Where the holder of a quote views, accepts or declines it."""
    return f"{settings.next_public_app_url}/api/public/quotes/{public_token}"
