"""The HTTP side of a function: the app, its error answers, who is asking, and the Lambda entry point."""

from printshop.http.app import Handler, create_app, lambda_handler
from printshop.http.envelope import Data, Model, Page
from printshop.http.security import AdminUser, Caller, ClientOrAdmin, CurrentCaller, IdempotencyKey
from printshop.http.services import Provided

__all__ = [
    "AdminUser",
    "Caller",
    "ClientOrAdmin",
    "CurrentCaller",
    "Data",
    "Handler",
    "IdempotencyKey",
    "Model",
    "Page",
    "Provided",
    "create_app",
    "lambda_handler",
]
