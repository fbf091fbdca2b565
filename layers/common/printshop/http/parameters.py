"""Path and query parameters that many routes take."""

from typing import Annotated

from fastapi import Path, Query

RowId = Annotated[int, Path(ge=1, le=2**53)]
"""An id in a path: at most the largest integer that JavaScript holds exactly."""

Limit = Annotated[int, Query(ge=1, le=200, description="Rows a page, at most 200")]
Cursor = Annotated[str | None, Query(max_length=2500, description="`nextCursor` of the page before")]
Search = Annotated[str | None, Query(max_length=200, description="Text to find, taken literally")]
