"""The logo through the gateway: any picture in, a clean one out, and on the papers."""

import base64
import io
from collections.abc import Iterator

import httpx
import psycopg
import pytest
from PIL import Image

from tests.conftest import Client


@pytest.fixture(autouse=True)
def without_logo(database: psycopg.Connection) -> Iterator[None]:
    yield
    database.execute("update settings set logo_data_url = null")


def picture(kind: str, size: tuple[int, int] = (1600, 400)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, (200, 30, 30)).save(out, kind)
    return out.getvalue()


def upload(client: Client, contents: bytes, kind: str) -> httpx.Response:
    return client.request(
        "POST", "settings/logo", content=contents, headers={"content-type": f"image/{kind}"}
    )


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_a_picture_is_kept_as_a_png_of_at_most_800_pixels(shop: Client, kind: str) -> None:
    answer = upload(shop, picture(kind), kind)
    assert answer.status_code == 200, answer.text
    head, _, encoded = answer.json()["data"]["logoDataUrl"].partition(",")
    assert head == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as kept:
        assert (kept.format, kept.size) == ("PNG", (800, 200))


def test_the_logo_is_shown_kept_and_removed_by_the_settings(
    shop: Client, database: psycopg.Connection
) -> None:
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><script>x</script><path d="M0 0h8v8z"/></svg>'
    uploaded = upload(shop, svg, "svg+xml").json()["data"]
    kept = base64.b64decode(uploaded["logoDataUrl"].removeprefix("data:image/svg+xml;base64,"))
    assert kept == b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><path d="M0 0h8v8z"/></svg>'
    settings = shop.data("GET", "settings")
    assert settings == uploaded
    row = database.execute(
        "select metadata -> 'fields' from activity_logs where action = 'SETTINGS_CHANGED' order by id desc limit 1"
    ).fetchone()
    assert row == (["logoDataUrl"],)
    assert database.execute("select business_json() ->> 'logoDataUrl'").fetchone() == (
        settings["logoDataUrl"],
    )
    assert shop.data("PUT", "settings", settings)["logoDataUrl"] == settings["logoDataUrl"]
    removed = shop.data("PUT", "settings", {**settings, "logoDataUrl": None, "updatedAt": None})
    assert removed["logoDataUrl"] is None


@pytest.mark.parametrize(
    ("contents", "kind", "status", "code"),
    [
        (b"", "png", 422, "LOGO_NOT_AN_IMAGE"),
        (b"GIF89a" + b"\0" * 50, "png", 422, "LOGO_NOT_AN_IMAGE"),
        (b"%PDF-1.4", "png", 422, "LOGO_NOT_AN_IMAGE"),
        (picture("PNG")[:300], "png", 422, "LOGO_NOT_AN_IMAGE"),
        (b"<html><body>hi</body></html>", "svg+xml", 422, "LOGO_NOT_AN_IMAGE"),
        (
            b'<!DOCTYPE svg [<!ENTITY a "b">]><svg xmlns="http://www.w3.org/2000/svg"/>',
            "svg+xml",
            422,
            "LOGO_SVG_UNSAFE",
        ),
        (picture("PNG", (4001, 10)), "png", 422, "LOGO_TOO_MANY_PIXELS"),
        (b"\x89PNG" + b"x" * (1024 * 1024), "png", 413, "BODY_TOO_LARGE"),
    ],
    ids=["empty", "gif", "pdf", "cut", "html", "entities", "wide", "large"],
)
def test_what_is_no_logo_is_refused_and_the_old_one_stays(
    shop: Client, database: psycopg.Connection, contents: bytes, kind: str, status: int, code: str
) -> None:
    database.execute("update settings set logo_data_url = 'data:image/png;base64,AA=='")
    refused = upload(shop, contents, kind)
    assert (refused.status_code, refused.json()["error"]["code"]) == (status, code)
    assert database.execute("select logo_data_url from settings").fetchone() == (
        "data:image/png;base64,AA==",
    )
