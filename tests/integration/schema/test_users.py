"""Logins in the database: invited with a profile, closed for good, and never without an admin."""

from uuid import uuid4

import psycopg
import pytest

from tests.integration.schema.shop import Customer, Shop, call


def login(shop: Shop) -> str:
    """A login of Supabase Auth without a profile."""
    made = str(uuid4())
    shop.rows.execute("insert into auth.users (id, email) values (%s, %s)", (made, f"{made}@example.com"))
    return made


def admin(shop: Shop) -> int:
    made = login(shop)
    return int(shop.call("make_admin", p_auth_user_id=made, p_email=f"{made}@example.com")["id"])


def admins(shop: Shop) -> list[int]:
    return [row[0] for row in shop.rows.execute("select id from users where role = 'ADMIN' order by id")]


@pytest.fixture
def two_admins(shop: Shop) -> tuple[int, int]:
    """The only ones."""
    shop.rows.execute("delete from users where role = 'ADMIN'")
    return admin(shop), admin(shop)


def invited(shop: Shop, **changes: object) -> dict[str, object]:
    made = login(shop)
    answer: dict[str, object] = shop.call(
        "create_user",
        **{
            "p_user_id": admin(shop),
            "p_auth_user_id": made,
            "p_email": f"{made}@example.com",
            "p_name": "Ivy",
            "p_role": "ADMIN",
            "p_client_id": None,
            **changes,
        },
    )
    return answer


def test_two_admins_who_delete_each_other_leave_one(shop: Shop) -> None:
    """Fifty times: one wins, the other gets a clean refusal, and never are there none."""
    shop.rows.execute("delete from users where role = 'ADMIN'")
    pair = [admin(shop), admin(shop)]
    for _ in range(50):

        def delete(connection: psycopg.Connection, number: int, pair: list[int] = pair) -> object:
            answer = call(connection, "delete_user", p_user_id=pair[number], p_deleted_id=pair[1 - number])
            return answer["error"]["code"] if "error" in answer else "DELETED"

        assert sorted(map(str, shop.at_once(2, delete))) == ["DELETED", "LAST_ADMIN"]
        (left,) = admins(shop)
        pair = [left, admin(shop)]


def test_of_three_admins_two_who_delete_each_other_leave_two(shop: Shop, two_admins: tuple[int, int]) -> None:
    third = admin(shop)
    answers = shop.at_once(
        2,
        lambda connection, number: call(
            connection, "delete_user", p_user_id=two_admins[number], p_deleted_id=two_admins[1 - number]
        ),
    )
    refused = [answer["error"]["code"] for answer in answers if "error" in answer]
    assert refused == ["ADMIN_ONLY"]
    assert third in admins(shop)
    assert len(admins(shop)) == 2


def test_the_last_admin_stays_although_he_asks_himself(shop: Shop, two_admins: tuple[int, int]) -> None:
    first, last = two_admins
    assert "authUserId" in shop.call("delete_user", p_user_id=first, p_deleted_id=first)
    refused = shop.call("delete_user", p_user_id=last, p_deleted_id=last)["error"]
    assert (refused["status"], refused["code"]) == (409, "LAST_ADMIN")
    assert admins(shop) == [last]


def test_a_deleted_user_stays_closed_until_the_login_is_forgotten(shop: Shop) -> None:
    deleter, made = admin(shop), invited(shop)
    shop.call("delete_user", p_user_id=deleter, p_deleted_id=made["id"])
    again = shop.call("delete_user", p_user_id=deleter, p_deleted_id=made["id"])
    opened = shop.call(
        "open_account",
        p_auth_user_id=again["authUserId"],
        p_email="back@example.com",
        p_name="",
        p_company="",
        p_phone="",
    )
    assert opened["error"]["code"] == "NO_PROFILE"
    shop.rows.execute("delete from auth.users where id = %s", (again["authUserId"],))
    gone = shop.call("delete_user", p_user_id=deleter, p_deleted_id=made["id"])
    assert gone["error"]["code"] == "USER_NOT_FOUND"


def test_what_a_deleted_user_wrote_stays_without_his_name(shop: Shop) -> None:
    customer = shop.customer()
    invoice, file = shop.invoice(customer), shop.uploaded(customer)
    shop.call("delete_user", p_user_id=admin(shop), p_deleted_id=customer.user_id)
    assert shop.value("select created_by is null from invoices where id = %s", invoice["id"]) is True
    assert shop.value("select count(*) from tmp_files where id = %s", file) == 0
    metadata = shop.value(
        "select metadata from activity_logs where action = 'USER_DELETED' and client_id = %s",
        customer.client_id,
    )
    assert metadata["deletedUserId"] == customer.user_id


def test_an_invited_client_belongs_to_the_client_that_exists(shop: Shop) -> None:
    customer = shop.customer()
    made = invited(shop, p_role="CLIENT", p_client_id=customer.client_id)
    assert (made["clientId"], made["mustChangePassword"]) == (customer.client_id, True)
    assert (
        shop.value(
            "select metadata -> 'invitedUserId' from activity_logs"
            " where action = 'USER_INVITED' and client_id = %s",
            customer.client_id,
        )
        == made["id"]
    )


def test_a_client_who_does_not_exist_gets_no_login(shop: Shop) -> None:
    refused = invited(shop, p_role="CLIENT", p_client_id=2**53)
    assert refused["error"] == {
        "status": 422,
        "code": "UNKNOWN_CLIENT",
        "message": "Name the client of this login in clientId.",
        "details": [{"field": "clientId"}],
    }


def test_an_unfinished_invitation_opens_no_account(shop: Shop) -> None:
    opened = shop.call(
        "open_account",
        p_auth_user_id=login(shop),
        p_email="a@example.com",
        p_name="",
        p_company="",
        p_phone="",
        p_invited=True,
    )
    assert opened["error"]["code"] == "NO_PROFILE"


def test_a_password_of_his_own_frees_the_login(shop: Shop) -> None:
    made = invited(shop)
    auth_user_id = shop.value("select auth_user_id from users where id = %s", made["id"])
    freed = shop.call("end_all_sessions", p_auth_user_id=auth_user_id, p_session_id=None)
    assert (freed["id"], freed["mustChangePassword"]) == (made["id"], False)


def test_a_page_of_users_follows_the_last_while_others_are_invited(shop: Shop) -> None:
    word = uuid4().hex[:8]
    wanted = [Customer(int(str(invited(shop, p_name=f"{word} {n}")["id"])), 0).user_id for n in range(5)]
    seen: list[int] = []
    place: tuple[str | None, int | None] = (None, None)
    while True:
        page = shop.call(
            "list_users", p_query=word, p_limit=2, p_before_created=place[0], p_before_id=place[1]
        )
        seen += [row["id"] for row in page]
        if len(page) < 2:
            break
        invited(shop, p_name=f"{word} later")
        place = (page[-1]["createdAt"], page[-1]["id"])
    assert seen == wanted[::-1]
