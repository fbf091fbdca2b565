"""Copies of a quote's files, for a duplicate of it."""

from typing import Any
from uuid import uuid4

from printshop.adapters.storage.keys import order_key
from printshop.adapters.storage.objects import ORDER_FILES, Storage
from printshop.kernel.errors import NotFound
from printshop.kernel.log import get_logger

log = get_logger()


def copy_of(storage: Storage, file: dict[str, Any]) -> dict[str, Any]:
    """Copy the object of an order file's row: `{"id", "storageKey"}`, the key null when it is gone."""
    key = order_key(file["clientId"], uuid4(), file["filename"])
    try:
        storage.copy((ORDER_FILES, file["storageKey"]), (ORDER_FILES, key))
    except NotFound:
        log.warn(scope="quotes.file_gone", data={"key": file["storageKey"]})
        return {"id": file["id"], "storageKey": None}
    return {"id": file["id"], "storageKey": key}
