"""What a message and a thread look like in requests and answers."""

from typing import Annotated, Literal

from pydantic import Field

from printshop.kernel.base_model import CamelModel, StrictModel

Id = Annotated[int, Field(ge=1, le=2**53)]
Body = Annotated[str, Field(min_length=1, max_length=5000, examples=["When will my order be ready?"])]


class MessageRequest(StrictModel):
    """A message."""

    body: Body


class InvoiceRelatedRequest(MessageRequest):
    """A message that may be about an invoice of the client."""

    invoice_id: Annotated[Id | None, Field(examples=[None])] = None


class ThreadMessageRequest(InvoiceRelatedRequest):
    """A message; the shop names the client's login to whom it writes."""

    user_id: Annotated[Id | None, Field(description="The shop only: whose thread", examples=[None])] = None


class Sender(CamelModel, extra="forbid"):
    """Who wrote."""

    id: int
    role: Literal["ADMIN", "CLIENT"]
    name: str


class Message(CamelModel, extra="forbid"):
    """A message of a thread. `sender` is null for the system's own; `readAt` null is unread."""

    id: int
    user_id: int
    """Whose thread it is."""
    invoice_id: int | None
    invoice_number: str | None
    body: str
    sender: Sender | None
    read_at: str | None
    created_at: str


class Thread(CamelModel, extra="forbid"):
    """A client's thread as the shop's list shows it: how many of their messages are unread, and the latest one."""

    user_id: int
    user_name: str
    user_email: str
    client_id: int | None
    client_name: str | None
    unread: int
    latest: Message
