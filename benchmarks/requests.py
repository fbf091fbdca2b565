"""Requests to Supabase per route, cold (a fresh process, an unknown user) and warm.

Rival: the route's floor, which is its own work: one query for a read, one rpc for a write, one request a file moved.
Counted at the Supabase end.
"""

import tempfile
from pathlib import Path

from devstack import Stack
from tests.conftest import Client
from tests.e2e.rights.matrix import read_matrix
from tests.e2e.round_trips import count
from tests.e2e.scenes import World


def main() -> None:
    print("Requests to Supabase per route")
    print("  rival: its own work: one query for a read, one rpc for a write, one request a file moved")
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder) / "stack") as stack:
        login = stack.admin("bench@example.com")
        world = World(stack, Client(stack.api_url, login.accessToken, login.email, login.password))
        print(f"  {'route':<58}{'cold':>5}{'warm':>6}  what a warm one is made of")
        for rights in read_matrix():
            role = next(role for role in ("owner", "admin") if rights.cells[role] == "ok")
            cold = count(world, rights.method, rights.path, role, cold=True)
            warm = count(world, rights.method, rights.path, role)
            print(f"  {rights.name:<58}{len(cold.made):>5}{len(warm.made):>6}  {warm}")


if __name__ == "__main__":
    main()
