"""What does not come from our own page, from this client, now, is not carried out."""

from __future__ import annotations

import logging
import re

import aiohttp
import pytest
from aiohttp import web

from portal.fakes import PIN, RUNNING, FakeStation
from portal.server import create_app
from portal.settings import PortalSettings
from tests.portal.phone import Phone

TECHNICIANS = [
    "/technician/locate",
    "/technician/retry",
    "/technician/test",
    "/technician/picture",
    "/technician/restart",
    "/technician/reset",
    "/support-bundle",
]
"""Behind the PIN; what they ask for themselves is in test_technician.py."""

POSTS = [
    "/setup/scan",
    "/setup/join",
    "/setup/cancel",
    "/claim/code",
    "/country",
    "/status/locate",
    "/technician",
    "/help/again",
    "/language",
]

ANY = {
    "network": b"Home-5G".hex(),
    "password": "correct horse",
    "claim_code": "mct_abcdef",
    "language": "en-XA",
    "pin": PIN,
}


async def token(phone: Phone) -> str:
    return (await phone.open("/setup")).form("/setup/scan").fields["token"]


async def post(
    address: str, path: str, data: dict[str, str], **headers: str
) -> tuple[int, str, dict[str, str]]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(address + path, data=data, headers=headers, allow_redirects=False) as response,
    ):
        return response.status, await response.text(), dict(response.headers)


def test_the_list_of_forms_here_is_complete() -> None:
    routes = create_app(FakeStation()).router.routes()
    assert sorted(POSTS + TECHNICIANS) == sorted(
        route.resource.canonical for route in routes if route.method == "POST" and route.resource
    )
    assert {route.method for route in routes} == {"GET", "HEAD", "POST"}


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("bad", ["", "1.2", "9999999999.00", "é"])
async def test_a_form_without_our_token_does_nothing(
    address: str, station: FakeStation, path: str, bad: str
) -> None:
    status, body, headers = await post(address, path, ANY | {"token": bad})
    assert (status, station.asked) == (403, [])
    assert "WEB-001" in body
    assert "Set-Cookie" not in headers


@pytest.mark.parametrize("path", POSTS + TECHNICIANS)
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
    ],
    ids=str,
)
async def test_a_form_from_another_site_does_nothing_even_with_a_token(
    address: str, station: FakeStation, phone: Phone, path: str, headers: dict[str, str]
) -> None:
    status, body, _ = await post(address, path, ANY | {"token": await token(phone)}, **headers)
    assert (status, station.asked) == (403, [])
    assert "WEB-002" in body


async def test_a_form_that_was_open_too_long_keeps_all_but_the_password(station: FakeStation) -> None:
    clock = 0.0
    app = create_app(station, settings=PortalSettings(token_lifetime=60), now=lambda: clock)
    from portal.server import serving

    async with serving(app, "127.0.0.1", 0) as address, Phone(address) as phone:
        form = await phone.open("/setup?network=other")
        clock = 61.0
        again = await phone.send(form, "/setup/join", name="Hidden", password="correct horse")
        assert (again.status, again.form("/setup/join").fields["name"]) == (403, "Hidden")
        assert "WEB-001" in again.text
        await phone.send(again, "/setup/join", password="correct horse")
    assert [name for name, _ in station.asked] == ["join"]


async def test_too_many_tries_are_told_to_wait(address: str, station: FakeStation, phone: Phone) -> None:
    data = {"token": await token(phone)}
    statuses = [(await post(address, "/setup/scan", data))[0] for _ in range(11)]
    assert statuses == [303] * 10 + [429]
    status, body, headers = await post(address, "/setup/scan", data)
    assert status == 429
    assert 0 < int(headers["Retry-After"]) <= 15
    assert "WEB-003" in body
    assert len(station.asked) == 10


async def test_changing_the_language_is_not_a_try(address: str, phone: Phone) -> None:
    data = {"token": await token(phone), "language": "en-XA"}
    assert {(await post(address, "/language", data))[0] for _ in range(12)} == {303}


