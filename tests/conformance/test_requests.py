"""Probes in every shape in which they come: methods, versions, whole addresses, names, ports."""

from __future__ import annotations

from dataclasses import replace

import pytest

from portal.captive import ONLINE as PROBES
from portal.fakes import IN_SETUP, RUNNING, FakeStation
from tests.conformance.wire import Air, Reply, exchange, read, request

FOREIGN = (
    "captive.apple.com",
    "captive.apple.com:80",
    "CAPTIVE.APPLE.COM.",
    "connectivitycheck.gstatic.com:8080",
    "example.org",
    "203.0.113.7.example.org",
    "xn--bcher-kva.example",
    "a_b.example",
    "not a host",
    "evil.example:99999999",
    "é".encode().decode("latin-1"),
    "",
)
PATHS = (
    *sorted(PROBES),
    "/",
    "/setup",
    "/some/new/probe/of/next/year",
    "/generate_204?random=7f3a&x=%zz",
    "/hotspot-detect.html?",
    "/kindle-wifi/wifiredirect.html",
    "//example.org/x",
    "/%2e%2e/%00",
)


async def ask(air: Air, target: str, *headers: str, method: str = "GET", version: str = "HTTP/1.1") -> Reply:
    sent = request(target, *headers, "Connection: close", method=method, version=version)
    return read(await exchange(air.portal, sent, air.phone), method)


def leads_to_the_portal(reply: Reply, air: Air) -> bool:
    """302 and nothing else: 301 and 308 are remembered, 307 repeats a form, 511 is not understood."""
    there = reply.status == 302 and reply.headers["location"] == f"http://127.0.0.1:{air.portal}/"
    closes = reply.headers.get("connection") == "close" or reply.whole.startswith(b"HTTP/1.0")
    return there and closes and reply.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", PATHS)
async def test_each_path_leads_to_the_portal_under_every_name(air: Air, path: str) -> None:
    for host in FOREIGN:
        assert leads_to_the_portal(await ask(air, path, f"Host: {host}"), air), host


@pytest.mark.parametrize("path", sorted(PROBES))
@pytest.mark.parametrize(
    "own", ["192.0.2.1", "192.0.2.1:80", "10.42.0.1", "localhost", "meteor-kxpmvt.local"]
)
async def test_a_probe_that_asks_our_own_address_is_a_probe(air: Air, path: str, own: str) -> None:
    assert leads_to_the_portal(await ask(air, path, f"Host: {own}"), air)


@pytest.mark.parametrize("path", PATHS)
async def test_a_head_request_hears_the_same_without_the_text(air: Air, path: str) -> None:
    full = await ask(air, path, "Host: example.org")
    head = await ask(air, path, "Host: example.org", method="HEAD")
    assert leads_to_the_portal(head, air)
    assert head.headers["content-length"] == full.headers["content-length"]
    assert head.whole.endswith(b"\r\n\r\n"), "a text behind the headers would be read as the next answer"


@pytest.mark.parametrize("path", PATHS)
async def test_a_form_sent_to_somebody_else_leads_to_the_portal(air: Air, path: str) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"):
        reply = await ask(air, path, "Host: example.org", "Content-Length: 0", method=method)
        assert leads_to_the_portal(reply, air), method


async def test_a_form_of_ours_under_another_name_does_nothing(air: Air, station: FakeStation) -> None:
    reply = await ask(air, "/setup/join", "Host: example.org", "Content-Length: 0", method="POST")
    assert (reply.status, station.asked) == (403, [])


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize(
    "headers", [(), ("Host: captive.apple.com",), ("Host: captive.apple.com:80",)], ids=str
)
async def test_http_1_0_with_and_without_host(
    air: Air, station: FakeStation, headers: tuple[str, ...], done: bool
) -> None:
    if done:
        await station.show(RUNNING)
        await ask(air, "/status", "Host: 192.0.2.1")
    reply = await ask(air, "/hotspot-detect.html", *headers, version="HTTP/1.0")
    assert reply.status == 200 if done else leads_to_the_portal(reply, air)
    assert "transfer-encoding" not in reply.headers, "a client of 1.0 cannot read it"


async def test_http_1_1_without_host_is_refused_or_led_and_never_told_that_it_is_online(air: Air) -> None:
    """RFC 9112 §3.2 demands 400; releases of aiohttp differ."""
    reply = await ask(air, "/generate_204")
    assert reply.status == 400 or leads_to_the_portal(reply, air)


@pytest.mark.parametrize("host", ["captive.apple.com", "192.0.2.1", "", "127.0.0.1:80"])
@pytest.mark.parametrize("path", ["/hotspot-detect.html", "/", "/setup", "/status"])
async def test_a_whole_address_in_the_request_line_outweighs_host(air: Air, path: str, host: str) -> None:
    reply = await ask(air, f"http://captive.apple.com{path}", f"Host: {host}")
    assert leads_to_the_portal(reply, air)


async def test_a_whole_address_of_ours_is_ours(air: Air) -> None:
    reply = await ask(air, "http://192.0.2.1/setup", "Host: captive.apple.com")
    assert reply.status == 200


@pytest.mark.parametrize("path", sorted(set(PROBES) - {"/redirect"}))
async def test_who_is_done_gets_an_answer_of_its_own_that_nobody_keeps(
    air: Air, station: FakeStation, path: str
) -> None:
    await station.show(RUNNING)
    await ask(air, "/status", "Host: 192.0.2.1")
    for target in (path, f"{path}?x=1"):
        for method in ("GET", "HEAD"):
            reply = await ask(air, target, "Host: probe.example", method=method)
            assert reply.status == PROBES[path].status
            assert reply.headers["cache-control"] == "no-store"
            assert reply.headers["connection"] == "close"
            assert reply.headers["x-networkmanager-status"] == "online"
    if PROBES[path].status == 204:
        assert reply.whole.endswith(b"\r\n\r\n")
        assert "content-length" not in reply.headers or reply.headers["content-length"] == "0"


async def test_while_set_up_lasts_no_answer_has_the_header_that_networkmanager_believes(
    air: Air, station: FakeStation
) -> None:
    for snapshot in (IN_SETUP, RUNNING):
        await station.show(snapshot)
        for host in ("network-test.example", "192.0.2.1"):
            reply = await ask(replace(air, phone="127.0.0.8"), "/nm", f"Host: {host}")
            assert "x-networkmanager-status" not in reply.headers


async def test_two_probes_on_one_connection_are_not_both_taken(air: Air) -> None:
    """Each gets a connection of its own, so that no phone waits on one that the radio switch has cut."""
    one = request("/generate_204", "Host: connectivitycheck.gstatic.com")
    whole = await exchange(air.portal, one + one)
    assert whole.count(b"HTTP/1.1 302") == 1
