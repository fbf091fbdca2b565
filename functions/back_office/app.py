"""The shop's own desk: settings and logo, the dashboard, and exports."""

from datetime import date
from typing import Annotated, Any

from fastapi import Depends, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse

from printshop.http.app import create_app, lambda_handler
from printshop.http.dependencies import AdminUser, ServicesDep
from printshop.http.errors import error_responses
from printshop.kernel.base_model import Data
from printshop.reports.dashboard import Dashboard, get_dashboard
from printshop.reports.exports import AR_AGING, INVOICES, JOBS, PAYMENTS, Export, Period, export_url
from printshop.services import Services
from printshop.shop.logo import as_data_url
from printshop.shop.reads import get_settings
from printshop.shop.schemas import SettingsRequest, ShopSettings
from printshop.shop.writes import save_logo, save_settings

app = create_app("Back office")
handler = lambda_handler(app)

LOGO_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The picture itself, at most 1 MB and 4000 × 4000 pixels",
        "content": {
            "image/svg+xml": {
                "schema": {"type": "string"},
                "example": '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><path d="M0 0h8v8z"/></svg>',
            }
        }
        | {
            f"image/{kind}": {"schema": {"type": "string", "format": "binary"}}
            for kind in ("png", "jpeg", "webp")
        },
    }
}
EXPORTED: dict[int | str, dict[str, Any]] = {302: {"description": "To the file, for a few minutes"}}


def period(
    first: Annotated[date | None, Query(alias="from", description="First day")] = None,
    last: Annotated[date | None, Query(alias="to", description="Last day, included")] = None,
) -> Period:
    return Period(first, last)


Days = Annotated[Period, Depends(period)]


@app.get("/api/settings", tags=["Settings"])
def settings(_: AdminUser, services: ServicesDep) -> Data[ShopSettings]:
    """All of the shop's settings."""
    return Data(data=get_settings(services.database))


@app.put(
    "/api/settings",
    tags=["Settings"],
    responses=error_responses(
        "409 SETTINGS_CHANGED", "422 UNKNOWN_TIME_ZONE", "422 UNKNOWN_MATERIAL", "422 LOGO_NOT_STORED"
    ),
)
def replace_settings(body: SettingsRequest, admin: AdminUser, services: ServicesDep) -> Data[ShopSettings]:
    """Replace all settings; numbers go on where they are. `updatedAt` keeps two admins from undoing each other."""
    return Data(data=save_settings(services.database, admin, body))


@app.post(
    "/api/settings/logo",
    tags=["Settings"],
    openapi_extra=LOGO_BODY,
    responses=error_responses(
        "413 BODY_TOO_LARGE",
        "413 LOGO_TOO_LARGE",
        "422 LOGO_NOT_AN_IMAGE",
        "422 LOGO_TOO_MANY_PIXELS",
        "422 LOGO_SVG_UNSAFE",
    ),
)
async def upload_logo(request: Request, admin: AdminUser, services: ServicesDep) -> Data[ShopSettings]:
    """Take a logo for the papers: PNG, JPEG and WebP are drawn anew, an SVG is rewritten from an allow-list."""
    data_url = await run_in_threadpool(as_data_url, await request.body())
    return Data(data=await run_in_threadpool(save_logo, services.database, admin, data_url))


@app.get("/api/dashboard", tags=["Dashboard"])
def dashboard(_: AdminUser, services: ServicesDep) -> Data[Dashboard]:
    """What is owed, earned, waiting and going on."""
    return Data(data=get_dashboard(services.database))


@app.get(
    "/api/export/invoices.csv",
    status_code=302,
    tags=["Exports"],
    responses={**EXPORTED, **error_responses("422 PERIOD_REVERSED")},
)
def export_invoices(admin: AdminUser, services: ServicesDep, days: Days) -> RedirectResponse:
    """Invoices by issue date, as CSV."""
    return _exported(services, admin, INVOICES, days)


@app.get(
    "/api/export/payments.csv",
    status_code=302,
    tags=["Exports"],
    responses={**EXPORTED, **error_responses("422 PERIOD_REVERSED")},
)
def export_payments(admin: AdminUser, services: ServicesDep, days: Days) -> RedirectResponse:
    """Payments and refunds by the day on which the money moved, as CSV."""
    return _exported(services, admin, PAYMENTS, days)


@app.get(
    "/api/export/jobs.csv",
    status_code=302,
    tags=["Exports"],
    responses={**EXPORTED, **error_responses("422 PERIOD_REVERSED")},
)
def export_jobs(admin: AdminUser, services: ServicesDep, days: Days) -> RedirectResponse:
    """Jobs by the day on which they were made, as CSV."""
    return _exported(services, admin, JOBS, days)


@app.get("/api/export/ar-aging.csv", status_code=302, tags=["Exports"], responses=EXPORTED)
def export_ar_aging(admin: AdminUser, services: ServicesDep) -> RedirectResponse:
    """What is owed today, one open invoice a row, by how late it is, as CSV."""
    return _exported(services, admin, AR_AGING, None)


def _exported(services: Services, admin: AdminUser, export: Export, days: Period | None) -> RedirectResponse:
    url = export_url(
        services.storage,
        services.database,
        admin,
        export,
        days,
        seconds=services.settings.download_url_seconds,
    )
    return RedirectResponse(url, status_code=302)
