import pytest

from printshop.adapters.chromium.interception import Request


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("data:image/png;base64,AAAA", "Image"),
        ("DATA:font/woff2;base64,AAAA", "Font"),
        ("about:blank", "Document"),
        ("about:srcdoc", "Document"),
    ],
)
def test_what_is_written_into_the_page_is_allowed(url: str, kind: str) -> None:
    assert Request(url, kind).allowed


@pytest.mark.parametrize(
    "kind",
    [
        "Image",
        "Media",
        "XHR",
        "Fetch",
        "Stylesheet",
        "Font",
        "Script",
        "Document",
        "WebSocket",
        "EventSource",
        "Ping",
    ],
)
@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/x",
        "http://127.0.0.1:8080/x",
        "http://169.254.169.254/latest/meta-data/",
        "file:///etc/passwd",
        "ftp://example.com/x",
        "blob:null/1",
        "ws://127.0.0.1/",
        "",
    ],
)
def test_everything_from_outside_is_refused_whatever_its_kind(url: str, kind: str) -> None:
    assert not Request(url, kind).allowed


def test_a_refused_navigation_leaves_the_page_where_it_is() -> None:
    assert Request("http://x.example/", "Document").refusal == "Aborted"
    assert Request("http://x.example/", "Image").refusal == "BlockedByClient"


def test_the_log_shows_the_beginning_of_an_address() -> None:
    assert len(Request("http://x.example/" + "a" * 5000, "Image").shown) == 200
