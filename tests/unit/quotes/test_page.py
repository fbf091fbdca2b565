"""Who gets a quote's page, and who its JSON."""

import pytest

from functions.quotes.pages import prefers_page

CHROME = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "page"),
    [
        (CHROME, True),
        ("text/html", True),
        ("TEXT/HTML; q=0.5, */*; q=0.1", True),
        ("application/json;q=0.4, text/html;q=0.5", True),
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("application/json, text/html", False),
        ("application/json, text/html;q=0.9", False),
        ("text/html;q=0", False),
        ("text/html;q=nonsense", False),
        ("text/html;q=nan", False),
        (",;=q,,", False),
    ],
)
def test_a_browser_gets_the_page_and_a_program_the_json(accept: str, page: bool) -> None:
    assert prefers_page(accept) is page
