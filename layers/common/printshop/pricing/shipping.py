"""Which delivery price an address gets: the most specific region wins."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from printshop.kernel.base_model import CamelModel
from printshop.kernel.errors import Unprocessable


class ShippingRegion(CamelModel, extra="forbid"):
    """A region of the settings. Prices are minor units, ex tax."""

    id: int
    code: str = Field(min_length=1, max_length=40)
    label: str = Field(min_length=1, max_length=100)
    states: tuple[str, ...] = ()
    postcode_prefixes: tuple[Annotated[str, Field(pattern=r"^[0-9A-Za-z]{1,10}$")], ...] = ()
    base_cents: int = Field(ge=0)
    surcharge_cents: int = Field(0, ge=0)
    is_default: bool = False

    @property
    def cents(self) -> int:
        return self.base_cents + self.surcharge_cents


def region_for(regions: Sequence[ShippingRegion], *, state: str, postcode: str) -> ShippingRegion:
    """The region of an address: longest matching postcode prefix, then state, then the default; ties by id.

    Raises Unprocessable when no region fits and none is the default.
    """
    state, postcode = state.strip().upper(), postcode.strip().upper()

    def specificity(region: ShippingRegion) -> int:
        prefixes = [len(prefix) for prefix in region.postcode_prefixes if postcode.startswith(prefix.upper())]
        if prefixes:
            return 1 + max(prefixes)
        if state and state in (name.upper() for name in region.states):
            return 1
        return 0 if region.is_default else -1

    best = max(regions, key=lambda region: (specificity(region), -region.id), default=None)
    if best is None or specificity(best) < 0:
        raise Unprocessable("NO_SHIPPING_REGION", details=[{"field": "shipping"}])
    return best
