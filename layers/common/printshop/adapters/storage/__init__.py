"""Files: four private buckets, and the operations of the trade on them.

`Storage` moves bytes. The modules beside it (`tmp_files`, `order_files`, `attachments`, `pdfs`) carry the
seed's operations by name, object and row together.
"""

from printshop.adapters.storage.objects import (
    ATTACHMENTS,
    BUCKETS,
    ORDER_FILES,
    PDFS,
    TMP,
    ObjectInfo,
    SignedUpload,
    Storage,
)

__all__ = [
    "ATTACHMENTS",
    "BUCKETS",
    "ORDER_FILES",
    "PDFS",
    "TMP",
    "ObjectInfo",
    "SignedUpload",
    "Storage",
]
