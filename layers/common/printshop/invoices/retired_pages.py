"""Payment pages that a change of their invoice has taken out of use."""

from printshop.payments.events import close_pages
from printshop.services import Services


def expire_page(services: Services, session_id: str | None) -> None:
    """Have Stripe close a page that a committed change has retired. Paid all the same, it is booked and flagged."""
    if session_id is not None:
        close_pages(services.stripe, [session_id])
