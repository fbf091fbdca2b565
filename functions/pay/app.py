"""Pay: the link on the papers, and the payment page for those who are logged in."""

from typing import Annotated

from fastapi import Path, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from printshop.errors import ApiError
from printshop.http import ClientOrAdmin, Data, Model, Provided, create_app, lambda_handler
from printshop.payments.checkout import page_for_invoice, page_for_token
from printshop.payments.pages import refusal_page

app = create_app("Pay")
handler = lambda_handler(app)


class PaymentSession(Model):
    url: str
    session_id: str


@app.get("/api/pay/{token}", status_code=303)
def pay(token: Annotated[str, Path(min_length=1, max_length=100)], services: Provided) -> Response:
    try:
        page = page_for_token(services.database, services.stripe, token)
    except ApiError as error:
        # A person holds this link, not a program: the reason comes as a page, under its own status.
        return HTMLResponse(refusal_page(error), status_code=error.status)
    return RedirectResponse(page.url, status_code=303)


@app.post("/api/invoices/{id}/stripe-session")
def stripe_session(
    id: Annotated[int, Path(ge=1, le=2**53)],
    user: ClientOrAdmin,
    services: Provided,
    refresh: bool = False,
) -> Data[PaymentSession]:
    page = page_for_invoice(services.database, services.stripe, user, id, refresh=refresh)
    return Data(data=PaymentSession(url=page.url, session_id=page.session_id))
