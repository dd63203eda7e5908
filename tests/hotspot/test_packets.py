"""What a phone on the set-up hotspot can reach, and what it cannot: real packets, dnsmasq and nftables."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from tests.hotspot.conftest import INTERFACE, LAN, OWN, PORTAL, ROOT, World
from tests.visitor import AAAA, HTTPS, NOERROR, A, eventually

NAMES = ("captive.apple.com", "connectivitycheck.gstatic.com", "www.msftconnecttest.com", "meteor", "a.b.c.d")


def rules(world: World) -> str:
    return world.station.run("nft", "list", "ruleset")


def test_a_phone_gets_an_address_the_way_out_is_the_station_and_no_option_promises_more(world: World) -> None:
    world.hotspot()
    lease = world.phone.ask_for_address()
    assert lease["ip"].startswith("10.42.0.")
    assert lease["router"] == lease["dns"] == OWN
    assert "opt114" not in lease, "an API without a trusted certificate helps no phone"


def test_a_phone_that_comes_back_gets_the_address_it_had(world: World) -> None:
    first = world.hotspot()
    before = world.phone.ask_for_address()["ip"]
    first.stop()
    world.hotspot()
    assert world.phone.ask_for_address()["ip"] == before


@pytest.mark.parametrize("name", NAMES)
def test_every_name_leads_to_the_portal_and_to_nothing_else(world: World, name: str) -> None:
    world.hotspot()
    world.phone.ask_for_address()
    for tcp in (False, True):
        answer = world.phone.resolve(name, A, tcp=tcp)
        assert (answer.code, answer.addresses) == (NOERROR, (PORTAL,))
        for kind in (AAAA, HTTPS):
            answer = world.phone.resolve(name, kind, tcp=tcp)
            assert (answer.code, answer.addresses) == (NOERROR, ()), f"type {kind} must be empty, not refused"


def test_no_question_leaks_to_the_name_server_of_the_wired_network(world: World) -> None:
    upstream = world.lan.popen(
        *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file", "--no-hosts"),
        *("--no-resolv", "--address=/#/203.0.113.9", "--address=/#/2001:db8::9", "--log-queries"),
        "--log-facility=-",
        log=world.folder / "upstream.log",
    )
    world.programs.append(upstream)
    eventually(lambda: ":53 " in world.lan.run("ss", "-Hlun"), "the wired network answers names")
    resolver = world.folder / "resolv.conf"
    resolver.write_text(f"nameserver {LAN}\n")
    world.hotspot()
    world.phone.ask_for_address()
    for kind in (A, AAAA, HTTPS):
        answer = world.phone.resolve("www.example.org", kind)
        assert answer.addresses == ((PORTAL,) if kind == A else ())
    assert "query" not in (world.folder / "upstream.log").read_text()


@pytest.mark.parametrize("port", [80, 8080])
def test_the_portal_is_reached_at_port_80_of_both_addresses_wherever_it_listens(
    world: World, port: int
) -> None:
    world.serve(world.station, "0.0.0.0", port, "portal")
    world.hotspot(portal_port=port)
    world.phone.ask_for_address()
    for host in ("captive.apple.com", PORTAL, OWN):
        _, status, body = world.phone.fetch(f"http://{host}/hotspot-detect.html")
        assert (status, body) == (200, b"portal")


def test_https_is_refused_at_once_so_that_browsers_fall_back(world: World) -> None:
    world.serve(world.station, "0.0.0.0", 443, "nothing for phones")
    world.hotspot()
    world.phone.ask_for_address()
    assert world.phone.knock(PORTAL, 443) == "refused"
    assert world.phone.knock(OWN, 443) == "refused"


def test_the_stations_other_doors_are_silent(world: World) -> None:
    for port in (22, 8801, 631):
        world.serve(world.station, "0.0.0.0", port, "inside")
    world.hotspot()
    world.phone.ask_for_address()
    for address in (PORTAL, OWN):
        for port in (22, 8801, 631):
            assert world.phone.knock(address, port) == "silent"


def test_the_stations_other_addresses_are_silent_even_at_open_ports(world: World) -> None:
    world.serve(world.station, "0.0.0.0", 80, "portal")
    world.hotspot()
    world.phone.ask_for_address()
    assert world.phone.knock("192.168.77.2", 80) == "silent"
    assert world.phone.knock("192.168.77.2", 53) == "silent"
    assert not world.phone.pings("192.168.77.2")
    assert world.phone.pings(PORTAL)


def test_the_wired_network_is_out_of_reach_in_both_directions(world: World) -> None:
    world.serve(world.lan, LAN, 80, "the customer's printer")
    world.serve(world.phone.space, "0.0.0.0", 8080, "the phone")
    world.hotspot()
    world.phone.ask_for_address()
    assert world.phone.knock(LAN, 80) == "silent"
    assert not world.phone.pings(LAN)
    said = world.lan.run("busybox", "ping", "-c", "1", "-W", "2", world.phone.address, check=False)
    assert "100% packet loss" in said


def test_without_the_rules_the_wired_network_would_be_reached(world: World) -> None:
    """The control: this world does forward, so the silence above is the rules' work."""
    world.serve(world.lan, LAN, 80, "the customer's printer")
    world.hotspot()
    world.phone.ask_for_address()
    world.station.run("nft", "flush", "ruleset")
    assert world.phone.knock(LAN, 80) == "open"


