"""Duplicating a quote: a new DRAFT of the same lines, with copies of the files."""

from typing import Any
from uuid import uuid4

from printshop.accounts.users import User
from printshop.adapters.database import Database
from printshop.adapters.storage.keys import order_key
from printshop.adapters.storage.objects import ORDER_FILES, Storage
from printshop.config.settings import Settings
from printshop.files.order_copies import remove_objects
from printshop.kernel.errors import ApiError, Conflict, NotFound, Unavailable
from printshop.kernel.log import get_logger
from printshop.quotes.schemas import Quote, quote_of

log = get_logger()


def duplicate_quote(
    storage: Storage, database: Database, settings: Settings, user: User, quote_id: int
) -> Quote:
    """A new DRAFT of the same lines and amounts, dated today, with copies of the files.

    The database says which files to copy; then all rows are one transaction. Raises NotFound, Conflict
    FILES_CHANGED.
    """
    copies: list[dict[str, Any]] = []
    for _ in range(2):
        try:
            answer = database.call("duplicate_quote", p_user_id=user.id, p_quote_id=quote_id, p_copies=copies)
        except Unavailable:
            raise
        except ApiError:
            remove_objects(storage, ORDER_FILES, _copied_keys(copies))
            raise
        if "quote" in answer:
            return quote_of(Quote, answer["quote"], settings, for_shop=True)
        copies += [_copy_file(storage, file) for file in answer["copy"]]
    remove_objects(storage, ORDER_FILES, _copied_keys(copies))
    raise Conflict("FILES_CHANGED")


def _copied_keys(copies: list[dict[str, Any]]) -> list[str]:
    return [copy["storageKey"] for copy in copies if copy["storageKey"]]


def _copy_file(storage: Storage, file: dict[str, Any]) -> dict[str, Any]:
    """Copy an order file's object. Returns {"id", "storageKey"} of the copy, the key None when the object is gone."""
    key = order_key(file["clientId"], uuid4(), file["filename"])
    try:
        storage.copy((ORDER_FILES, file["storageKey"]), (ORDER_FILES, key))
    except NotFound:
        log.warn(scope="quotes.file_gone", data={"key": file["storageKey"]})
        return {"id": file["id"], "storageKey": None}
    return {"id": file["id"], "storageKey": key}