@pytest.mark.parametrize("path", POSTS + TECHNICIANS)
async def test_a_body_beyond_the_limit_is_refused(address: str, station: FakeStation, path: str) -> None:
    status, body, _ = await post(address, path, {"password": "x" * 20_000})
    assert (status, station.asked) == (413, [])
    assert "WEB-005" in body


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 415),
        ("text/plain", 415),
        ("multipart/form-data", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/x-www-form-urlencoded; charset=no-such-thing", 400),
        ("application/x-www-form-urlencoded; charset=ascii", 400),
    ],
)
async def test_a_body_that_is_no_form_of_ours_does_nothing(
    address: str, station: FakeStation, content_type: str, status: int
) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            address + "/setup/join", data=b"token=\xff&name=x", headers={"Content-Type": content_type}
        ) as response,
    ):
        assert response.status == status
        assert "WEB-007" in await response.text()
    assert station.asked == []


@pytest.mark.parametrize(
    "back", ["//evil.example", "https://evil.example", "/\\evil.example", "/a\r\nX: y", ""]
)
async def test_the_language_form_leads_nowhere_else(address: str, phone: Phone, back: str) -> None:
    data = {"token": await token(phone), "language": "en-XA", "back": back}
    status, _, headers = await post(address, "/language", data)
    assert (status, headers["Location"]) == (303, "/")


@pytest.mark.parametrize(
    "path", ["/setup", "/progress", "/claim", "/status", "/health", "/api/status", "/static/portal.css", "/x"]
)
async def test_every_answer_carries_the_safe_headers(address: str, phone: Phone, path: str) -> None:
    headers = (await phone.open(path)).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Server"] == "meteor"


@pytest.mark.parametrize("path", ["/setup", "/setup?network=other", "/claim", "/status"])
async def test_no_page_needs_what_the_policy_forbids(phone: Phone, path: str) -> None:
    html = (await phone.open(path)).html
    assert re.findall(r"<script(?![^>]*\ssrc=)", html) == []
    assert re.findall(r"\s(style|on\w+)=", html) == []
    assert re.findall(r'(?:src|href|action)="(?:https?:)?//(?!cloud\.example\.org)', html) == []


async def test_loading_pages_changes_nothing(phone: Phone, station: FakeStation) -> None:
    for path in (
        "/setup",
        "/setup?network=other",
        "/progress",
        "/claim",
        "/status",
        "/api/status",
        *POSTS,
        *TECHNICIANS,
    ):
        await phone.open(path)
    assert station.asked == []


async def test_a_known_form_address_cannot_be_loaded(phone: Phone, station: FakeStation) -> None:
    await station.show(RUNNING)
    page = await phone.open("/setup/join")
    assert (page.status, page.headers["Allow"]) == (405, "POST")
    assert "WEB-007" in page.text


async def test_no_password_or_code_reaches_the_log(
    phone: Phone, station: FakeStation, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    async def explode(request: object) -> None:
        raise RuntimeError("the radio fell off")

    form = await phone.open("/setup?network=other")
    secrets = {"password": "canary-password", "claim_code": "canary-claim-code"}
    await phone.send(form, "/setup/join", name="Hidden", **secrets)
    await station.show(state="setup")
    station.join = explode  # type: ignore[method-assign]
    page = await phone.send(form, "/setup/join", name="Hidden", **secrets)
    assert (page.status, "WEB-006" in page.text) == (500, True)
    assert "the radio fell off" not in page.text
    assert "the radio fell off" in caplog.text
    assert "canary" not in caplog.text


async def test_the_card_s_secrets_stand_on_the_claim_page_alone(phone: Phone, station: FakeStation) -> None:
    assert station.snapshot().card is not None
    for path in ("/setup", "/status", "/api/status", "/health"):
        html = (await phone.open(path)).html
        assert "482913" not in html
        assert "482 913" not in html
        assert "q8Yw3fJr0cX2nLk5Vt7bZg" not in html
    assert "482 913" in (await phone.open("/claim")).html


async def test_the_application_keeps_no_string_keys() -> None:
    app: web.Application = create_app(FakeStation())
    assert all(isinstance(key, web.AppKey) for key in app)
