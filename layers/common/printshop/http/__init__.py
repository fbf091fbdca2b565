"""The HTTP side of a function: the app, its error answers, who is asking, and the Lambda entry point."""

from printshop.http.app import Handler, create_app, lambda_handler
from printshop.http.envelope import Data, Model, Page
from printshop.http.refusals import refusals
from printshop.http.security import (
    AdminUser,
    AnyCaller,
    Caller,
    ClientOrAdmin,
    ClientUser,
    CurrentCaller,
    DocumentAdmin,
    IdempotencyKey,
)
from printshop.http.services import Provided

__all__ = [
    "AdminUser",
    "AnyCaller",
    "Caller",
    "ClientOrAdmin",
    "ClientUser",
    "CurrentCaller",
    "Data",
    "DocumentAdmin",
    "Handler",
    "IdempotencyKey",
    "Model",
    "Page",
    "Provided",
    "create_app",
    "lambda_handler",
    "refusals",
]
