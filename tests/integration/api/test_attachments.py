"""Attachments over HTTP: signed uploads that nobody sees until they are what they say, replaced without a gap."""

import io
import zipfile
from typing import Any

import httpx
import psycopg
import pytest

from devstack import Stack
from tests.conftest import NO_CERTIFICATES, Client, sign_up
from tests.support.invoices import actions, refused, written

PDF = b"%PDF-1.4 a drawing\n"
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40
JPEG = b"\xff\xd8\xff\xe0" + b"\0" * 40
WEBP = b"RIFF\x24\0\0\0WEBPVP8 " + b"\0" * 24
TEXT = ("Grüße, ein langer Text. ß" * 400).encode()


def zipped() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("a.txt", "a")
    return packed.getvalue()


@pytest.fixture(scope="module")
def ada(stack: Stack) -> Client:
    return sign_up(stack, "Ada Owner")


@pytest.fixture
def files(shop: Client, ada: Client) -> str:
    """Where the attachments of a new invoice of ada's are."""
    return f"invoices/{written(shop, ada.user['clientId'])['id']}/attachments"


def asked(
    shop: Client, files: str, filename: str, contents: bytes, query: str = "", **body: Any
) -> dict[str, Any]:
    request = {"filename": filename, "sizeBytes": len(contents), **body}
    upload: dict[str, Any] = shop.data("POST", f"{files}{query}", request)
    return upload


def put(upload: dict[str, Any], contents: bytes) -> httpx.Response:
    headers = {"content-type": upload["mimeType"]}
    return httpx.put(
        upload["uploadUrl"], content=contents, headers=headers, timeout=30, verify=NO_CERTIFICATES
    )


def complete(shop: Client, files: str, upload: dict[str, Any]) -> httpx.Response:
    return shop.post(f"{files}/{upload['id']}/complete")


def attach(shop: Client, files: str, filename: str, contents: bytes, query: str = "") -> dict[str, Any]:
    upload = asked(shop, files, filename, contents, query)
    assert put(upload, contents).is_success
    response = complete(shop, files, upload)
    assert response.is_success, response.text
    attached: dict[str, Any] = response.json()["data"]
    return attached


def fetched(client: Client, files: str, attached: dict[str, Any]) -> bytes:
    redirect = client.get(f"{files}/{attached['id']}")
    assert redirect.status_code == 302
    return httpx.get(redirect.headers["location"], timeout=20, verify=NO_CERTIFICATES).content


def stored(database: psycopg.Connection, files: str) -> set[str]:
    folder = files.split("/")[1] + "/"
    rows = database.execute(
        "select name from storage.objects where bucket_id = 'attachments' and starts_with(name, %s)",
        (folder,),
    ).fetchall()
    return {name for (name,) in rows}


@pytest.mark.parametrize(
    ("filename", "contents", "mime_type"),
    [
        ("Plan (ü).PDF", PDF, "application/pdf"),
        ("photo.png", PNG, "image/png"),
        ("photo.jpg", JPEG, "image/jpeg"),
        ("photo.jpeg", JPEG, "image/jpeg"),
        ("photo.webp", WEBP, "image/webp"),
        ("note.txt", TEXT, "text/plain"),
        ("all.zip", zipped(), "application/zip"),
    ],
    ids="pdf png jpg jpeg webp txt zip".split(),
)
def test_a_file_is_attached_once_it_has_arrived(
    shop: Client, ada: Client, files: str, filename: str, contents: bytes, mime_type: str
) -> None:
    upload = asked(shop, files, filename, contents)
    assert upload["expiresInSeconds"] == 7200
    assert refused(complete(shop, files, upload)) == (409, "UPLOAD_INCOMPLETE")
    assert put(upload, contents).is_success
    assert ada.data("GET", files) == []
    assert ada.get(f"{files}/{upload['id']}").status_code == 404
    attached = complete(shop, files, upload).json()["data"]
    assert (attached["filename"], attached["mimeType"], attached["sizeBytes"]) == (
        filename,
        mime_type,
        len(contents),
    )
    assert complete(shop, files, upload).json()["data"] == attached
    assert ada.data("GET", files) == [attached]
    assert fetched(ada, files, attached) == contents


