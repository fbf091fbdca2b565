"""Who is about to have a model sliced, and in the same look-up what decides the slice."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool

from printshop.accounts.users import User
from printshop.files.slicing_context import SlicingContext, parse_slice_refs
from printshop.http.dependencies import identity_and_body, own_password
from printshop.http.services import Provided


@dataclass(frozen=True, slots=True)
class SlicingUser:
    """A login, and the file, material and printers that its request names."""

    user: User
    context: SlicingContext


async def slicing_user(request: Request, services: Provided) -> SlicingUser:
    """Any login; one request to the database, whatever the body names."""
    identity, body = await identity_and_body(request, services)
    user, context = await run_in_threadpool(services.users.get_with_slicing, identity, parse_slice_refs(body))
    return SlicingUser(own_password(user), SlicingContext.model_validate(context))


SlicingCaller = Annotated[SlicingUser, Depends(slicing_user)]
