"""The process's services as a FastAPI parameter: `services: Provided`."""

from typing import Annotated

from fastapi import Depends

from printshop.services import Services, get_services

Provided = Annotated[Services, Depends(get_services)]