def test_a_key_is_the_invoices_folder_and_a_safe_name(shop: Client, files: str) -> None:
    folder = files.split("/")[1]
    assert attach(shop, files, "../Plan ü (1).PDF", PDF)["storageKey"] == f"{folder}/Plan_u_1.pdf"


def test_the_invoice_counts_its_files_and_tells_of_them(
    shop: Client, ada: Client, files: str, database: psycopg.Connection
) -> None:
    invoice = files.removesuffix("/attachments")
    attached = attach(shop, files, "a.pdf", PDF)
    asked(shop, files, "b.pdf", PDF)
    assert ada.data("GET", invoice)["attachments"] == 1
    assert shop.request("DELETE", f"{files}/{attached['id']}").status_code == 204
    assert refused(shop.request("DELETE", f"{files}/{attached['id']}")) == (404, "FILE_NOT_FOUND")
    assert ada.data("GET", invoice)["attachments"] == 0
    assert stored(database, files) == set()
    assert actions(database, int(invoice.split("/")[1]))[1:] == ["ATTACHMENT_SAVED", "ATTACHMENT_DELETED"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"filename": "a.exe", "sizeBytes": 1}, 422, "ATTACHMENT_TYPE"),
        ({"filename": "pdf", "sizeBytes": 1}, 422, "ATTACHMENT_TYPE"),
        ({"filename": "a.pdf.html", "sizeBytes": 1}, 422, "ATTACHMENT_TYPE"),
        ({"filename": "a.pdf", "sizeBytes": 1, "mimeType": "text/html"}, 422, "ATTACHMENT_TYPE"),
        ({"filename": "a.pdf", "sizeBytes": 25 * 1024 * 1024 + 1}, 413, "ATTACHMENT_TOO_LARGE"),
        ({"filename": "a.pdf", "sizeBytes": 0}, 422, "INVALID_REQUEST"),
        ({"filename": "a\0.pdf", "sizeBytes": 1}, 422, "INVALID_REQUEST"),
        ({"filename": "x" * 252 + ".pdf", "sizeBytes": 1}, 422, "INVALID_REQUEST"),
    ],
)
def test_what_is_not_taken_is_refused_before_it_is_sent(
    shop: Client, files: str, body: dict[str, Any], status: int, code: str
) -> None:
    assert refused(shop.post(files, body)) == (status, code)


@pytest.mark.parametrize(
    ("filename", "told", "sent"),
    [
        ("a.pdf", b"MZ an executable", b"MZ an executable"),
        ("a.pdf", PDF, PDF + b"more"),
        ("a.png", JPEG, JPEG),
        ("a.jpg", PNG, PNG),
        ("a.webp", b"RIFF\0\0\0\0WAVEfmt ", b"RIFF\0\0\0\0WAVEfmt "),
        ("a.zip", PDF, PDF),
        ("a.txt", b"text\0with NUL", b"text\0with NUL"),
        ("a.txt", b"text" * 600 + b"\xff\xfe", b"text" * 600 + b"\xff\xfe"),
    ],
    ids=[
        "no pdf",
        "another size",
        "jpeg as png",
        "png as jpeg",
        "wave as webp",
        "pdf as zip",
        "NUL",
        "no UTF-8",
    ],
)
def test_a_file_that_lies_leaves_no_object_and_no_row(
    shop: Client, files: str, database: psycopg.Connection, filename: str, told: bytes, sent: bytes
) -> None:
    upload = asked(shop, files, filename, told)
    assert put(upload, sent).is_success
    assert refused(complete(shop, files, upload)) == (422, "ATTACHMENT_CONTENT")
    assert stored(database, files) == set()
    assert refused(complete(shop, files, upload)) == (404, "FILE_NOT_FOUND")


def test_a_name_is_taken_unless_it_is_replaced(shop: Client, ada: Client, files: str) -> None:
    first = attach(shop, files, "a.pdf", PDF)
    assert refused(shop.post(files, {"filename": "a.pdf", "sizeBytes": 1})) == (409, "FILE_EXISTS")
    assert fetched(ada, files, first) == PDF


