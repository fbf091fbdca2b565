"""A quote's own copies of files: objects first, rows in the quote's transaction."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5

from printshop.document_lines import PricedDocument
from printshop.errors import ApiError, NotFound, Unavailable
from printshop.log import get_logger
from printshop.storage.keys import order_key
from printshop.storage.objects import ORDER_FILES, Storage
from printshop.storage.order_copies import OrderCopy, keep_copies, order_copies

log = get_logger()


def printed_files(document: PricedDocument, client_id: int) -> list[OrderCopy]:
    """Model, g-code and settings of each printed line, under keys of their own."""
    folder = uuid5(NAMESPACE_URL, f"printshop:quote:{uuid4()}")
    return [
        file
        for index, item in enumerate(document.items)
        if item.sliced
        for file in order_copies(item.sliced.model, item.details, client_id, uuid5(folder, str(index)))
    ]


@contextmanager
def kept(storage: Storage, copies: list[OrderCopy]) -> Iterator[list[dict[str, Any]]]:
    """Store the copies and give their rows to the block, whose transaction keeps them; when it is refused, the
    copies go again. Without an answer they stay, for the transaction may have passed: the janitor flags strays."""
    try:
        keep_copies(storage, copies)
        yield [copy.row() for copy in copies]
    except Unavailable:
        raise
    except ApiError:
        remove(storage, [copy.key for copy in copies])
        raise


def remove(storage: Storage, keys: list[str]) -> None:
    """Remove objects that no row names. One that cannot be removed now is the janitor's to flag."""
    try:
        storage.delete(ORDER_FILES, keys)
    except Unavailable as error:
        log.warn(scope="quotes.strays", error=error, data={"keys": keys[:20]})


def copy_of(storage: Storage, file: dict[str, Any]) -> dict[str, Any]:
    """Copy the object of an order file's row: `{"id", "storageKey"}`, the key null when it is gone."""
    key = order_key(file["clientId"], uuid4(), file["filename"])
    try:
        storage.copy((ORDER_FILES, file["storageKey"]), (ORDER_FILES, key))
    except NotFound:
        log.warn(scope="quotes.file_gone", data={"key": file["storageKey"]})
        return {"id": file["id"], "storageKey": None}
    return {"id": file["id"], "storageKey": key}
