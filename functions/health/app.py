"""Health: alive at once, ready after each part was tried."""

from typing import Literal

from fastapi import Response

from printshop.http.app import create_app, lambda_handler
from printshop.http.dependencies import AdminUser, ServicesDep
from printshop.kernel.base_model import Data, StrictModel
from printshop.upkeep.health import Readiness, readiness

app = create_app("Health")
handler = lambda_handler(app)


class Alive(StrictModel):
    """The function answers; nothing else was tried."""

    status: Literal["alive"] = "alive"


@app.get("/api/health", tags=["Health"])
def alive() -> Data[Alive]:
    """Whether the API answers at all."""
    return Data(data=Alive())


@app.get(
    "/api/health/ready",
    tags=["Health"],
    response_model_exclude_unset=True,
    responses={503: {"model": Data[Readiness], "description": "A part is broken; the parts say which"}},
)
def ready(_: AdminUser, response: Response, services: ServicesDep) -> Data[Readiness]:
    """Whether every part works, each tried by using it. 503, with the same body, when one does not."""
    found = readiness(
        services.database,
        services.storage,
        services.settings,
        queue=lambda: services.queue,
        mail_queue=lambda: services.mail_queue,
        stripe=lambda: services.stripe,
    )
    response.status_code = 200 if found.ready else 503
    return Data(data=found)
