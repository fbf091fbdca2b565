"""What the routes below an invoice have in common."""

from typing import Annotated

from fastapi import Path

Id = Annotated[int, Path(ge=1, le=2**53)]
NOT_FOUND = "404 INVOICE_NOT_FOUND"
