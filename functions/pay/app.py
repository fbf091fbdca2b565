"""Pay: the link on the papers, and the payment page for those who are logged in."""

from typing import Annotated, Any

from fastapi import Path, Query, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import Field

from printshop.errors import ApiError
from printshop.http import ClientOrAdmin, Data, Model, Provided, create_app, lambda_handler, refusals
from printshop.payments.checkout import page_for_invoice, page_for_token
from printshop.payments.pages import PAGE_HEADERS, refusal_page

app = create_app("Pay")
handler = lambda_handler(app)


class PaymentSession(Model):
    """Stripe's payment page for the balance."""

    url: Annotated[str, Field(examples=["https://checkout.stripe.com/c/pay/cs_test_a1b2c3"])]
    session_id: Annotated[str, Field(examples=["cs_test_a1b2c3"])]


UNPAYABLE = ("404 INVOICE_NOT_FOUND", "409 ALREADY_PAID", "409 NOT_PAYABLE", "409 BELOW_MINIMUM")
STRIPE_DOWN = ("503 STRIPE_NOT_CONFIGURED", "503 STRIPE_UNAVAILABLE", "503 CHECKOUT_UNAVAILABLE")

A_PAGE: dict[int | str, dict[str, Any]] = {
    status: {"description": reason, "content": {"text/html": {"schema": {"type": "string"}}}}
    for status, reason in {
        404: "No invoice has this link; a page says so",
        409: "There is nothing to pay, or too little; a page says which",
        503: "Stripe does not answer, or is not set up; a page says so",
    }.items()
}


@app.get(
    "/api/pay/{token}", status_code=303, tags=["Payments"], response_class=RedirectResponse, responses=A_PAGE
)
def pay(
    token: Annotated[str, Path(min_length=1, max_length=100, description="Of the invoice's link")],
    services: Provided,
) -> Response:
    """The link on papers and in mails: on to a payment page of the moment. Whoever holds the link may pay."""
    try:
        page = page_for_token(services.database, services.stripe, token)
    except ApiError as error:
        # A person holds this link, not a program: the reason comes as a page, under its own status.
        return HTMLResponse(refusal_page(error), error.status, PAGE_HEADERS)
    return RedirectResponse(page.url, status_code=303)


@app.post(
    "/api/invoices/{id}/stripe-session", tags=["Payments"], responses=refusals(*UNPAYABLE, *STRIPE_DOWN)
)
def stripe_session(
    id: Annotated[int, Path(ge=1, le=2**53)],
    user: ClientOrAdmin,
    services: Provided,
    refresh: Annotated[bool, Query(description="Retire the page that is open and make another")] = False,
) -> Data[PaymentSession]:
    """The payment page of an invoice's balance: the one that is open, or a new one."""
    page = page_for_invoice(services.database, services.stripe, user, id, refresh=refresh)
    return Data(data=PaymentSession(url=page.url, session_id=page.session_id))
