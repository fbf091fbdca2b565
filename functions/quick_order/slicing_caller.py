"""Who asks for a slice: the user and what decides the slice, from one look-up."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends

from printshop.accounts.users import User
from printshop.files.slicing_context import SlicingContext, get_user_with_slicing_context, parse_slice_refs
from printshop.http.dependencies import Identified, ServicesDep, require_password_changed


@dataclass(frozen=True, slots=True)
class SlicingCaller:
    """A login, and the file, material and printers that its request names."""

    user: User
    context: SlicingContext


def slicing_caller(request: Identified, services: ServicesDep) -> SlicingCaller:
    """Any login that chose its own password. Raises Forbidden PASSWORD_CHANGE_REQUIRED."""
    user, context = get_user_with_slicing_context(
        services.database, request.identity, parse_slice_refs(request.body)
    )
    return SlicingCaller(require_password_changed(user), context)


SlicingCallerDep = Annotated[SlicingCaller, Depends(slicing_caller)]
