"""What the three lists of the catalogue share: a unique name, a page by name or by age."""

from collections.abc import Collection
from typing import Annotated, Literal

from pydantic import Field

from printshop.adapters.database import Database
from printshop.kernel.base_model import CamelModel
from printshop.kernel.errors import Unprocessable
from printshop.kernel.paging import decode_cursor, decode_time_cursor, encode_cursor

type CatalogueKind = Literal["printers", "materials", "product_templates"]
type CatalogueSort = Literal["name", "-createdAt"]

Id = Annotated[int, Field(ge=1, le=2**53)]


class Entry(CamelModel):
    """An entry of the catalogue. Timestamps are ISO 8601."""

    id: int
    name: str
    created_at: str
    updated_at: str


def known_profile(name: str, names: Collection[str]) -> None:
    """Raises Unprocessable UNKNOWN_PROFILE unless the slicer has a profile of this name."""
    if name not in names:
        raise Unprocessable(
            "UNKNOWN_PROFILE",
            f"Choose one of the slicer's profiles: {', '.join(sorted(names))}.",
            [{"field": "profile", "names": sorted(names)}],
        )


def list_catalogue[T: Entry](
    database: Database,
    kind: CatalogueKind,
    entry: type[T],
    *,
    query: str | None,
    sort: CatalogueSort,
    limit: int,
    cursor: str | None,
) -> tuple[list[T], str | None]:
    """A page and the cursor of the next one. `query` finds text in the name, literally."""
    after_name: str | None = None
    after_created: str | None = None
    if sort == "name":
        after_name, after_id = decode_cursor(cursor, (str, int))
    else:
        after_created, after_id = decode_time_cursor(cursor)
    rows = database.call(
        "list_catalogue",
        p_kind=kind,
        p_query=query,
        p_sort=sort,
        p_limit=limit + 1,
        p_after_name=after_name,
        p_after_created=after_created,
        p_after_id=after_id,
    )
    page = [entry.model_validate(row) for row in rows[:limit]]
    if len(rows) <= limit:
        return page, None
    last = page[-1]
    return page, encode_cursor(last.name if sort == "name" else last.created_at, last.id)
