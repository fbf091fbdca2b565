"""The shop about to price a document: the user and the price book, from one look-up."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends

from printshop.accounts.users import User
from printshop.http.dependencies import Identified, ServicesDep, admin_only, require_password_changed
from printshop.pricing.price_book import PriceBook, named_slices
from printshop.shop.price_book import get_user_with_price_book


@dataclass(frozen=True, slots=True)
class PricingAdmin:
    """The shop, and its price book of this moment with the slices that the request names."""

    user: User
    book: PriceBook


def pricing_admin(request: Identified, services: ServicesDep) -> PricingAdmin:
    """The shop only. Raises Forbidden ADMIN_ONLY, PASSWORD_CHANGE_REQUIRED."""
    user, book = get_user_with_price_book(services.database, request.identity, named_slices(request.body))
    if book is None:
        raise admin_only()
    return PricingAdmin(require_password_changed(user), book)


PricingAdminDep = Annotated[PricingAdmin, Depends(pricing_admin)]
"""A route that prices a document takes `admin: PricingAdminDep`."""
