"""The hosted Checkout page: the amount due, a form to pay it, and a closing page once it is paid or expired."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, select_autoescape

from devstack.stripe import cards, payments, sessions
from devstack.stripe.currencies import display
from devstack.stripe.merchant import Merchant
from devstack.stripe.payment_objects import BECS
from devstack.stripe.session_objects import Payer
from devstack.stripe.store import Body

_SECURITY = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=select_autoescape(),
    trim_blocks=True,
    lstrip_blocks=True,
)


def router(merchant: Merchant) -> APIRouter:
    """GET and POST /c/pay/{session}."""
    pages = APIRouter()

    @pages.get("/c/pay/{session_id}")
    async def show(session_id: str) -> Response:
        sessions.expire_due(merchant)
        session = merchant.store.get("checkout.session", session_id)
        if session is None or session["status"] != "open":
            return _closed(session)
        return _form(merchant, session)

    @pages.post("/c/pay/{session_id}")
    async def pay(session_id: str, request: Request) -> Response:
        sent = parse_qs((await request.body()).decode("utf-8", "replace"))
        fields = {name: values[-1].strip() for name, values in sent.items()}
        sessions.expire_due(merchant)
        session = merchant.store.get("checkout.session", session_id)
        if session is not None and session["status"] == "complete":
            return _to_success(session)
        if session is None or session["status"] != "open":
            return _closed(session)
        return _pay(merchant, session, fields)

    return pages


def _pay(merchant: Merchant, session: Body, fields: dict[str, str]) -> Response:
    email = session["customer_email"] or fields.get("email") or "customer@example.com"
    payer = Payer(email, fields.get("name") or "Test Customer")
    method = fields.get("method", "card")
    if method not in session["payment_method_types"]:
        return _form(merchant, session, "This way to pay is not offered here.", status=400)
    if method == BECS:
        payments.pay_by_debit(merchant, session, payer)
        return _to_success(session)
    card = cards.find(fields.get("card", cards.GOOD))
    if card is None:
        return _form(merchant, session, "Your card number is not one of the test cards.", status=402)
    try:
        payments.pay_by_card(merchant, session, card, payer)
    except payments.Declined as declined:
        return _form(merchant, session, str(declined), status=402)
    return _to_success(session)


def _form(merchant: Merchant, session: Body, refused: str = "", status: int = 200) -> Response:
    products = merchant.store.private(session["id"])["products"]
    return _page(
        "pay.html",
        status,
        title=f"Pay {products[0]['name']}",
        lines=products,
        amount=display(session["amount_total"], session["currency"]),
        refused=refused,
        email=session["customer_email"] or "customer@example.com",
        card=cards.GOOD,
        takes_card="card" in session["payment_method_types"],
        takes_debit=BECS in session["payment_method_types"],
        cancel_url=_filled(session["cancel_url"], session),
    )


def _closed(session: Body | None) -> Response:
    if session is None:
        return _page(
            "closed.html",
            404,
            title="Nothing here",
            sentence="The page you were looking for could not be found.",
        )
    if session["status"] == "complete":
        link = _filled(session["success_url"], session)
        sentence = "This payment has been made. There is nothing left to do."
        return _page("closed.html", 200, title="You're all done here", sentence=sentence, link=link)
    link = _filled(session["cancel_url"], session)
    sentence = "This payment page has expired. Ask the shop for a new link."
    return _page("closed.html", 410, title="This link has expired", sentence=sentence, link=link)


def _to_success(session: Body) -> Response:
    url = _filled(session["success_url"], session)
    return RedirectResponse(url or "/", 303, {"Cache-Control": "no-store"})


def _filled(url: str | None, session: Body) -> str | None:
    return url.replace("{CHECKOUT_SESSION_ID}", session["id"]) if url else None


def _page(name: str, status: int, **values: Any) -> Response:
    return HTMLResponse(_templates.get_template(name).render(**values), status, _SECURITY)
