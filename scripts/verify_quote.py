"""`make verify-quote ID=…`: computes a quote's grams, cents and totals again from its snapshot alone.

Works on the project named by NEXT_PUBLIC_SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY, or else on the stack that
`make up` serves. Exit status: 0 if every figure is equal, 1 if one differs, 2 if the quote cannot be read.
"""

import sys
from typing import Any

import httpx

from printshop.kernel.money import format_money
from printshop.quotes.verify import NoSnapshot, Verification, verify
from scripts.project import NO_PROJECT, find_project


def main() -> int:
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    if not (wanted.isascii() and wanted.isdigit() and len(wanted) <= 16):
        print("Name the quote by its id: make verify-quote ID=12", file=sys.stderr)
        return 2
    project = find_project()
    if project is None:
        print(NO_PROJECT, file=sys.stderr)
        return 2
    try:
        quote = _read(*project, int(wanted))
    except httpx.HTTPError as error:
        print(f"{project[0]} does not answer as a project does: {error}", file=sys.stderr)
        return 2
    if "error" in quote:
        print(f"Quote {wanted}: {quote['error']['message']}", file=sys.stderr)
        return 2
    try:
        verification = verify(quote)
    except NoSnapshot as error:
        print(f"Quote {quote['number']} cannot be computed: {error}")
        return 1
    print("\n".join(report(quote, verification)))
    return 1 if verification.differences else 0


def _read(url: str, key: str, quote_id: int) -> dict[str, Any]:
    response = httpx.post(
        f"{url}/rest/v1/rpc/get_quote",
        json={"p_quote_id": quote_id, "p_client_id": None},
        headers={"apikey": key, "Authorization": f"Bearer {key}"},
        timeout=30,
    )
    response.raise_for_status()
    answer: dict[str, Any] = response.json()
    return answer


def report(quote: dict[str, Any], verification: Verification) -> list[str]:
    """A table, line by line, and below it what differs."""
    currency = quote["currency"]
    lines = [f"Quote {quote['number']}, computed from its snapshot", ""]
    lines.append(f"{'':>4}  {'what':<40} {'grams':>10}    {'unit price':>14} {'line':>14}")
    for line in verification.lines:
        grams = "" if line.mass_mg is None else f"{line.mass_mg * line.pieces / 1000:.3f}"
        price, total = (format_money(cents, currency) for cents in (line.unit_price_cents, line.total_cents))
        arrow = "→" if grams else " "
        lines.append(
            f"{line.position:>4}  {line.description[:40]:<40} {grams:>10}  {arrow} {price:>14} {total:>14}"
        )
    lines += [f"{'':>4}  {'total':<69} {format_money(verification.total_cents, currency):>14}", ""]
    if not verification.differences:
        return [*lines, "Every figure is equal."]
    return [
        *lines,
        *(
            f"DIFFERS  {each.where}: computed {each.computed}, found {each.found}"
            for each in verification.differences
        ),
    ]


if __name__ == "__main__":
    sys.exit(main())