def test_another_phone_is_out_of_reach_directly_and_by_way_of_the_station(world: World) -> None:
    world.hotspot()
    world.phone.ask_for_address()
    other = world.neighbour.ask_for_address()["ip"]
    world.serve(world.neighbour.space, "0.0.0.0", 80, "somebody's phone")
    assert world.phone.knock(other, 80) == "silent"
    world.phone.space.ip("route", "add", f"{other}/32", "via", OWN)
    assert world.phone.knock(other, 80) == "silent"


def test_stopping_leaves_no_rule_and_no_program(world: World) -> None:
    hotspot = world.hotspot()
    assert INTERFACE in rules(world)
    hotspot.stop()
    assert "meteor" not in rules(world)
    assert "dnsmasq" not in world.station.run("sh", "-c", "ps -o comm= -p $(ip netns pids $0 | paste -sd,)",
                                              world.station.name, check=False)  # fmt: skip


def test_rules_of_others_stay_as_they_are(world: World) -> None:
    world.station.run("nft", "add table inet somebody; add chain inet somebody theirs")
    hotspot = world.hotspot()
    hotspot.stop()
    assert "table inet somebody" in rules(world)


def test_after_a_kill_the_next_start_takes_over_and_the_next_stop_leaves_nothing(world: World) -> None:
    first = world.hotspot()
    lease = world.phone.ask_for_address()["ip"]
    first.kill()
    assert INTERFACE in rules(world), "the door stays shut while nobody looks after it"
    second = world.hotspot()
    assert rules(world).count("chain from_phones") == 1
    assert world.phone.ask_for_address()["ip"] == lease
    second.stop()
    assert "meteor" not in rules(world)


def test_dnsmasq_that_dies_is_started_again(world: World) -> None:
    hotspot = world.hotspot()
    world.phone.ask_for_address()
    os.kill(hotspot.dnsmasq(), signal.SIGKILL)
    assert world.phone.resolve("captive.apple.com").addresses == (PORTAL,)
    assert "started again" in hotspot.text()


def test_the_steps_of_a_phone_are_told_and_names_are_not(world: World) -> None:
    hotspot = world.hotspot()
    address = world.phone.ask_for_address()["ip"]
    world.phone.resolve("a-secret-habit.example")
    eventually(lambda: f"{address} on the hotspot: name" in hotspot.text(), "the question is told")
    assert f"{address} on the hotspot: lease" in hotspot.text()
    hotspot.stop()
    assert f"trail {address} lease name" in hotspot.text(), "kept after the hotspot closed"
    assert f"trail {OWN} " not in hotspot.text(), "the self-test is no phone"
    assert "a-secret-habit" not in hotspot.text()


def test_a_hotspot_without_its_page_is_refused_and_leaves_nothing(world: World) -> None:
    station = world.station.popen(
        *(sys.executable, ROOT / "tests/hotspot/serve.py", world.folder / "run", 80),
        *(INTERFACE, f"{OWN}/24", f"{PORTAL}/32"),
        log=world.folder / "pageless.log",
    )
    world.programs.append(station)
    assert station.wait(120) != 0
    said = (world.folder / "pageless.log").read_text()
    assert f"the setup page does not answer at {PORTAL}, port 80" in said
    assert "meteor_hotspot" not in rules(world)
    assert ":53 " not in world.station.run("ss", "-Hlun")
