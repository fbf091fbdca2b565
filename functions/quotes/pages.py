"""The page that a quote's link shows to a person: what is offered, for how much, and two buttons.

Everything is inline and escaped. The script is one constant text, allowed by its hash alone, and speaks to the
page's own address only.
"""

from collections.abc import Mapping
from datetime import date
from html import escape

from printshop.http.headers import page_policy
from printshop.invoices.schemas import InvoiceItem
from printshop.kernel.errors import ApiError
from printshop.kernel.money import currency_note, format_money
from printshop.quotes.schemas import PublicQuote

_STYLE = """
body { font: 17px/1.5 system-ui, sans-serif; color: #1d2733; background: #f4f6f8; margin: 0 }
main { background: #fff; max-width: 46rem; margin: 2rem auto; padding: 2rem 2.25rem; border-radius: 12px;
  box-shadow: 0 1px 3px rgb(0 0 0 / .12) }
h1 { font-size: 1.35rem; margin: 0 0 .5rem }
p { margin: 0 0 1rem; white-space: pre-line; overflow-wrap: anywhere }
table { width: 100%; border-collapse: collapse; margin: 0 0 1rem }
th, td { padding: .4rem 0 .4rem .75rem; text-align: right; vertical-align: top; border-bottom: 1px solid #e3e8ee }
th:first-child, td:first-child { padding-left: 0; text-align: left; overflow-wrap: anywhere }
tfoot td { border: 0; padding-top: .2rem; padding-bottom: .2rem }
tfoot tr:last-child { font-weight: 600 }
#state { font-weight: 600 }
textarea { width: 100%; box-sizing: border-box; font: inherit; margin: .25rem 0 1rem }
button { font: inherit; padding: .5rem 1.25rem; margin-right: .75rem; border-radius: 8px; border: 1px solid #1d2733;
  background: #fff; color: #1d2733; cursor: pointer }
button[value=accept] { background: #1d2733; color: #fff }
"""

_SCRIPT = """
const form = document.querySelector("form"), state = document.getElementById("state");
if (form) form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const decision = event.submitter.value, buttons = form.querySelectorAll("button");
  buttons.forEach((button) => { button.disabled = true; });
  try {
    const answer = await fetch(location.pathname + "/" + decision, {
      method: "POST", headers: {"Content-Type": "application/json"},
      body: JSON.stringify({note: form.elements.note.value || null}),
    });
    const body = await answer.json();
    state.textContent = answer.ok
      ? (decision === "accept" ? "Thank you. You accepted this quote." : "You declined this quote.")
      : body.error.message;
    if (answer.ok || answer.status === 409) { form.remove(); return; }
  } catch (error) {
    state.textContent = "That did not arrive. Please try again.";
  }
  buttons.forEach((button) => { button.disabled = false; });
});
"""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{title}</title>
<style>{style}</style>
</head>
<body><main>
<h1>{title}</h1>
{body}
</main><script>{script}</script></body>
</html>
"""

_FORM = """<form>
<label for="note">A note to us, if you like</label>
<textarea id="note" name="note" rows="3" maxlength="2000"></textarea>
<button value="accept">Accept</button><button value="decline">Decline</button>
<noscript><p>Your browser runs no scripts here: please answer us by e-mail or phone.</p></noscript>
</form>"""

_STATES = {
    "ACCEPTED": "You accepted this quote. Thank you.",
    "DECLINED": "This quote was declined.",
    "CONVERTED": "This quote was accepted, and its invoice is written.",
}


PAGE_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": page_policy(style=_STYLE, script=_SCRIPT),
    "Vary": "Accept",
}


def prefers_page(accept: str) -> bool:
    """Whether an Accept header would rather have HTML than JSON: a browser's does, a program's `*/*` does not."""
    weights: dict[str, float] = {}
    for part in accept.lower().split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        weight = next((text[2:] for text in parameters if text.startswith("q=")), "1")
        try:
            weights[kind] = float(weight)
        except ValueError:
            continue
    page = weights.get("text/html", 0)
    return page > weights.get("application/json", weights.get("application/*", 0))


def quote_page(quote: PublicQuote) -> str:
    """HTML of a quote and, while it is open, the buttons to answer it."""
    business = quote.business
    contact = " · ".join(text for text in (business.phone, business.email) if text)
    abn = f"ABN {business.abn}" if business.abn else ""
    sender = "\n".join(text for text in (business.name, business.address, abn, contact) if text)
    parts = [
        _paragraph(sender),
        _paragraph("For " + (quote.client.company or quote.client.name)),
        _lines(quote),
        _paragraph(quote.notes),
        _paragraph(quote.terms),
        f'<p id="state" role="status">{escape(_state(quote))}</p>',
        _paragraph(f"Your note: {quote.decision_note}" if quote.decision_note else ""),
        _FORM if quote.can_be_decided else "",
    ]
    return _page(f"Quote {quote.number}", "\n".join(part for part in parts if part))


def error_page(error: ApiError) -> str:
    """HTML that says why there is no quote and what to do."""
    title = "Unknown link" if error.code == "QUOTE_NOT_FOUND" else "Please try again"
    return _page(title, _paragraph(error.message))


def _page(title: str, body: str) -> str:
    return _PAGE.format(title=escape(title), style=_STYLE, script=_SCRIPT, body=body)


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>" if text else ""


def _state(quote: PublicQuote) -> str:
    until = _day(quote.valid_until)
    if quote.can_be_decided:
        return f"Valid until {until}."
    return _STATES.get(quote.status, f"This quote expired: it was valid until {until}. Ask us for a new one.")


def _day(text: str) -> str:
    day = date.fromisoformat(text)
    return f"{day.day} {day:%B} {day.year}"


def _lines(quote: PublicQuote) -> str:
    def money(cents: int) -> str:
        return escape(format_money(cents, quote.currency))

    def row(item: InvoiceItem) -> str:
        quantity = f"{item.quantity:,.3f}".rstrip("0").rstrip(".")
        price, total = money(item.unit_price_cents), money(item.total_cents)
        return (
            f"<tr><td>{escape(item.description)}</td><td>{quantity}</td><td>{price}</td><td>{total}</td></tr>"
        )

    sums = [("Subtotal", quote.subtotal_cents)]
    if quote.discount_cents:
        sums.append(("Discount", -quote.discount_cents))
    if quote.shipping_cents:
        sums.append((quote.shipping_label or "Shipping", quote.shipping_cents))
    total = f"Total {currency_note(quote.currency)}".strip()
    sums += [(f"Tax {quote.tax_rate_bps / 100:g} %", quote.tax_cents), (total, quote.total_cents)]
    foot = "".join(
        f'<tr><td colspan="3">{escape(label)}</td><td>{money(cents)}</td></tr>' for label, cents in sums
    )
    head = "<tr><th>Item</th><th>Quantity</th><th>Price</th><th>Amount</th></tr>"
    body = "".join(row(item) for item in quote.items)
    return f"<table><thead>{head}</thead><tbody>{body}</tbody><tfoot>{foot}</tfoot></table>"
