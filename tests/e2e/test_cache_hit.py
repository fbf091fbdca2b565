"""What a cached slice costs: the figures come inside POST slice, by two requests to Supabase and no message."""

import time

import pytest

from devstack import Stack
from tests.conftest import Client
from tests.integration.api.traces import wait_until_quiet
from tests.support.models import cube_stl
from tests.support.orders import slice_request, sliced, uploaded

MODEL = cube_stl(8.25)


def requests_to_supabase(stack: Stack) -> list[str]:
    """All so far, once no more come."""
    seen: list[str] = []
    while (requests := stack.supabase.requests()) != seen:
        seen = requests
        time.sleep(0.2)
    return seen


@pytest.mark.parametrize("cold", [False, True], ids=["warm", "cold"])
def test_a_cache_hit_costs_two_requests_to_supabase_and_no_message(
    stack: Stack, customer: Client, other_customer: Client, cold: bool
) -> None:
    known = sliced(other_customer, "first.stl", MODEL)
    file_id = uploaded(customer, "again.stl", MODEL)
    wait_until_quiet(stack)
    if cold:
        stack.gateway.recycle("QuickOrderFunction")
    requests, calls = len(requests_to_supabase(stack)), len(stack.aws.calls())
    answer = customer.data("POST", "quick-order/slice", slice_request(file_id))
    assert (answer["status"], answer["queued"], answer["metadata"]["attempts"]) == ("completed", False, 0)
    made = [line.split()[1] for line in requests_to_supabase(stack)[requests:]]
    assert len(made) == 2, made
    assert made[1] == "/rest/v1/rpc/request_slice"
    sent = [call for call in stack.aws.calls()[calls:] if call["action"].startswith("SendMessage")]
    assert sent == []
    assert customer.data("GET", f"quick-order/files/{file_id}")["result"] == known["result"]
