"""Sessions: how the cookie is made, how long it lasts, and which requests may change something."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select
from yarl import URL

from cloud.dashboard.entrance import own_path
from cloud.security.sessions import ABSOLUTE_MS, IDLE_MS, SESSIONS
from cloud.security.vault import Secrets
from cloud.store import schema
from tests.cloud.cloud_server import Cloud, Person, running_cloud
from tests.cloud.people_client import Browsing, session, sign_in
from tests.cloud.people_parts import PASSWORD, Clock

DAY_S = 86_400


def browsing(cloud: Cloud, person: Person) -> Browsing:
    return Browsing(cloud.session, cloud.base, person.headers)


async def signed_in_status(cloud: Cloud, person: Person) -> int:
    return (await person.send("GET", "/v1/devices")).status


async def test_signing_in_by_the_form_opens_a_session(cloud: Cloud) -> None:
    await cloud.person("ada@example.org")
    async with session() as client:
        await sign_in(client, cloud.base, "ada@example.org", PASSWORD)
        async with client.get(f"{cloud.base}/v1/devices") as response:
            assert response.status == 200


async def posted(cloud: Cloud, address: str, headers: dict[str, str], **form: str) -> tuple[int, str, str]:
    """(status, Set-Cookie, Location) of a form."""
    async with cloud.session.post(address, data=form, headers=headers, allow_redirects=False) as response:
        return (
            response.status,
            response.headers.get("Set-Cookie", ""),
            response.headers.get("Location", ""),
        )


ADA = {"email": "ada@example.org", "password": PASSWORD}


async def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(cloud: Cloud) -> None:
    await cloud.person("ada@example.org")
    _, cookie, _ = await posted(cloud, f"{cloud.base}/sign-in", {"Origin": cloud.base}, **ADA)
    assert cookie.startswith("session=")
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert "Domain" not in cookie


async def test_with_https_the_cookie_is_bound_to_the_host_and_never_sent_in_clear(
    tmp_path: Path, secrets: Secrets, moved_clock: Clock
) -> None:
    public = "https://meteors.example.org"
    async with running_cloud(tmp_path / "cloud", secrets, moved_clock, public_url=public) as cloud:
        await cloud.person("ada@example.org")
        address = f"http://127.0.0.1:{cloud.settings.port}/sign-in"
        status, cookie, _ = await posted(cloud, address, {"Origin": public}, **ADA)
        assert status == 303
        assert cookie.startswith("__Host-session=")
        assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))

        plain = {"Origin": f"http://127.0.0.1:{cloud.settings.port}"}
        assert (await posted(cloud, address, plain, **ADA))[0] == 403, "the plain address is not ours then"


async def test_the_store_has_only_the_hash_of_a_token(cloud: Cloud) -> None:
    person = await cloud.person()
    token = person.headers["Cookie"].removeprefix("session=")
    rows = await cloud.database.read(lambda connection: connection.execute(select(schema.session)).all())
    assert len(rows) == 1
    assert token not in str(rows)


async def test_a_session_ends_after_two_weeks_without_use(cloud: Cloud) -> None:
    person = await cloud.person()
    for _ in range(3):
        cloud.clock.move(13 * DAY_S)
        assert await signed_in_status(cloud, person) == 200
    cloud.clock.move(IDLE_MS / 1000)
    assert await signed_in_status(cloud, person) == 401


async def test_a_session_ends_after_90_days_however_much_it_is_used(cloud: Cloud) -> None:
    person = await cloud.person()
    for _ in range(9):
        cloud.clock.move(10 * DAY_S - 1)
        assert await signed_in_status(cloud, person) == 200
    cloud.clock.move(ABSOLUTE_MS / 1000 - 9 * (10 * DAY_S - 1))
    assert await signed_in_status(cloud, person) == 401


async def test_expired_sessions_are_swept_and_live_ones_stay(cloud: Cloud) -> None:
    await cloud.person()
    cloud.clock.move(10 * DAY_S)
    alive = await cloud.person()
    cloud.clock.move(5 * DAY_S)
    assert await cloud.app[SESSIONS].sweep() == 1
    assert await signed_in_status(cloud, alive) == 200


async def test_signing_out_ends_the_session_for_good(cloud: Cloud) -> None:
    person = await cloud.person()
    page = await browsing(cloud, person).post("/sign-out")
    assert page.address == "/sign-in"
    assert await signed_in_status(cloud, person) == 401


async def test_signing_in_again_makes_the_old_token_worthless(cloud: Cloud) -> None:
    person = await cloud.person("ada@example.org")
    headers = {"Origin": cloud.base, "Cookie": person.headers["Cookie"]}
    status, cookie, _ = await posted(cloud, f"{cloud.base}/sign-in", headers, **ADA)
    assert status == 303
    assert cookie.partition(";")[0] != person.headers["Cookie"]
    assert await signed_in_status(cloud, person) == 401


async def test_a_new_password_ends_every_other_session(cloud: Cloud) -> None:
    here = await cloud.person("ada@example.org")
    async with session() as elsewhere:
        await sign_in(elsewhere, cloud.base, "ada@example.org", PASSWORD)
        page = await browsing(cloud, here).post(
            "/account/password", current=PASSWORD, new="another one, long"
        )
        assert "Your password is changed" in page.text
        async with elsewhere.get(f"{cloud.base}/v1/devices") as response:
            assert response.status == 401
    assert await signed_in_status(cloud, here) == 200


@pytest.mark.parametrize("current", ["", "wrong"])
async def test_a_password_change_without_the_current_one_says_so(cloud: Cloud, current: str) -> None:
    person = await cloud.person()
    page = await browsing(cloud, person).post("/account/password", current=current, new="another one, long")
    assert page.status == 400
    assert "This is not your current password." in page.text


OWN = "own"
CHANGES = [
    ({"Origin": OWN}, "right", 303),
    ({}, "right", 303),
    ({"Sec-Fetch-Site": "same-origin"}, "right", 303),
    ({"Origin": OWN}, "", 403),
    ({"Origin": OWN}, "wrong", 403),
    ({"Origin": "https://evil.example"}, "right", 403),
    ({"Origin": "null"}, "right", 403),
    ({"Origin": OWN + ".evil.example"}, "right", 403),
    ({"Sec-Fetch-Site": "cross-site"}, "right", 403),
    ({"Sec-Fetch-Site": "same-site"}, "right", 403),
]


@pytest.mark.parametrize(("headers", "csrf", "status"), CHANGES)
async def test_a_change_needs_our_page_and_the_token_of_the_session(
    cloud: Cloud, headers: dict[str, str], csrf: str, status: int
) -> None:
    person = await cloud.person()
    sent = {"Cookie": person.headers["Cookie"]}
    sent |= {name: text.replace(OWN, cloud.base) for name, text in headers.items()}
    token = {"right": person.headers["X-CSRF-Token"]}.get(csrf, csrf)
    form = {"csrf": token, "name": "Ada"}
    assert (await posted(cloud, f"{cloud.base}/account/name", sent, **form))[0] == status
    page = await browsing(cloud, person).get("/account")
    assert ('value="Ada"' in page.html) is (status == 303)


async def test_the_token_of_another_session_opens_nothing(cloud: Cloud) -> None:
    ada, eve = await cloud.person(), await cloud.person()
    headers = {"Cookie": ada.headers["Cookie"], "Origin": cloud.base}
    form = {"csrf": eve.headers["X-CSRF-Token"], "name": "Eve was here"}
    assert (await posted(cloud, f"{cloud.base}/account/name", headers, **form))[0] == 403


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
async def test_another_site_cannot_sign_its_reader_in(cloud: Cloud, origin: str) -> None:
    await cloud.person("ada@example.org")
    status, cookie, _ = await posted(cloud, f"{cloud.base}/sign-in", {"Origin": origin}, **ADA)
    assert (status, cookie) == (403, "")


@pytest.mark.parametrize(
    "cookie", ["", "session=", "session=nonsense", "session=" + "A" * 43, "session=\xff", "other=1"]
)
async def test_without_a_session_a_page_leads_to_the_door_and_the_interface_says_401(
    cloud: Cloud, cookie: str
) -> None:
    headers = {"Cookie": cookie} if cookie else {}
    page = await Browsing(cloud.session, cloud.base, headers).get("/stations/add", follow=False)
    assert (page.status, page.address) == (303, "/sign-in?next=/stations/add")
    async with cloud.session.get(f"{cloud.base}/v1/devices", headers=headers) as response:
        assert response.status == 401
        assert response.content_type == "application/problem+json"


async def test_after_signing_in_one_is_where_one_wanted_to_be(cloud: Cloud) -> None:
    await cloud.person("ada@example.org")
    page = await Browsing(cloud.session, cloud.base, {}).get("/stations/dev_X?before=7", follow=False)
    assert URL(page.address).query == {"next": "/stations/dev_X?before=7"}
    form = {**ADA, "next": "/stations/dev_X?before=7"}
    _, _, location = await posted(cloud, f"{cloud.base}/sign-in", {"Origin": cloud.base}, **form)
    assert location == "/stations/dev_X?before=7"


@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        ("/", "/"),
        ("/claim", "/claim"),
        ("/stations/dev_1?before=3", "/stations/dev_1?before=3"),
        ("", "/"),
        ("stations", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/a\\b", "/"),
        ("https://evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\nSet-Cookie: x=1", "/"),
        ("/a b", "/"),
        ("/" + "a" * 600, "/"),
    ],
)
def test_the_way_on_after_signing_in_stays_on_this_server(wanted: str, path: str) -> None:
    assert own_path(wanted) == path


async def test_the_sign_in_page_says_when_there_were_too_many_attempts(cloud: Cloud) -> None:
    await cloud.person("ada@example.org")
    form = {"email": "ada@example.org", "password": "guess"}
    headers = {"Origin": cloud.base}
    statuses = [(await posted(cloud, f"{cloud.base}/sign-in", headers, **form))[0] for _ in range(11)]
    assert statuses == [401] * 10 + [429]
    async with cloud.session.post(f"{cloud.base}/sign-in", data=ADA, headers=headers) as response:
        assert response.status == 429
        assert int(response.headers["Retry-After"]) >= 1
        assert "(REG-006)" in await response.text()


async def test_a_form_that_is_no_text_is_a_bad_request(cloud: Cloud) -> None:
    async with cloud.session.post(
        f"{cloud.base}/sign-in",
        data=b"email=%ff%fe&password=\xff\xfe",
        headers={"Origin": cloud.base, "Content-Type": "application/x-www-form-urlencoded; charset=klingon"},
    ) as response:
        assert response.status == 400


async def test_a_signed_in_person_at_the_door_is_led_in(cloud: Cloud) -> None:
    person = await cloud.person()
    page = await browsing(cloud, person).get("/sign-in?next=//evil.example", follow=False)
    assert (page.status, page.address) == (303, "/")
