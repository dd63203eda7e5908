"""Phones that come to the hotspot and do not get in: with a wrong key, and with frames that are lost."""

from __future__ import annotations

from appliance.network.networkmanager.ladder import HANDSHAKES
from tests.visitor import eventually
from tests.wifi.guest.table import scenario
from tests.wifi.guest.world import World


def _first_hotspot(world: World) -> tuple[str, str]:
    world.station.start()
    ssid, key = world.station.hotspot()
    eventually(lambda: any(ssid in each for each in world.neighbour.hears()), "the hotspot is in the air")
    return ssid, key


def _protected_by(world: World, ssid: str, word: str) -> bool:
    return any(ssid in each and word in each for each in world.neighbour.hears())


@scenario("ready")
def phones_with_a_wrong_key_change_nothing(world: World) -> None:
    """However often they come: the radio is not to blame."""
    ssid, key = _first_hotspot(world)
    world.phone.know(ssid, "not the key at all")
    eventually(lambda: "with a wrong key" in world.station.text(), "the supplicant tells of the wrong key")
    eventually(lambda: world.phone.thrown_out() > HANDSHAKES, "it comes again and again", 300, every=2)
    world.neighbour.know(ssid, key)
    world.neighbour.wait_associated()
    world.neighbour.ask_for_address()
    assert "do not get in" not in world.station.text()
    assert _protected_by(world, ssid, "RSN:")


@scenario("ready")
def phones_that_do_not_get_in_lead_to_the_next_protection(world: World) -> None:
    """Their frames are lost; with WPA they get in."""
    ssid, key = _first_hotspot(world)
    assert _protected_by(world, ssid, "RSN:")
    world.phone.know(ssid, key, silent=True)
    with world.timed("three phones did not get in"):
        eventually(lambda: "do not get in as wpa2" in world.station.text(), "it is noticed", 300, every=2)
    with world.timed("hotspot open as WPA"):
        eventually(lambda: _protected_by(world, ssid, "WPA: *"), "the next protection is in the air")
    assert not _protected_by(world, ssid, "RSN:")
    world.phone.speaks()
    with world.timed("phone on the hotspot"):
        world.phone.wait_associated()
    world.phone.ask_for_address()
