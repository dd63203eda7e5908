"""Every system's probes against the real portal in every state of the station: who opens the page, and when
each believes that it is online."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from urllib.parse import urljoin, urlsplit

import pytest

from appliance.device import HOTSPOT_ADDRESS
from portal.fakes import CARD, ONLINE, FakeStation
from portal.view import NetworkInfo, Snapshot
from statemachine.lifecycle import State
from statemachine.phase import view_of
from tests.conformance.clients import CLIENTS, JAVA_PRIVATE, Client, Verdict, android
from tests.conformance.wire import Air, Reply

DONE = (Verdict.ONLINE, Verdict.LIMITED)
NETWORKS = (NetworkInfo(), replace(ONLINE, online=False), ONLINE)
LAST = {State.NETWORK_READY, State.CLAIMING, State.ACTIVATING, State.OPERATIONAL}
LAST |= {State.UPDATING, State.RECONNECTING}
"""The states in which a person has nothing left to do on the hotspot once a page was seen."""


def situations(state: State) -> Iterator[Snapshot]:
    """The station in `state`: claimed or not, hotspot or not, without a network, with one, and online."""
    seen = view_of(state)
    for claimed, hotspot, network in product((False, True), (False, True), NETWORKS):
        yield Snapshot(
            state=state.value,
            phase=seen.phase.value,
            short_id="KXPMVT",
            claimed=claimed,
            hotspot=hotspot,
            network=network,
            card=None if claimed else CARD,
        )


async def navigate(air: Air, client: Client, url: str) -> tuple[str, Reply]:
    """A page as the client's sheet or browser opens it, redirections followed."""
    for _ in range(5):
        reply = await air.get(url, client.agent)
        assert reply is not None, f"{url} needs a door that is closed"
        if reply.status not in (301, 302, 303, 307, 308):
            return url, reply
        url = urljoin(url, reply.headers["location"])
    raise AssertionError(f"redirections without end at {url}")


async def opens_a_page(air: Air, client: Client) -> None:
    """The sheet shows one of ours, by plain HTTP, at the address that names lead to."""
    url, reply = await navigate(air, client, client.opens)
    assert (reply.status, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert urlsplit(url)[:2] == ("http", f"127.0.0.1:{air.portal}")
    assert reply.headers["cache-control"] == "no-store"
    assert b"https://" not in reply.body.replace(CARD.claim_url.encode(), b""), "the page needs the internet"


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("client", CLIENTS, ids=str)
async def test_each_system_opens_the_page_and_believes_it_is_online_only_after_the_last_one(
    air: Air, station: FakeStation, client: Client, state: State
) -> None:
    for number, snapshot in enumerate(situations(state), start=2):
        await station.show(snapshot)
        phone = replace(air, phone=f"127.0.0.{number}")
        assert await client.conclude(phone) is Verdict.PORTAL, snapshot
        await opens_a_page(phone, client)
        over = state in LAST and snapshot.network.online
        concluded = await client.conclude(phone)
        assert concluded in DONE if over else concluded is Verdict.PORTAL, snapshot


@pytest.mark.parametrize("state", [State.UNINITIALIZED, State.INITIALIZING, State.SETUP, State.CONFIGURING])
@pytest.mark.parametrize("client", CLIENTS, ids=str)
async def test_whoever_was_done_sees_the_portal_again_when_set_up_begins_again(
    air: Air, station: FakeStation, client: Client, state: State
) -> None:
    running = next(each for each in situations(State.OPERATIONAL) if each.network.online)
    await station.show(running)
    await opens_a_page(air, client)
    assert await client.conclude(air) in DONE
    await station.show(next(situations(state)))
    assert await client.conclude(air) is Verdict.PORTAL
    await station.show(running)
    assert await client.conclude(air) is Verdict.PORTAL, "it has seen no page since"


@pytest.mark.parametrize("client", CLIENTS, ids=str)
async def test_what_one_phone_has_seen_says_nothing_of_another(
    air: Air, station: FakeStation, client: Client
) -> None:
    await station.show(next(each for each in situations(State.OPERATIONAL) if each.network.online))
    await opens_a_page(air, client)
    assert await client.conclude(air) in DONE
    assert await client.conclude(replace(air, phone="127.0.0.9")) is Verdict.PORTAL


def test_the_hotspots_address_is_not_one_that_android_calls_private() -> None:
    address = ipaddress.ip_address(HOTSPOT_ADDRESS)
    assert not [net for net in JAVA_PRIVATE if net.version == address.version and address in net]


@pytest.mark.parametrize("address", ["10.42.0.1", "192.168.4.1", "172.16.0.1", "169.254.1.1"])
async def test_at_a_private_address_the_rule_of_some_androids_would_hide_the_page(
    air: Air, address: str
) -> None:
    """The control: the oracle tells the two apart, so the address matters and not only the answer."""
    there = replace(air, address=address)
    assert await android(there, "connectivitycheck.gstatic.com") is Verdict.PORTAL
    hidden = await android(there, "connectivitycheck.gstatic.com", private_rule=True)
    assert hidden is Verdict.NO_INTERNET


@pytest.mark.parametrize("client", CLIENTS, ids=str)
async def test_where_nobody_answers_no_system_calls_it_a_portal(air: Air, client: Client) -> None:
    """The control of every oracle: it judges answers, not hopes."""
    assert await client.conclude(replace(air, portal=air.closed)) is Verdict.NO_INTERNET
