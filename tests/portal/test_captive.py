"""What every phone's and computer's probe is answered, judged as that system would judge it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlsplit

import aiohttp
import pytest

from portal.captive import ONLINE, TO_PORTAL, Visitors, decide, is_own_host
from portal.fakes import IN_SETUP, RUNNING, WAITING_FOR_CLAIM, FakeStation
from portal.view import NetworkInfo, Snapshot
from tests.portal.phone import Phone

Judge = Callable[[int, str], bool]


def apple(status: int, body: str) -> bool:
    return status == 200 and body == "<HTML><HEAD><TITLE>Success</TITLE></HEAD><BODY>Success</BODY></HTML>"


def android(status: int, body: str) -> bool:
    return status == 204


def says(text: str) -> Judge:
    return lambda status, body: status == 200 and text in body


def never(status: int, body: str) -> bool:
    return False


PROBES: list[tuple[str, str, Judge]] = [
    ("captive.apple.com", "/hotspot-detect.html", apple),
    ("captive.apple.com", "/library/test/success.html", apple),
    ("www.apple.com", "/library/test/success.html", apple),
    ("connectivitycheck.gstatic.com", "/generate_204", android),
    ("www.google.com", "/gen_204", android),
    ("play.googleapis.com", "/generate_204", android),
    ("connect.rom.miui.com", "/generate_204", android),
    ("connectivitycheck.platform.hicloud.com", "/generate_204", android),
    ("www.msftconnecttest.com", "/connecttest.txt", says("Microsoft Connect Test")),
    ("www.msftncsi.com", "/ncsi.txt", says("Microsoft NCSI")),
    ("www.msftconnecttest.com", "/redirect", never),
    ("detectportal.firefox.com", "/canonical.html", says("support.mozilla.org/kb/captive-portal")),
    ("detectportal.firefox.com", "/success.txt?ipv4", says("success")),
    ("network-test.example", "/nm", says("NetworkManager is online")),
    ("nmcheck.gnome.org", "/check_network_status.txt", says("NetworkManager is online")),
    ("spectrum.s3.amazonaws.com", "/kindle-wifi/wifistub.html", says("81ce4465-7167-4dcb-835b-dcc9e44c112a")),
    ("www.gstatic.com", "/generate_204", android),
    ("vendor.example", "/some/new/probe/of/next/year", never),
    ("example.org", "/", never),
]

IDS = [f"{host}{path}" for host, path, _ in PROBES]


@pytest.mark.parametrize(("host", "path", "online"), PROBES, ids=IDS)
def test_during_setup_every_probe_is_led_to_the_portal(host: str, path: str, online: Judge) -> None:
    assert decide(urlsplit(path).path, own_host=False, done=False) == TO_PORTAL


@pytest.mark.parametrize(("host", "path", "online"), PROBES, ids=IDS)
def test_a_client_that_is_done_hears_what_its_system_wants_to_hear(
    host: str, path: str, online: Judge
) -> None:
    answer = decide(urlsplit(path).path, own_host=False, done=True)
    assert answer is not None
    assert online(answer.status, answer.body) or (online is never and answer == TO_PORTAL)


@pytest.mark.parametrize("path", sorted(ONLINE))
def test_a_probe_is_known_by_its_path_even_when_it_asks_our_own_address(path: str) -> None:
    assert decide(path, own_host=True, done=False) == TO_PORTAL


@pytest.mark.parametrize("path", ["/", "/setup", "/static/portal.css", "/nowhere"])
def test_our_own_pages_are_left_alone(path: str) -> None:
    assert decide(path, own_host=True, done=False) is None


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("192.0.2.1", True),
        ("192.0.2.1:8080", True),
        ("[fe80::1]", True),
        ("[fe80::1%25wlan0]:80", True),
        ("fe80::1", True),
        ("localhost:8080", True),
        ("Meteor-KXPMVT.local", True),
        ("meteor-kxpmvt.local.", True),
        ("captive.apple.com", False),
        ("192.0.2.1.evil.example", False),
        ("localhost.evil.example", False),
        ("", False),
        (":80", False),
    ],
)
def test_our_own_names_are_addresses_localhost_and_what_was_configured(host: str, own: bool) -> None:
    assert is_own_host(host, frozenset({"meteor-kxpmvt.local"})) is own


async def get(base: str, path: str, host: str) -> tuple[int, str, aiohttp.ClientResponse]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        url = base + path
        async with session.get(url, headers={"Host": host}, allow_redirects=False) as response:
            return response.status, await response.text(), response


@pytest.mark.parametrize(("host", "path", "online"), PROBES, ids=IDS)
async def test_over_http_a_probe_gets_a_302_that_nobody_keeps(
    address: str, host: str, path: str, online: Judge
) -> None:
    status, body, response = await get(address, path, host)
    assert (status, response.headers["Location"]) == (302, f"{address}/")
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Connection"] == "close"
    assert len(body) == int(response.headers["Content-Length"]) > 4
    assert not online(status, body)


@pytest.mark.parametrize("state", ["uninitialized", "initializing", "setup", "configuring", "connecting"])
async def test_a_foreign_page_leads_through_to_one_of_ours(
    address: str, station: FakeStation, phone: Phone, state: str
) -> None:
    await station.show(state=state)
    _, _, response = await get(address, "/anything", "example.org")
    page = await phone.open(response.headers["Location"])
    assert page.status == 200
    assert page.path in ("/setup", "/progress")


async def test_apple_hears_success_only_after_the_last_real_page(
    address: str, station: FakeStation, phone: Phone
) -> None:
    probe = (address, "/hotspot-detect.html", "captive.apple.com")
    await phone.open("/setup")
    assert not apple(*(await get(*probe))[:2])
    await station.show(WAITING_FOR_CLAIM)
    assert not apple(*(await get(*probe))[:2]), "the station is online, but this phone has not seen it"
    await phone.open("/api/status")
    assert not apple(*(await get(*probe))[:2]), "data loaded by a script is not a page"
    await phone.open("/")
    assert apple(*(await get(*probe))[:2])


async def test_android_hears_204_only_while_online_and_done(
    address: str, station: FakeStation, phone: Phone
) -> None:
    probe = (address, "/generate_204", "connectivitycheck.gstatic.com")
    await station.show(RUNNING)
    await phone.open("/status")
    assert (await get(*probe))[0] == 204
    await station.show(network=NetworkInfo())
    assert (await get(*probe))[0] == 302


async def test_after_a_reset_the_sheet_opens_again(address: str, station: FakeStation, phone: Phone) -> None:
    await station.show(RUNNING)
    await phone.open("/status")
    await station.show(IN_SETUP)
    await get(address, "/generate_204", "connectivitycheck.gstatic.com")
    await station.show(RUNNING)
    assert (await get(address, "/generate_204", "connectivitycheck.gstatic.com"))[0] == 302


async def test_windows_redirect_is_a_redirection_even_when_done(
    address: str, station: FakeStation, phone: Phone
) -> None:
    await station.show(RUNNING)
    await phone.open("/status")
    status, _, response = await get(address, "/redirect", "www.msftconnecttest.com")
    assert (status, response.headers["Location"]) == (302, f"{address}/")


async def test_an_unknown_path_leads_to_the_start_during_setup_and_is_a_404_later(
    address: str, station: FakeStation
) -> None:
    assert (await get(address, "/wpad.dat", "127.0.0.1"))[0] == 302
    await station.show(RUNNING)
    assert (await get(address, "/wpad.dat", "127.0.0.1"))[0] == 404


async def test_probes_and_pages_are_told_to_the_funnel(
    address: str, station: FakeStation, phone: Phone
) -> None:
    await get(address, "/generate_204", "connectivitycheck.gstatic.com")
    page = await phone.open("/setup")
    await phone.follow(page, "Home-5G")
    assert station.seen == [("127.0.0.1", step) for step in ("probe", "page", "form")]


def test_many_visitors_cannot_fill_the_memory() -> None:
    visitors = Visitors()
    for number in range(Visitors.MAX_CLIENTS + 1):
        visitors.loaded_last_page(f"client {number}", RUNNING)
    assert not visitors.done("client 0", RUNNING)
    assert visitors.done("client 1", RUNNING)


@pytest.mark.parametrize("snapshot", [IN_SETUP, replace(RUNNING, state="halted", phase="halted")])
def test_only_claiming_and_running_have_a_last_page(snapshot: Snapshot) -> None:
    visitors = Visitors()
    visitors.loaded_last_page("phone", snapshot)
    assert not visitors.done("phone", RUNNING)
