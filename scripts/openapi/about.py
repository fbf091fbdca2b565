"""Texts of the OpenAPI document: the API as a whole, its tags, security schemes and statuses."""

TITLE = "printshop"

DESCRIPTION = """\
The back end of a 3D-print bureau: upload a model, have it sliced and priced, order it, pay the invoice; for the shop,
its clients, quotes, invoices, jobs and settings.

**Login.** `POST /api/auth/login` answers an access token. Send it as `Authorization: Bearer …`, or let a browser send
the cookie `sb:token` that the answer sets. A write with the cookie needs an `Origin` header of the shop's
own pages (else 403 `ORIGIN_MISMATCH`). A client's login sees the client's own rows; another client's row is 404.

**Answers.** Success is `{"data": …}`, failure `{"error": {"code", "message", "details"}}`: `code` is stable and
upper-case, one per cause; `message` says what to do next; `details` holds field paths or the current state.
Every answer has an `x-correlation-id`. The gateway itself answers 429 to too many requests.

**Lists** take `limit` (50, at most 200), `cursor`, and where stated `q` and `sort`. Send `nextCursor` back as
`cursor` for the next page; null ends the list.

**Money** is integers in minor units of the document's currency, in fields named `…Cents` (JPY has no decimals).
Rates are basis points (`…Bps`, 1000 is 10 %), quantities have at most 3 decimals. Prices are without GST, which is a
line of its own. Times are UTC, dates are in the time zone of the business.

**Idempotency.** A route that takes `Idempotency-Key` gives the same answer to the same key for 7 days; the same key
with another body is 422 `IDEMPOTENCY_KEY_REUSED`.

**Files** go to and come from storage by signed URLs; an upload URL lives 2 hours, a download URL minutes.
"""

TAGS = {
    "Account": "Sign up, log in, refresh, log out, change and recover a password.",
    "Quick order": "From uploaded models to an invoice: upload, slice, price, check out.",
    "Temporary files": "A user's models and their g-code before an order.",
    "Order files": "The models, g-code and settings of an order.",
    "Portal": "What a client's own login shows: dashboard, invoices, jobs, preferences.",
    "Clients": "The shop's clients, with notes, files and statements.",
    "Users": "Who may log in.",
    "Quotes": "Quotes from draft to decision, and their conversion to an invoice.",
    "Invoices": "Invoices and changes of their status.",
    "Payments": "Checkout sessions, payments and refunds.",
    "Attachments": "Files attached to an invoice.",
    "PDF": "Quotes, invoices, receipts and statements as PDF.",
    "Jobs": "The print queue, and the actual figures of finished prints.",
    "Printers": "The shop's printers.",
    "Materials": "Materials and their costs.",
    "Product templates": "Predefined lines for quotes and invoices.",
    "Messages": "Messages between a client and the shop.",
    "Settings": "The shop's own data, rates and rules.",
    "Dashboard": "The shop's key figures.",
    "Exports": "Tables as CSV.",
    "Stripe": "Webhooks, and payments that matched no invoice.",
    "Health": "Liveness and readiness.",
    "Documentation": "This description and its page.",
}
"""In the order in which the page shows them."""

SECURITY_SCHEMES = {
    "bearerAuth": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "`accessToken` of a login.",
    },
    "cookieAuth": {
        "type": "apiKey",
        "in": "cookie",
        "name": "sb:token",
        "description": "Set by a login. A write needs a matching `Origin` as well.",
    },
}

STATUSES = {
    "200": "Done",
    "201": "Created",
    "202": "Accepted; the work continues in the background",
    "204": "Done, without a body",
    "302": "Redirect to Location",
    "303": "Redirect to Location",
    "304": "Not modified",
}
