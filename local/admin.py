"""`make admin EMAIL=…`: the first admin, whom no route can make.

Works on the project named by NEXT_PUBLIC_SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY, or else on the stack that
`make up` serves.
"""

import json
import os
import sys

import httpx

from local.accounts import AuthAdmin
from local.stack import STATE


def main() -> int:
    email = sys.argv[1] if len(sys.argv) > 1 else ""
    if "@" not in email:
        print("Name the login: make admin EMAIL=you@example.com", file=sys.stderr)
        return 2
    url, key = os.environ.get("NEXT_PUBLIC_SUPABASE_URL"), os.environ.get("SUPABASE_SERVICE_ROLE_KEY")
    if not (url and key):
        if not STATE.exists():
            print(
                "No project: set NEXT_PUBLIC_SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY, or start `make up` first.",
                file=sys.stderr,
            )
            return 2
        stack = json.loads(STATE.read_text())
        url, key = stack["supabaseUrl"], stack["secretKey"]
    try:
        password = AuthAdmin(url, key).make_admin(email)
    except httpx.ConnectError:
        print(f"{url} does not answer; start it (`make up`), or correct the address.", file=sys.stderr)
        return 1
    print(f"{email} is an admin.")
    if password:
        print(f"The login is new; its one-time password: {password}")
        print("Change it after the first login: POST /api/auth/change-password")
    return 0


if __name__ == "__main__":
    sys.exit(main())
