"""Pay: the link on the papers, the payment page for those who are logged in, and money back."""

from typing import Annotated, Any

from fastapi import Body, Path, Query, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pages import PAGE_HEADERS, error_page
from pydantic import Field

from printshop.http.app import create_app, lambda_handler
from printshop.http.dependencies import AdminUser, ClientOrAdmin, IdempotencyKey, ServicesDep
from printshop.http.errors import error_responses
from printshop.http.parameters import RowId
from printshop.kernel.base_model import Data, StrictModel
from printshop.kernel.errors import ApiError
from printshop.payments.checkout import page_for_invoice, page_for_token
from printshop.payments.refunds import Refund, RefundRequest, refund

app = create_app("Pay")
handler = lambda_handler(app)


class PaymentSession(StrictModel):
    """Stripe's payment page for the balance."""

    url: Annotated[str, Field(examples=["https://checkout.stripe.com/c/pay/cs_test_a1b2c3"])]
    session_id: Annotated[str, Field(examples=["cs_test_a1b2c3"])]


NOT_FOUND = "404 INVOICE_NOT_FOUND"
UNPAYABLE = (
    NOT_FOUND,
    "409 ALREADY_PAID",
    "409 NOT_PAYABLE",
    "409 PAYMENT_UNDER_WAY",
    "409 BELOW_MINIMUM",
    "409 ABOVE_MAXIMUM",
    "409 NO_CARD_AMOUNT",
    "409 CHECKOUT_REFUSED",
)
STRIPE_DOWN = ("409 STRIPE_NOT_CONFIGURED", "503 STRIPE_UNAVAILABLE")
UNREFUNDABLE = (
    NOT_FOUND,
    "404 PAYMENT_NOT_FOUND",
    "409 NOT_PAID",
    "409 NOT_PAID_BY_CARD",
    "409 ALREADY_REFUNDED",
    "409 EXCEEDS_REFUNDABLE",
    "409 REFUND_REFUSED",
    "422 NO_CARD_AMOUNT",
    "422 IDEMPOTENCY_KEY_REUSED",
)


A_PAGE: dict[int | str, dict[str, Any]] = {
    status: {"description": reason, "content": {"text/html": {"schema": {"type": "string"}}}}
    for status, reason in {
        404: "No invoice has this link; a page says so",
        409: "There is nothing to pay, or not by card; a page says why",
        503: "Stripe does not answer; a page says so",
    }.items()
}


@app.get(
    "/api/pay/{token}", status_code=303, tags=["Payments"], response_class=RedirectResponse, responses=A_PAGE
)
def pay(
    token: Annotated[str, Path(min_length=1, max_length=100, description="Of the invoice's link")],
    services: ServicesDep,
) -> Response:
    """The link on papers and in mails: on to a payment page of the moment. Whoever holds the link may pay."""
    try:
        page = page_for_token(services.database, services.stripe, token)
    except ApiError as error:
        # A person holds this link, not a program: the reason comes as a page, under its own status.
        return HTMLResponse(error_page(error), error.status, PAGE_HEADERS)
    return RedirectResponse(page.url, status_code=303)


@app.post(
    "/api/invoices/{id}/stripe-session",
    tags=["Payments"],
    responses=error_responses(*UNPAYABLE, *STRIPE_DOWN, "503 CHECKOUT_UNAVAILABLE"),
)
def stripe_session(
    id: RowId,
    user: ClientOrAdmin,
    services: ServicesDep,
    refresh: Annotated[bool, Query(description="Retire the page that is open and make another")] = False,
) -> Data[PaymentSession]:
    """The payment page of an invoice's balance: the one that is open, or a new one."""
    page = page_for_invoice(services.database, services.stripe, user, id, refresh=refresh)
    return Data(data=PaymentSession(url=page.url, session_id=page.id))


@app.post(
    "/api/invoices/{id}/refunds",
    status_code=201,
    tags=["Payments"],
    responses=error_responses(*UNREFUNDABLE, *STRIPE_DOWN),
)
def refund_payment(
    id: RowId,
    body: Annotated[RefundRequest, Body(default_factory=RefundRequest)],
    key: IdempotencyKey,
    user: AdminUser,
    services: ServicesDep,
) -> Data[Refund]:
    """Give a card payment back through Stripe, whole or in part, once per key; Stripe's event books it."""
    return Data(data=refund(services.database, services.stripe, user, id, body, key))
