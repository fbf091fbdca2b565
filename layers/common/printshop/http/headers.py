"""What every answer tells a browser to leave alone: set here, for answers, refusals, pages and redirects alike.

A route that sets one of these headers itself keeps its own. API Gateway's own answers (an unknown route, a preflight,
a throttled request) do not pass here: they carry no content of ours.
"""

import base64
import hashlib

type Headers = list[tuple[bytes, bytes]]

NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""JSON, redirects and refusals need nothing; should a browser take one for a page, it may do nothing."""
PAPER = "default-src 'none'; style-src 'unsafe-inline'; object-src 'self'; frame-ancestors 'none'"
"""A browser shows a PDF by a page of its own around it, under the PDF's policy."""

UNCHANGING = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"strict-transport-security", b"max-age=31536000"),
    (b"cross-origin-opener-policy", b"same-origin"),
    # The shop's pages may live beside the API, on another host of its site: they show previews.
    (b"cross-origin-resource-policy", b"same-site"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    # Whatever is for everybody says so itself.
    (b"cache-control", b"no-store"),
)


def secure(headers: Headers) -> None:
    """Add to an answer's headers whatever of ours is not there yet."""
    present = {name.lower(): value for name, value in headers}
    headers.extend(pair for pair in UNCHANGING if pair[0] not in present)
    if b"content-security-policy" not in present:
        is_pdf = present.get(b"content-type", b"").startswith(b"application/pdf")
        headers.append((b"content-security-policy", (PAPER if is_pdf else NOTHING).encode()))


def page_policy(*, style: str, script: str | None = None) -> str:
    """Content-Security-Policy of a page whose one style and one script stand in it, each allowed by its hash alone.
    The script may speak to the page's own origin; without one, nothing speaks to anybody."""
    scripts = f"script-src {_hash(script)}; connect-src 'self'; " if script is not None else ""
    return f"{NOTHING}; {scripts}style-src {_hash(style)}"


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"
