"""Nothing leaves the page: a server on loopback counts what arrives, and nothing does."""

import asyncio
import base64
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from pypdf import PageObject

from printshop.adapters.chromium.renderer import Renderer
from printshop.documents.template import render_html
from tests.integration.documents.probes import CountingServer, Run, page, read, text_of
from tests.unit.documents.documents import LOGO, business, invoice, item

PNG = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"
    "AAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

SEEN = [
    ("Image", '<img alt="" src="{url}/image.png">'),
    ("Image", '<div style="background: url({url}/background.png)">x</div>'),
    ("Image", '<svg width="9" height="9"><image href="{url}/svg.png" width="9" height="9"/></svg>'),
    ("Media", '<video src="{url}/film.mp4"></video>'),
    ("Media", '<audio src="{url}/sound.mp3" autoplay></audio>'),
    ("Stylesheet", '<link rel="stylesheet" href="{url}/style.css">'),
    ("Stylesheet", '<style>@import "{url}/import.css";</style>'),
    (
        "Font",
        "<style>@font-face {{ font-family: F; src: url({url}/font.woff2) }} p {{ font-family: F }}</style><p>x</p>",
    ),
    ("Document", '<iframe src="{url}/frame"></iframe>'),
    ("Document", '<object data="{url}/object"></object>'),
    ("Document", '<embed src="{url}/embed">'),
    ("Document", '<meta http-equiv="refresh" content="0; url={url}/refresh">'),
    ("Image", '<iframe srcdoc="&lt;img src={url}/inner.png&gt;"></iframe>'),
    ("Image", '<link rel="preload" as="image" href="{url}/preload.png">'),
    ("Image", '<iframe src="data:text/html,&lt;img src={url}/in-data.png&gt;"></iframe>'),
    ("Image", '<ul style="list-style-image: url({url}/bullet.png)"><li>x</li></ul>'),
    (
        "Document",
        "<iframe src=\"data:text/html,&lt;meta http-equiv=refresh content='0;url={url}/from-data'&gt;\"></iframe>",
    ),
]
"""What Chromium asks for, and what it calls that."""

UNSEEN = [
    '<link rel="preconnect" href="{url}">',
    '<link rel="dns-prefetch" href="{url}">',
    '<link rel="prefetch" href="{url}/prefetch">',
    '<link rel="icon" href="{url}/icon.png">',
    '<script src="{url}/script.js"></script>',
    "<script>fetch('{url}/fetch'); navigator.sendBeacon('{url}/beacon')</script>",
    "<script>new WebSocket('{url}'.replace('http', 'ws')); new EventSource('{url}/events')</script>",
    "<script>const r = new XMLHttpRequest(); r.open('GET', '{url}/xhr'); r.send()</script>",
    '<form action="{url}/form"><input autofocus></form>',
    '<a href="{url}/link" ping="{url}/ping">x</a>',
    '<img alt="" src="x" onerror="this.src=\'{url}/handler.png\'">',
    '<base href="{url}/">',
    "<portal src='{url}/portal'></portal>",
    '<svg width="9" height="9"><use href="{url}/sprite.svg#shape"/></svg>',
    "<svg><filter id='f'><feImage href='{url}/filter.png'/></filter><rect filter='url(#f)' width='9'/></svg>",
    '<p style="clip-path: url({url}/clip.svg#shape)">x</p>',
    "<iframe srcdoc=\"&lt;script&gt;fetch('{url}/inner-fetch')&lt;/script&gt;\"></iframe>",
    "<iframe src=\"data:text/html,&lt;script&gt;new WebSocket('ws'+'{url}'.slice(4))&lt;/script&gt;\"></iframe>",
    "<script>location = '{url}/location'; open('{url}/window')</script>",
    "<script>new Worker('{url}/worker.js'); navigator.serviceWorker?.register('{url}/service.js')</script>",
    '<a href="{url}/page" download>x</a><link rel="manifest" href="{url}/manifest.json">',
    '<link rel="modulepreload" href="{url}/module.js"><link rel="prerender" href="{url}/prerender">',
]
"""What Chromium does behind interception's back, or only for scripts."""


@pytest.fixture
def print_watched(renderer: Renderer, run: Run, outside: CountingServer) -> Callable[[str], bytes]:
    """Print, and leave a moment for a late request."""

    async def printed(html: str) -> bytes:
        contents = await renderer.pdf(html)
        await asyncio.sleep(0.05)
        return contents

    def watched(html: str) -> bytes:
        work: Coroutine[Any, Any, bytes] = printed(html)
        contents: bytes = run(work)
        return contents

    return watched


@pytest.mark.parametrize(("kind", "snippet"), SEEN)
def test_a_request_for_something_outside_is_refused_and_logged(
    print_watched: Callable[[str], bytes],
    outside: CountingServer,
    blocked: list[dict[str, Any]],
    kind: str,
    snippet: str,
) -> None:
    contents = print_watched(page("<p>before</p>" + snippet.format(url=outside.url) + "<p>after</p>"))
    assert outside.hits == 0
    assert "before" in text_of(contents)
    assert "after" in text_of(contents)
    assert kind in {refused["kind"] for refused in blocked}
    assert all(refused["url"].startswith(outside.url) for refused in blocked)


