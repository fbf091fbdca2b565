"""Health: alive at once, ready after each part was tried."""

from typing import Any

from fastapi import Response

from printshop.health import readiness
from printshop.http import AdminUser, Data, Provided, create_app, lambda_handler

app = create_app("Health")
handler = lambda_handler(app)


@app.get("/api/health")
def alive() -> Data[dict[str, str]]:
    return Data(data={"status": "alive"})


@app.get("/api/health/ready")
def ready(_: AdminUser, response: Response, services: Provided) -> Data[dict[str, Any]]:
    found = readiness(services)
    response.status_code = 200 if found["ready"] else 503
    return Data(data=found)
