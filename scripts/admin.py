"""`make admin EMAIL=…`: makes the first admin, which no route of the API can do.

Works on the project named by NEXT_PUBLIC_SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY, or else on the stack that
`make up` serves.
"""

import sys

import httpx

from devstack import AuthAdmin
from scripts.project import NO_PROJECT, find_project


def main() -> int:
    email = sys.argv[1] if len(sys.argv) > 1 else ""
    if "@" not in email:
        print("Give the login's address: make admin EMAIL=you@example.com", file=sys.stderr)
        return 2
    project = find_project()
    if project is None:
        print(NO_PROJECT, file=sys.stderr)
        return 2
    url, key = project
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