@pytest.mark.parametrize("snippet", UNSEEN)
def test_a_connection_that_interception_does_not_see_is_not_made(
    print_watched: Callable[[str], bytes], outside: CountingServer, snippet: str
) -> None:
    contents = print_watched(page("<p>before</p>" + snippet.format(url=outside.url) + "<p>after</p>"))
    assert outside.hits == 0
    assert "after" in text_of(contents)


@pytest.mark.parametrize("host", ["localhost", "[::ffff:127.0.0.1]", "127.1", "2130706433"])
def test_no_spelling_of_the_address_gets_through(
    print_watched: Callable[[str], bytes], outside: CountingServer, host: str
) -> None:
    url = f"http://{host}:{outside.port}"
    print_watched(page("".join(snippet.format(url=url) for _, snippet in SEEN) + UNSEEN[0].format(url=url)))
    assert outside.hits == 0


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/latest/",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
    ],
)
def test_a_metadata_service_and_other_schemes_are_refused_in_every_place(
    print_watched: Callable[[str], bytes], blocked: list[dict[str, Any]], address: str
) -> None:
    places = (
        '<img alt="" src="{url}">',
        '<iframe src="{url}"></iframe>',
        "<style>p {{ background: url({url}) }}</style>",
    )
    contents = print_watched(page("<p>before</p>" + "".join(place.format(url=address) for place in places)))
    assert text_of(contents) == "before"
    assert address.startswith("file:") or {refused["url"] for refused in blocked} == {address}


def test_a_local_file_is_not_read(print_watched: Callable[[str], bytes]) -> None:
    snippets = '<iframe src="file:///etc/passwd"></iframe><object data="file:///etc/hostname"></object>'
    assert "root" not in text_of(print_watched(page(f"<p>x</p>{snippets}")))


def test_a_picture_in_the_page_is_shown(
    print_watched: Callable[[str], bytes], blocked: list[dict[str, Any]]
) -> None:
    contents = print_watched(page(f'<img alt="dot" width="50" src="{PNG}">'))
    assert len(read(contents).pages[0].images) == 1
    assert blocked == []


def test_a_font_in_the_page_is_used(renderer: Renderer, run: Run, chromium: Any) -> None:
    file = next(chromium.fonts.parent.rglob("NotoSansThai_400Regular.ttf"))
    font = base64.b64encode(file.read_bytes()).decode()
    face = f"@font-face {{ font-family: F; src: url(data:font/ttf;base64,{font}) }}"
    style = f"<style>{face} p {{ font: 20px F }}</style>"
    fonts = read(run(renderer.pdf(page("<p>inline</p>", style)))).pages[0]["/Resources"]["/Font"]  # type: ignore[index]
    assert any("NotoSansThai" in font.get_object()["/BaseFont"] for font in fonts.values())


def test_our_own_pages_ask_for_nothing(
    print_watched: Callable[[str], bytes], blocked: list[dict[str, Any]]
) -> None:
    print_watched(render_html(invoice(paid=True), business(logoDataUrl=LOGO)))
    assert blocked == []


def test_hostile_data_stays_text_loads_nothing_and_keeps_the_layout(
    print_watched: Callable[[str], bytes], outside: CountingServer, blocked: list[dict[str, Any]]
) -> None:
    url = outside.url
    hostile = [
        f'<img src="{url}/x">',
        "<script>document.title = 'owned'</script>",
        f"</style><style>@import '{url}/css';",
        f"url({url}/u)",
        "{{ 7 * 7 }}{% raw %}",
        "NUL\x00byte",
        "Ελληνικά Кириллица Łódź",
        "שלום עולם",
    ]
    lines = [item(number, description=text) for number, text in enumerate(hostile, 1)]
    text = " ".join(hostile)
    document = invoice(items=lines, notes=text, terms=text, client={"name": text}, number=hostile[2])
    contents = print_watched(render_html(document, business(name=text, address=text, bankDetails=text)))
    assert outside.hits == 0
    assert blocked == []
    found = text_of(contents).replace(" ", "")
    for expected in (*hostile[:5], "NULbyte", hostile[6]):
        assert expected.replace(" ", "") in found
    assert any(word in found for word in ("שלום", "םולש"))
    assert read(contents).metadata.title == f"Tax invoice {hostile[2]}"  # type: ignore[union-attr]


def starts_of_text(sheet: PageObject) -> list[float]:
    """Where pieces of text begin, in points from the left edge."""
    places: list[float] = []

    def visit(text: str, matrix: list[float], text_matrix: list[float], *_: object) -> None:
        if text.strip():
            places.append(text_matrix[4] * matrix[0] + matrix[4])

    sheet.extract_text(visitor_text=visit)
    return places


def test_a_word_of_ten_thousand_letters_stays_on_its_paper(print_watched: Callable[[str], bytes]) -> None:
    document = invoice(items=[item(1, description="W" * 10_000), item(2)], notes="M" * 10_000)
    pages = read(print_watched(render_html(document, business(name="N" * 300)))).pages
    assert 2 < len(pages) < 20
    right_margin = 595.92 - 16 * 72 / 25.4
    assert max(x for sheet in pages for x in starts_of_text(sheet)) < right_margin
    assert "$97.00" in "".join(sheet.extract_text() for sheet in pages)
