"""The price book of this moment, read together with the user who asks for it."""

from collections.abc import Sequence

from printshop.accounts.tokens import Identity
from printshop.accounts.users import User
from printshop.adapters.database import Database
from printshop.pricing.price_book import PriceBook


def get_user_with_price_book(
    database: Database, identity: Identity, slices: Sequence[dict[str, str]]
) -> tuple[User, PriceBook | None]:
    """The user of a verified token and, for an admin, the price book with these `slices`, in one query.

    Never cached. Raises Forbidden NO_PROFILE, Unauthorized SESSION_ENDED.
    """
    answer = database.call(
        "get_request_context",
        p_auth_user_id=str(identity.auth_user_id),
        p_session_id=str(identity.session_id) if identity.session_id else None,
        p_issued_at=identity.issued_at.isoformat(),
        p_pricing=slices,
    )
    book = answer.pop("priceBook", None)
    return User.model_validate(answer), PriceBook.model_validate(book) if book else None
