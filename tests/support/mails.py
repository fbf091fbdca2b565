"""What the local Supabase and SES put into their outboxes."""

import email
import email.policy
import re

from devstack import Stack


def recovery_token(stack: Stack, address: str) -> str:
    """The token hash of the newest recovery mail to `address`."""
    for path in sorted(stack.supabase.outbox.glob("*.eml"), reverse=True):
        mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        if address in str(mail["to"]):
            part = mail.get_body(("plain", "html"))
            assert part is not None
            found = re.search(r"token_hash=([\w-]+)", part.get_content())
            assert found is not None
            return found[1]
    raise AssertionError(f"no mail to {address}")
