"""Checkout: a priced order becomes an invoice with its files, or a request for review becomes a DRAFT quote.

Copies are made first, under their final keys (derived from the idempotency key, so that a retry writes the same
ones); then everything the database knows is one transaction, once per key.
"""

from typing import Annotated, Any
from uuid import NAMESPACE_URL, UUID, uuid5

from pydantic import Field

from printshop.accounts.users import User
from printshop.adapters.database import Database
from printshop.adapters.storage.objects import Storage
from printshop.files.order_copies import OrderCopy, keep_copies, order_copies
from printshop.kernel.errors import Conflict, Unprocessable
from printshop.kernel.idempotency import body_hash
from printshop.kernel.log import get_logger
from printshop.orders.pricing import (
    OrderInputs,
    PriceBreakdown,
    PricedLine,
    PricedOrder,
    PriceRequest,
    price_order,
)
from printshop.pricing.price_book import SlicedModel, lot, print_details, required_model
from printshop.pricing.print_price import RULE_VERSION

log = get_logger()


class CheckoutRequest(PriceRequest):
    """An order, with the total that the customer saw. `review` asks for a price by hand instead."""

    expected_total_cents: Annotated[int | None, Field(ge=0, examples=[7924])] = None
    review: bool = False
    notes: Annotated[str, Field(max_length=5000)] = ""


def client_of(user: User, client_id: int | None) -> int:
    """Whose order it is: a client's own, or the one that an admin names. Raises Unprocessable UNKNOWN_CLIENT."""
    if user.is_admin:
        if client_id is None:
            raise Unprocessable(
                "UNKNOWN_CLIENT", "Name the client of this order in clientId.", [{"field": "clientId"}]
            )
        return client_id
    if client_id not in {None, user.client_id}:
        raise Unprocessable(
            "UNKNOWN_CLIENT", "Leave clientId out; you order for yourself.", [{"field": "clientId"}]
        )
    if user.client_id is None:
        raise Unprocessable("UNKNOWN_CLIENT", "This login has no client.")
    return user.client_id


def price(database: Database, user: User, request: PriceRequest, currency: str) -> PriceBreakdown:
    """The breakdown of an order at today's rates."""
    inputs = _inputs(database, user, request, client_of(user, request.client_id))
    return price_order(
        OrderInputs.model_validate(inputs), request.items, request.shipping, currency
    ).breakdown()


def checkout(
    storage: Storage, database: Database, user: User, request: CheckoutRequest, *, key: str, currency: str
) -> dict[str, Any]:
    """Order what was priced; the same key answers the same invoice.

    Raises Conflict PRICE_CHANGED with the new breakdown, NEEDS_REVIEW, NOT_SLICED; Unprocessable.
    """
    client_id = client_of(user, request.client_id)
    sent = body_hash(request)
    raw = _inputs(database, user, request, client_id, reserve=True, key=key, body_hash=sent)
    if "replay" in raw:
        return dict(raw["replay"])
    inputs = OrderInputs.model_validate(raw)
    folder = uuid5(NAMESPACE_URL, f"printshop:checkout:{user.id}:{key}:{sent}")
    if request.review:
        document, items, files = _review(inputs, request, client_id, folder, currency)
    else:
        order = price_order(inputs, request.items, request.shipping, currency)
        if request.expected_total_cents != order.totals.total_cents:
            raise Conflict("PRICE_CHANGED", details=order.breakdown().model_dump(mode="json", by_alias=True))
        document, items, files = _invoice(order, request, client_id, folder)
    keep_copies(storage, files)
    answer = database.call(
        "checkout_quick_order",
        p_user_id=user.id,
        p_client_id=client_id,
        p_key=key,
        p_body_hash=sent,
        p_document=document,
        p_items=items,
        p_files=[file.row() for file in files],
        p_review=request.review,
    )
    log.info(scope="orders.checkout", data={"kind": answer["kind"], "number": answer["number"]})
    return dict(answer)


def _inputs(
    database: Database,
    user: User,
    request: PriceRequest,
    client_id: int,
    *,
    reserve: bool = False,
    key: str | None = None,
    body_hash: str | None = None,
) -> dict[str, Any]:
    answer = database.call(
        "quick_order_inputs",
        p_user_id=user.id,
        p_client_id=client_id,
        p_items=[{"file": str(item.file_id), "settingsHash": item.settings_hash} for item in request.items],
        p_reserve=reserve,
        p_key=key,
        p_body_hash=body_hash,
    )
    return dict(answer)


def _invoice(
    order: PricedOrder, request: CheckoutRequest, client_id: int, folder: UUID
) -> tuple[dict[str, Any], list[dict[str, Any]], list[OrderCopy]]:
    sums = order.totals
    document = {
        "currency": order.currency,
        "subtotalCents": sums.subtotal_cents,
        "discountCents": sums.discount_cents,
        "shippingCents": sums.shipping_cents,
        "shippingLabel": order.region.label,
        "taxRateBps": sums.tax_rate_bps,
        "taxCents": sums.tax_cents,
        "totalCents": sums.total_cents,
        "notes": request.notes,
    }
    items = [_line(line) for line in order.lines]
    files = [
        file
        for index, line in enumerate(order.lines)
        for file in order_copies(line.model, _details(line), client_id, uuid5(folder, str(index)))
    ]
    return document, items, files


def _line(line: PricedLine) -> dict[str, Any]:
    ordered = line.ordered
    return {
        "description": lot(
            line.model.filename, ordered.quantity, line.material.name, fast_track=ordered.fast_track
        ),
        "quantityMilli": 1000,
        "unitPriceCents": line.cost.total_cents,
        "totalCents": line.cost.total_cents,
        "details": _details(line),
    }


def _details(line: PricedLine) -> dict[str, Any]:
    return print_details(
        SlicedModel(line.model, line.slice, line.material),
        pieces=line.ordered.quantity,
        fast_track=line.ordered.fast_track,
        rule_version=RULE_VERSION,
    )


def _review(
    inputs: OrderInputs, request: CheckoutRequest, client_id: int, folder: UUID, currency: str
) -> tuple[dict[str, Any], list[dict[str, Any]], list[OrderCopy]]:
    items, files = [], []
    for index, (found, ordered) in enumerate(zip(inputs.models, request.items, strict=True)):
        model = required_model(found, f"items.{index}")
        if not model.uploaded:
            raise Conflict(
                "UPLOAD_INCOMPLETE", f"{model.filename} has not been accepted; complete its upload first."
            )
        if model.is_output or not model.is_current:
            raise Conflict(
                "NOT_SLICED", f"{model.filename} was not sliced with these settings; slice it first."
            )
        if model.busy:
            raise Conflict("SLICE_RUNNING", f"{model.filename} is being sliced; wait for its result.")
        details = {
            "fileId": model.file_id,
            "settings": model.settings,
            "pieces": ordered.quantity,
            "fastTrack": ordered.fast_track,
            "error": model.error,
            "slicerLog": model.log_tail,
            "fallback": model.fallback,
        }
        items.append(
            {
                "description": lot(model.filename, ordered.quantity, None, fast_track=ordered.fast_track),
                "quantityMilli": 1000,
                "details": details,
            }
        )
        files += order_copies(model, details, client_id, uuid5(folder, str(index)))
    document = {
        "currency": inputs.settings.currency or currency,
        "taxRateBps": inputs.settings.tax_rate_bps,
        "notes": request.notes,
        "snapshot": {"shipping": request.shipping.model_dump()},
    }
    return document, items, files
