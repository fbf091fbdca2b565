"""Janitor: started by its schedule, every ten minutes."""

from typing import Any

from printshop.kernel.log import get_logger
from printshop.services import get_services
from printshop.upkeep.janitor import make_round

log = get_logger()
get_services()


@log.defects("janitor.defect")
def handler(_event: dict[str, Any], context: Any) -> dict[str, Any]:
    """One round; its counts are the answer."""
    services = get_services()
    log.begin(context.aws_request_id)
    return make_round(
        services.database,
        services.storage,
        services.queue,
        lambda: services.mail_queue,
        lambda: services.dead_letters,
        (lambda: services.stripe) if services.settings.stripe_key else None,
        retention_hours=services.settings.tmp_retention_hours,
    )
