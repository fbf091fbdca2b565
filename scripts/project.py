"""The Supabase project that a command works on: the one of the environment, or the stack that `make up` serves."""

import os

from devstack import read_state

NO_PROJECT = (
    "No project: set NEXT_PUBLIC_SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY, or start `make up` first."
)


def find_project() -> tuple[str, str] | None:
    """URL and secret key of the project; None when neither the environment nor a stack names one."""
    url, key = os.environ.get("NEXT_PUBLIC_SUPABASE_URL"), os.environ.get("SUPABASE_SERVICE_ROLE_KEY")
    if url and key:
        return url, key
    stack = read_state()
    return None if stack is None else (stack["supabaseUrl"], stack["secretKey"])
