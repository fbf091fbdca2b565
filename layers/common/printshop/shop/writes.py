"""Replace the shop's settings and its logo."""

from printshop.accounts.users import User
from printshop.adapters.database import Database
from printshop.shop.schemas import SettingsRequest, ShopSettings


def save_settings(database: Database, admin: User, request: SettingsRequest) -> ShopSettings:
    """Replace them. Raises Conflict SETTINGS_CHANGED when `updatedAt` is not the stored one, Unprocessable."""
    saved = database.call(
        "save_settings",
        p_user_id=admin.id,
        p_settings=request.model_dump(by_alias=True, exclude={"updated_at"}),
        p_updated_at=request.updated_at,
    )
    return ShopSettings.model_validate(saved)


def save_logo(database: Database, admin: User, data_url: str) -> ShopSettings:
    """Keep a logo that `logo.as_data_url` made."""
    saved = database.call("save_logo", p_user_id=admin.id, p_logo_data_url=data_url)
    return ShopSettings.model_validate(saved)
