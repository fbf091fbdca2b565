"""Payment pages that a change of their invoice has taken out of use."""

from printshop.errors import ApiError
from printshop.log import get_logger
from printshop.services import Services

log = get_logger()


def expire_page(services: Services, session_id: str | None) -> None:
    """Have Stripe close a page that the database no longer knows. The change is committed, so a Stripe that does not
    answer is only logged: should the page be paid after all, the payment is booked and flagged."""
    if session_id is None:
        return
    try:
        services.stripe.expire_session(session_id)
    except ApiError as error:
        log.warn(scope="invoices.page_left_open", error=error, data={"sessionId": session_id})
