"""The real collaborators, built once per process and only when first used."""

from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import httpx

from printshop.accounts.tokens import TokenVerifier
from printshop.accounts.users import Users
from printshop.adapters.database import Database
from printshop.adapters.storage.objects import Storage
from printshop.adapters.supabase import http_client
from printshop.config.settings import Settings
from printshop.config.settings_provider import current
from printshop.kernel.log import get_logger

if TYPE_CHECKING:
    from printshop.accounts.logins import Logins
    from printshop.accounts.sessions import Accounts
    from printshop.adapters.queues import DeadLetters, MailQueue, SliceQueue
    from printshop.adapters.stripe import StripeGateway

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
        from printshop.accounts.sessions import Accounts  # noqa: PLC0415

        return Accounts(self.settings, self.client, self.database)

    @cached_property
    def logins(self) -> "Logins":
        from printshop.accounts.logins import Logins  # noqa: PLC0415

        return Logins(self.settings, self.client, self.database)

    @cached_property
    def stripe(self) -> "StripeGateway":
        from printshop.adapters.stripe import StripeGateway  # noqa: PLC0415

        return StripeGateway(self.settings)

    @cached_property
    def queue(self) -> "SliceQueue":
        from printshop.adapters.queues import SliceQueue  # noqa: PLC0415

        return SliceQueue(self.settings)

    @cached_property
    def mail_queue(self) -> "MailQueue":
        from printshop.adapters.queues import MailQueue  # noqa: PLC0415

        return MailQueue(self.settings)

    @cached_property
    def dead_letters(self) -> "DeadLetters":
        from printshop.adapters.queues import DeadLetters  # noqa: PLC0415

        return DeadLetters(self.settings)


def get_services() -> Services:
    """This process's services. Raises SettingsError when the environment cannot be used.

    A rotated secret brings new ones; equal settings keep them.
    """
    return _services(current.read())


@lru_cache(maxsize=1)
def _services(settings: Settings) -> Services:
    return Services(settings)
