"""What a client's orders begin with: set by the client in the portal, shown to the shop with the client."""

from typing import Annotated

from pydantic import Field

from printshop.accounts.users import User
from printshop.adapters.database import Database
from printshop.kernel.base_model import StrictModel
from printshop.slicing.settings import Millimetres, Percent, Supports


class PreferredShipping(StrictModel):
    """Where parcels usually go."""

    state: Annotated[str, Field(max_length=40, examples=["NSW"])] = ""
    postcode: Annotated[str, Field(max_length=12, examples=["2000"])] = ""


class Notifications(StrictModel):
    """How the client wants to hear from the shop."""

    email: bool = True


class Preferences(StrictModel):
    """What a client's orders begin with; each print may differ. Null: no preference."""

    material_id: Annotated[int | None, Field(ge=1, le=2**53)] = None
    layer_height: Annotated[Millimetres | None, Field(examples=[0.2])] = None
    infill: Annotated[Percent | None, Field(examples=[15])] = None
    supports: Supports | None = None
    shipping: PreferredShipping | None = None
    notifications: Notifications = Notifications()


def get_preferences(database: Database, user: User) -> Preferences:
    """The client's preferences; what was never set is null."""
    return Preferences.model_validate(database.call("client_preferences", p_client_id=user.client_id))


def save_preferences(database: Database, user: User, preferences: Preferences) -> Preferences:
    """Replace the client's preferences. Raises Unprocessable UNKNOWN_MATERIAL."""
    saved = database.call(
        "save_preferences",
        p_user_id=user.id,
        p_client_id=user.client_id,
        p_preferences=preferences.model_dump(mode="json", by_alias=True),
    )
    return Preferences.model_validate(saved)
