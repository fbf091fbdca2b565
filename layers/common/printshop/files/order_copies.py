"""An order's own copies of a model's files, so that it can be printed after tmp has expired.

Copies are made first, under their final keys; the rows follow in the transaction that makes the document.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from printshop.adapters.storage.keys import order_key
from printshop.adapters.storage.objects import ORDER_FILES, TMP, Bucket, Storage
from printshop.kernel.errors import ApiError, Conflict, NotFound, Unavailable
from printshop.kernel.log import get_logger
from printshop.pricing.document_lines import PricedDocument
from printshop.pricing.price_book import StoredModel, StoredObject

log = get_logger()


@dataclass(frozen=True, slots=True)
class OrderCopy:
    """A file of an order: copied from tmp (`source`), or written here (`contents`)."""

    key: str
    file_type: str
    filename: str
    mime_type: str
    size_bytes: int
    metadata: dict[str, Any]
    source: str | None = None
    contents: bytes | None = None

    def row(self) -> dict[str, Any]:
        """As the SQL function save_order_files takes it."""
        return {
            "storageKey": self.key,
            "fileType": self.file_type,
            "filename": self.filename,
            "mimeType": self.mime_type,
            "sizeBytes": self.size_bytes,
            "metadata": self.metadata,
        }


_FOR_THE_SHOP = {"costPerKgCents", "printFactor", "slicerLog"}
"""What a line knows and its customer, who may fetch the order's files, does not."""


def order_copies(
    model: StoredModel, details: dict[str, Any], client_id: int, folder: UUID
) -> list[OrderCopy]:
    """The model, its picture and its g-code when there are any, and a settings JSON of `details`, below
    `{clientId}/{folder}/`."""
    about = {"settingsHash": model.settings_hash, "fileId": model.file_id}

    def copied(source: StoredObject) -> OrderCopy:
        return OrderCopy(
            key=order_key(client_id, folder, source.filename),
            file_type="model",
            filename=source.filename,
            mime_type=source.mime_type,
            size_bytes=source.size_bytes,
            metadata=about,
            source=source.storage_key,
        )

    found: list[StoredObject | None] = [model, model.preview, model.output]
    told = {name: value for name, value in details.items() if name not in _FOR_THE_SHOP}
    document = json.dumps(told, indent=2, sort_keys=True).encode()
    settings = OrderCopy(
        key=order_key(client_id, folder, "settings.json"),
        file_type="settings",
        filename=f"{model.filename}.settings.json"[-255:],
        mime_type="application/json",
        size_bytes=len(document),
        metadata=about,
        contents=document,
    )
    return [*(copied(source) for source in found if source), settings]


def keep_copies(storage: Storage, copies: list[OrderCopy]) -> None:
    """Store them; one that is already there stays. Raises Conflict FILE_EXPIRED when a source is gone."""
    for copy in copies:
        if copy.contents is not None:
            storage.upload(ORDER_FILES, copy.key, copy.contents, copy.mime_type)
            continue
        try:
            storage.copy((TMP, copy.source or ""), (ORDER_FILES, copy.key))
        except NotFound as error:
            raise Conflict(
                "FILE_EXPIRED", f"{copy.filename} is no longer kept; upload and slice it again."
            ) from error


def printed_files(document: PricedDocument, client_id: int) -> list[OrderCopy]:
    """Model, g-code and settings of each printed line of a quote or an invoice, under keys of their own."""
    return [
        file
        for item in document.items
        if item.sliced
        for file in order_copies(item.sliced.model, item.details, client_id, uuid4())
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
        remove_objects(storage, ORDER_FILES, [copy.key for copy in copies])
        raise


def remove_objects(storage: Storage, bucket: Bucket, keys: Iterable[str]) -> None:
    """Remove objects that no row names any more. One that cannot be removed now is the janitor's to flag."""
    keys = list(keys)
    try:
        storage.delete(bucket, keys)
    except ApiError as error:
        log.warn(scope="storage.strays", error=error, data={"bucket": bucket, "keys": keys[:20]})