def test_the_old_file_stands_until_the_new_one_is_whole(
    shop: Client, ada: Client, files: str, database: psycopg.Connection
) -> None:
    first = attach(shop, files, "a.pdf", PDF)
    lie = asked(shop, files, "a.pdf", PDF, "?replace=true")
    put(lie, b"x" * len(PDF))
    assert refused(complete(shop, files, lie)) == (422, "ATTACHMENT_CONTENT")
    newer = asked(shop, files, "a.pdf", PDF + b"newer", "?replace=true")
    put(newer, PDF + b"newer")
    assert ada.data("GET", files) == [first]
    assert fetched(ada, files, first) == PDF
    second = complete(shop, files, newer).json()["data"]
    assert ada.data("GET", files) == [second]
    assert fetched(ada, files, second) == PDF + b"newer"
    assert stored(database, files) == {second["storageKey"]}
    third = attach(shop, files, "a.pdf", PDF + b"newest", "?replace=true")
    assert stored(database, files) == {third["storageKey"]}


def test_of_two_uploads_of_one_name_the_first_to_arrive_wins(
    shop: Client, ada: Client, files: str, database: psycopg.Connection
) -> None:
    one, two = asked(shop, files, "a.pdf", PDF), asked(shop, files, "a.pdf", PDF)
    assert one["storageKey"] != two["storageKey"]
    put(two, PDF)
    put(one, PDF)
    won = complete(shop, files, two).json()["data"]
    assert refused(complete(shop, files, one)) == (409, "FILE_EXISTS")
    assert ada.data("GET", files) == [won]


def test_names_that_read_alike_as_keys_are_two_files(shop: Client, ada: Client, files: str) -> None:
    one, two = attach(shop, files, "a b.pdf", PDF), attach(shop, files, "a_b.pdf", PDF + b"two")
    assert (fetched(ada, files, one), fetched(ada, files, two)) == (PDF, PDF + b"two")


def test_what_a_crash_left_under_a_name_does_not_stop_an_upload(
    stack: Stack, shop: Client, files: str
) -> None:
    url = f"{stack.supabase.url}/storage/v1/object/attachments/{files.split('/')[1]}/a.pdf"
    headers = {"authorization": f"Bearer {stack.supabase.secret_key}", "apikey": stack.supabase.secret_key}
    assert httpx.post(url, content=b"left", headers=headers).is_success
    attach(shop, files, "a.pdf", PDF)


def test_uploads_that_never_came_are_swept_with_what_arrived(
    stack: Stack, shop: Client, files: str, database: psycopg.Connection
) -> None:
    old, fresh = asked(shop, files, "old.pdf", PDF), asked(shop, files, "fresh.pdf", PDF)
    put(old, PDF)
    database.execute(
        "update attachments set requested_at = now() - interval '4 hours' where id = %s", (old["id"],)
    )
    report = stack.gateway.invoke("JanitorFunction", {"source": "aws.scheduler"})
    assert report["attachments"] == {"deleted": 1}
    assert stored(database, files) == set()
    assert refused(complete(shop, files, old)) == (404, "FILE_NOT_FOUND")
    assert refused(complete(shop, files, fresh)) == (409, "UPLOAD_INCOMPLETE")


def test_the_files_of_a_deleted_invoice_leave_storage(
    shop: Client, files: str, database: psycopg.Connection
) -> None:
    attach(shop, files, "a.pdf", PDF)
    put(asked(shop, files, "b.pdf", PDF), PDF)
    assert len(stored(database, files)) == 2
    assert shop.request("DELETE", files.removesuffix("/attachments")).status_code == 204
    assert stored(database, files) == set()


def test_a_file_of_another_invoice_is_not_found(
    shop: Client, ada: Client, other_customer: Client, files: str
) -> None:
    other = f"invoices/{written(shop, ada.user['clientId'])['id']}/attachments"
    attached = attach(shop, files, "a.pdf", PDF)
    assert ada.get(f"{other}/{attached['id']}").status_code == 404
    assert shop.request("DELETE", f"{other}/{attached['id']}").status_code == 404
    assert other_customer.get(f"{files}/{attached['id']}").status_code == 404
