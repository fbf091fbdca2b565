"""The small page that a pay link shows when there is nothing to pay, or nothing to pay with."""

from collections.abc import Mapping
from html import escape

from printshop.http.headers import page_policy
from printshop.kernel.errors import ApiError

_STYLE = """
body { font: 17px/1.5 system-ui, sans-serif; color: #1d2733; background: #f4f6f8; margin: 0;
  display: grid; place-items: center; min-height: 100vh }
main { background: #fff; max-width: 26rem; margin: 1rem; padding: 2rem 2.25rem; border-radius: 12px;
  box-shadow: 0 1px 3px rgb(0 0 0 / .12) }
h1 { font-size: 1.35rem; margin: 0 0 .5rem }
p { margin: 0 }
"""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body><main><h1>{title}</h1><p>{message}</p></main></body>
</html>
"""

PAGE_HEADERS: Mapping[str, str] = {"Content-Security-Policy": page_policy(style=_STYLE)}

_TITLES = {
    "ALREADY_PAID": "Paid, thank you",
    "NOT_PAYABLE": "Nothing to pay",
    "PAYMENT_UNDER_WAY": "Your payment is on its way",
    "BELOW_MINIMUM": "Too small for a card payment",
    "ABOVE_MAXIMUM": "Too large for a card payment",
    "NO_CARD_AMOUNT": "Not by card",
    "CHECKOUT_REFUSED": "Not by card",
    "INVOICE_NOT_FOUND": "Unknown link",
    "STRIPE_NOT_CONFIGURED": "No card payments",
}


def error_page(error: ApiError) -> str:
    """HTML that says why there is no payment page and what to do. No scripts, nothing loaded."""
    title = _TITLES.get(error.code, "Please try again")
    return _PAGE.format(title=escape(title), style=_STYLE, message=escape(error.message))
