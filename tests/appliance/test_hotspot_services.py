"""The hotspot's rules, its dnsmasq and its watched child: what they refuse, and what they understand."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from appliance.network.hotspot import child, services
from appliance.network.hotspot.child import Child, ChildFailed, end_left_over
from appliance.network.hotspot.dnsmasq import Trace, command, trace
from appliance.network.hotspot.phones import MAX_PHONES, Phones
from appliance.network.hotspot.rules import ruleset
from appliance.network.hotspot.services import CannotServe, HotspotServer
from tests.appliance.workshop import until

ADDRESSES = ("10.42.0.1/24", "192.0.2.1/32")
READY = "print('ready', file=sys.stderr, flush=True)"


@pytest.mark.parametrize("name", ["lo", "", "wlan0; flush ruleset", 'wlan0"', "a" * 16, "-x", "wlan 0"])
def test_no_rules_are_made_for_what_is_no_interface_of_a_hotspot(name: str) -> None:
    with pytest.raises(ValueError, match="interface"):
        ruleset(name, ADDRESSES, 80)


def test_no_rules_are_made_for_what_is_no_address() -> None:
    with pytest.raises(ValueError, match="does not appear"):
        ruleset("wlan0", ["everything"], 80)


def test_a_portal_at_another_port_is_reached_by_port_80() -> None:
    assert "redirect" not in ruleset("wlan0", ADDRESSES, 80)
    assert "tcp dport 80 redirect to :8080" in ruleset("wlan0", ADDRESSES, 8080)


def test_dnsmasq_has_no_upstream_and_one_interface() -> None:
    words = command("dnsmasq", "wlan0", IPv4Interface("10.42.7.1/24"), "192.0.2.1", Path("/run/leases"))
    assert {"--no-resolv", "--no-hosts", "--local=/#/", "--address=/#/192.0.2.1"} <= set(words)
    assert [word for word in words if "interface" in word] == [
        "--interface=wlan0",
        "--except-interface=lo",
        "--bind-interfaces",
    ]
    assert "--dhcp-range=10.42.7.10,10.42.7.250,255.255.255.0,3600s" in words
    assert not [word for word in words if word.startswith("--server")]


LINES: list[tuple[str, Trace | None]] = [
    (
        "dnsmasq-dhcp: DHCPACK(wlan0) 10.42.0.57 02:00:00:00:01:00 Anna's phone",
        Trace("10.42.0.57", "lease", "02:00:00:00:01:00"),
    ),
    (
        "dnsmasq-dhcp[7]: DHCPACK(ap0) 10.42.0.57 02:00:00:00:01:00",
        Trace("10.42.0.57", "lease", "02:00:00:00:01:00"),
    ),
    ("dnsmasq: query[A] captive.apple.com from 10.42.0.57", Trace("10.42.0.57", "name")),
    ("dnsmasq: query[type=65] www.google.com from 10.42.0.57", Trace("10.42.0.57", "name")),
    ("dnsmasq-dhcp: DHCPDISCOVER(wlan0) 02:00:00:00:01:00", None),
    ("dnsmasq-dhcp: DHCPNAK(wlan0) 10.1.1.1 02:00:00:00:01:00 wrong network", None),
    ("dnsmasq: config captive.apple.com is 192.0.2.1", None),
    ("dnsmasq: query[A] a from b from 10.42.0.57", None),
    ("", None),
]


@pytest.mark.parametrize(("line", "seen"), LINES)
def test_a_line_of_the_log_says_what_a_phone_did(line: str, seen: Trace | None) -> None:
    assert trace(line) == seen


def test_a_phones_first_step_is_timed_and_the_list_is_bounded() -> None:
    clock = [100.0]
    phones = Phones(lambda: clock[0])
    clock[0] = 102.5
    assert phones.saw("10.42.0.5", "lease") == 2.5
    assert phones.saw("10.42.0.5", "lease") is None
    for number in range(MAX_PHONES + 10):
        phones.saw(f"10.42.1.{number}", "lease")
    assert len(phones.trails()) == MAX_PHONES
    assert "10.42.0.5" not in {trail.address for trail in phones.trails()}
    phones.opened()
    assert phones.trails() == ()


def test_the_phone_seen_last_comes_first_and_what_was_told_does_not_change() -> None:
    clock = [0.0]
    phones = Phones(lambda: clock[0])
    for clock[0], phone, step in [(1.0, "a", "lease"), (2.0, "b", "lease"), (3.0, "a", "name")]:
        phones.saw(phone, step)
    told = phones.trails()
    phones.saw("b", "name")
    assert [(trail.address, dict(trail.steps)) for trail in told] == [
        ("a", {"lease": 1.0, "name": 3.0}),
        ("b", {"lease": 2.0}),
    ]


HARDWARE = "02:00:00:00:01:00"


def test_a_phone_without_an_address_has_a_row_that_its_address_takes_over() -> None:
    clock = [0.0]
    phones = Phones(lambda: clock[0])
    clock[0] = 1.0
    phones.joined(HARDWARE)
    clock[0] = 2.0
    phones.wrong_key(HARDWARE)
    [trail] = phones.trails()
    assert (dict(trail.steps), trail.wrong_key) == ({"joined": 1.0}, 2.0)
    clock[0] = 3.0
    phones.joined(HARDWARE.upper())
    phones.leased(HARDWARE, "10.42.0.57")
    phones.joined(HARDWARE)  # it was away for a moment
    phones.saw("10.42.0.57", "name")
    [trail] = phones.trails()
    assert trail.address == "10.42.0.57"
    assert dict(trail.steps) == {"joined": 1.0, "lease": 3.0, "name": 3.0}


def test_no_hardware_address_is_kept_or_logged_and_another_program_names_it_differently(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    names = []
    for phones in (Phones(lambda: 0.0), Phones(lambda: 0.0)):
        phones.joined(HARDWARE)
        phones.wrong_key(HARDWARE)
        names.append(phones.trails()[0].address)
    assert names[0] != names[1]
    assert all(re.fullmatch("#[0-9a-f]{6}", name) for name in names)
    assert HARDWARE not in caplog.text


def test_made_up_hardware_addresses_push_out_no_phone_that_has_an_address_and_fill_no_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    phones = Phones(lambda: 0.0)
    phones.joined(HARDWARE)
    phones.leased(HARDWARE, "10.42.0.57")
    for number in range(3 * MAX_PHONES):
        phones.joined(f"02:00:00:00:02:{number:02x}")
    assert len(phones.trails()) == MAX_PHONES
    assert "10.42.0.57" in {trail.address for trail in phones.trails()}
    assert caplog.text.count("joined") == MAX_PHONES


def python(code: str, *mark: str) -> list[str]:
    return [sys.executable, "-c", f"import sys, time\n{code}", *mark]


async def test_a_child_that_dies_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "PAUSES_S", (0.01,))
    heard: list[str] = []
    kept = Child(python(f"{READY}; time.sleep(600)"), "ready", heard.append)
    await kept.start()
    first = kept.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: heard.count("ready") == 2)
    assert kept.pid not in (None, first)
    await kept.stop()
    assert kept.pid is None


async def test_a_child_that_never_works_is_an_error_with_its_last_words() -> None:
    with pytest.raises(ChildFailed, match="port 53 is taken"):
        await Child(python("sys.exit('port 53 is taken')"), "ready", print).start()
    with pytest.raises(ChildFailed, match="No such file"):
        await Child(["/nowhere/at/all"], "ready", print).start()


async def test_a_child_that_hangs_before_its_work_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "READY_S", 0.2)
    hanging = Child(python("time.sleep(600)"), "ready", print)
    with pytest.raises(ChildFailed, match="does not begin"):
        await hanging.start()
    assert hanging.pid is None


async def test_a_child_that_ignores_its_end_is_ended_by_force(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "END_S", 0.2)
    deaf = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {READY}; time.sleep(600)"
    kept = Child(python(deaf), "ready", print)
    await kept.start()
    await kept.stop()
    assert kept.pid is None


async def test_what_an_earlier_life_has_left_is_ended(tmp_path: Path) -> None:
    mark = f"--dhcp-leasefile={tmp_path}/leases"
    left = await asyncio.create_subprocess_exec(*python("time.sleep(600)", mark))
    other = await asyncio.create_subprocess_exec(*python("time.sleep(600)", f"{mark}.another"))
    ending = asyncio.create_task(asyncio.to_thread(end_left_over, mark))
    assert await left.wait() == -signal.SIGTERM
    await ending
    assert other.returncode is None
    other.kill()
    await other.wait()


async def test_a_machine_without_the_programs_says_which_package_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "_SEARCH", str(tmp_path))
    server = HotspotServer(tmp_path, 80, Phones(lambda: 0.0))
    with pytest.raises(CannotServe, match="Install the package nftables"):
        await server.start("wlan0", ADDRESSES)
    with pytest.raises(CannotServe, match="can be none of a hotspot"):
        await server.guard("lo", ADDRESSES)
