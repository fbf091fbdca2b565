"""Makes a login an admin with the project's secret key, which no route of the API does."""

import secrets
from dataclasses import dataclass

import httpx


@dataclass(frozen=True)
class AuthAdmin:
    """Supabase Auth's admin API and the database function `make_admin`, called with the project's secret key."""

    url: str
    secret_key: str

    def make_admin(self, email: str) -> str | None:
        """Make `email` an admin; returns the one-time password of a new login, None for an existing one."""
        password = None
        user = self._find(email)
        if user is None:
            password = secrets.token_urlsafe(12)
            user = self._post(
                "/auth/v1/admin/users", {"email": email, "password": password, "email_confirm": True}
            )["id"]
        self._post("/rest/v1/rpc/make_admin", {"p_auth_user_id": user, "p_email": email})
        return password

    def _find(self, email: str) -> str | None:
        page = 1
        while True:
            response = httpx.get(
                f"{self.url}/auth/v1/admin/users",
                params={"page": page, "per_page": 200},
                headers=self._headers,
                timeout=30,
            )
            response.raise_for_status()
            users = response.json()["users"]
            for user in users:
                if str(user["email"]).lower() == email.lower():
                    return str(user["id"])
            if len(users) < 200:
                return None
            page += 1

    def _post(self, path: str, body: dict[str, object]) -> dict[str, str]:
        response = httpx.post(f"{self.url}{path}", json=body, headers=self._headers, timeout=30)
        response.raise_for_status()
        answer: dict[str, str] = response.json()
        return answer

    @property
    def _headers(self) -> dict[str, str]:
        return {"apikey": self.secret_key, "Authorization": f"Bearer {self.secret_key}"}
