"""What the description says about the API as a whole, and about each noun."""

TITLE = "printshop"

DESCRIPTION = """\
The back end of a 3D-print bureau: upload a model, have it sliced and priced, order it, pay the invoice; for the shop,
its clients, quotes, invoices, jobs and settings.

**Login.** `POST /api/auth/login` answers an access token. Send it as `Authorization: Bearer …`, or let a browser send
the cookie `sb:token` that the answer sets. A write that rides on the cookie needs an `Origin` header of the shop's
own pages (else 403 `ORIGIN_MISMATCH`). A client's login sees the client's own rows; a row of somebody else's is 404.

**Answers.** Success is `{"data": …}`, failure `{"error": {"code", "message", "details"}}`: `code` is stable and
upper-case, one per cause; `message` says what to do next; `details` holds field paths or the state that was met.
Every answer carries `x-correlation-id`. The gateway answers 429 of its own when it is called too fast.

**Lists** take `limit` (50, at most 200), `cursor`, and where stated `q` and `sort`. Send `nextCursor` back as
`cursor` for the next page; null ends the list.

**Money** is integers in minor units of the document's currency, in fields named `…Cents` (JPY has no decimals).
Rates are basis points (`…Bps`, 1000 is 10 %), quantities have at most 3 decimals. Prices are without GST, which is a
line of its own. Moments are UTC, days are those of the business.

**Twice is once.** A route that takes `Idempotency-Key` answers the same for the same key for 7 days; the same key
with another body is 422 `IDEMPOTENCY_KEY_REUSED`.

**Files** go to and come from storage by signed URLs; an upload URL lives 2 hours, a download URL minutes.
"""

TAGS = {
    "Account": "Sign up, log in, stay in, get out, change and recover a password.",
    "Quick order": "From uploaded models to an invoice: upload, slice, price, check out.",
    "Temporary files": "A user's models and their g-code on the way to an order.",
    "Order files": "The models, g-code and settings that an order keeps.",
    "Portal": "What a client's own login shows: dashboard, invoices, jobs, preferences.",
    "Clients": "The shop's clients, with notes, files and statements.",
    "Users": "Who may log in.",
    "Quotes": "Quotes from draft to decision, and the invoice that one becomes.",
    "Invoices": "Invoices, their state and what belongs to them.",
    "Payments": "Payment pages, payments and refunds.",
    "Attachments": "Files beside an invoice.",
    "PDF": "Quotes, invoices, receipts and statements on paper.",
    "Jobs": "The print queue, and what finished prints taught.",
    "Printers": "The shop's printers.",
    "Materials": "What is printed with, and what it costs.",
    "Product templates": "Lines that a quote or an invoice begins with.",
    "Messages": "Between a client and the shop.",
    "Settings": "The shop's own data, rates and rules.",
    "Dashboard": "The shop's figures at a glance.",
    "Exports": "Tables as CSV.",
    "Stripe": "What Stripe tells, and what could not be matched.",
    "Health": "Alive, and ready.",
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
    "201": "Made",
    "202": "Accepted; it is worked on",
    "204": "Done; there is no body",
    "302": "Elsewhere, see Location",
    "303": "Elsewhere, see Location",
    "304": "Unchanged",
}
