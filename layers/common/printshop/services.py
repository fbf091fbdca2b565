"""The real collaborators, built once per process and only when first used."""

from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import httpx

from printshop.auth.tokens import TokenVerifier
from printshop.auth.users import Users
from printshop.database import Database
from printshop.log import get_logger
from printshop.rotation import current
from printshop.settings import Settings
from printshop.storage import Storage
from printshop.supabase import http_client

if TYPE_CHECKING:
    from printshop.auth.accounts import Accounts
    from printshop.auth.logins import Logins
    from printshop.payments.stripe_gateway import StripeGateway
    from printshop.queue import DeadLetters, MailQueue, SliceQueue

log = get_logger()


class Services:
    """What the use cases take as arguments. Heavy ones (stripe, boto3, the auth client) are imported when used."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def client(self) -> httpx.Client:
        log.info(scope="supabase.connect", data={"url": self.settings.next_public_supabase_url})
        return http_client(self.settings)

    @cached_property
    def database(self) -> Database:
        return Database(self.settings, self.client)

    @cached_property
    def storage(self) -> Storage:
        return Storage(self.settings, self.client)

    @cached_property
    def tokens(self) -> TokenVerifier:
        return TokenVerifier(self.settings, self.client)

    @cached_property
    def users(self) -> Users:
        return Users(self.database)

    @cached_property
    def accounts(self) -> "Accounts":
        from printshop.auth.accounts import Accounts  # noqa: PLC0415

        return Accounts(self.settings, self.client, self.database)

    @cached_property
    def logins(self) -> "Logins":
        from printshop.auth.logins import Logins  # noqa: PLC0415

        return Logins(self.settings, self.client, self.database)

    @cached_property
    def stripe(self) -> "StripeGateway":
        from printshop.payments.stripe_gateway import StripeGateway  # noqa: PLC0415

        return StripeGateway(self.settings)

    @cached_property
    def queue(self) -> "SliceQueue":
        from printshop.queue import SliceQueue  # noqa: PLC0415

        return SliceQueue(self.settings)

    @cached_property
    def mail_queue(self) -> "MailQueue":
        from printshop.queue import MailQueue  # noqa: PLC0415

        return MailQueue(self.settings)

    @cached_property
    def dead_letters(self) -> "DeadLetters":
        from printshop.queue import DeadLetters  # noqa: PLC0415

        return DeadLetters(self.settings)


def get_services() -> Services:
    """This process's services. Raises SettingsError when the environment cannot be used.

    A rotated secret brings new ones; equal settings keep them.
    """
    return _services(current.read())


@lru_cache(maxsize=1)
def _services(settings: Settings) -> Services:
    return Services(settings)
