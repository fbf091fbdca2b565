"""Read the shop's settings."""

from printshop.adapters.database import Database
from printshop.shop.schemas import ShopSettings


def get_settings(database: Database) -> ShopSettings:
    """The settings of now."""
    return ShopSettings.model_validate(database.call("get_settings"))
