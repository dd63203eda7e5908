"""What happens between a station, a router and a phone, told step by step; each runs inside the guest.

The table says from which saved moment a scenario starts: `ready` is a machine whose station was never
started, `open` the same after `first_boot`, with a phone on the hotspot, and `house` that with the owner's
cloud, whose router is not in the air yet.
"""

from __future__ import annotations

from tests.visitor import eventually
from tests.wifi.guest import newcomers
from tests.wifi.guest.phone import MAKERS, led_to_the_page
from tests.wifi.guest.router import NOWHERE, PASSWORD, SSID
from tests.wifi.guest.table import SCENARIOS, scenario
from tests.wifi.guest.world import PORTAL, World

__all__ = ["SCENARIOS", "newcomers"]

ONLINE = ("network_ready", "claiming", "activating", "operational")


@scenario("ready")
def first_boot(world: World) -> None:
    """From an empty disk to a phone that has an address on the hotspot."""
    with world.timed("hotspot visible"):
        world.station.start()
        ssid, key = world.station.hotspot()
        eventually(lambda: any(ssid in each for each in world.phone.hears()), "the hotspot is in the air")
    block = next(each for each in world.phone.hears() if ssid in each)
    assert ssid.startswith("Meteor-")
    assert "RSN:" in block and "PSK" in block, "protected by WPA2"
    assert "WPA: *" not in block, "and by nothing older"
    assert len(key) == 12
    with world.timed("phone on the hotspot"):
        world.phone.know(ssid, key)
        world.phone.wait_associated()
    with world.timed("phone has an address"):
        world.phone.ask_for_address()
    assert world.phone.lease["dns"] == world.phone.lease["router"]


@scenario("open")
def every_makers_phone_is_led_to_the_page(world: World) -> None:
    """iOS, Android with its private-address rule, and Windows."""
    for maker in MAKERS:
        with world.timed(f"page open on {maker.name}"):
            page = led_to_the_page(world.phone, maker)
        assert page == f"http://{PORTAL}/setup"


@scenario("open")
def the_hotspot_leads_nowhere_else(world: World) -> None:
    """Not to SSH, not to the station's other address, not to another phone."""
    ssid, key = world.station.hotspot()
    own = world.phone.lease["router"]
    for address in (PORTAL, own):
        assert world.phone.knock(address, 80) == "open"
        assert world.phone.knock(address, 443) == "refused"
        assert world.phone.knock(address, 22) == "silent", "SSH listens on all addresses of this station"
    assert world.phone.knock("10.0.2.15", 22) == "silent"
    world.neighbour.know(ssid, key)
    world.neighbour.wait_associated()
    world.neighbour.ask_for_address()
    assert world.neighbour.address != world.phone.address
    assert world.phone.pings(PORTAL)
    assert not world.phone.pings(world.neighbour.address), "phones are isolated from each other"
    world.phone.space.ip("route", "add", f"{world.neighbour.address}/32", "via", own)
    assert not world.phone.pings(world.neighbour.address)


def _joins(world: World, ssid: str = SSID) -> None:
    """The phone chooses, and the station is in."""
    world.list_networks(ssid)
    with world.timed("joined"):
        world.choose(ssid=ssid)
        world.station.wait_for(*ONLINE)
    assert f"joined {ssid.encode()!r}" in world.station.text()


@scenario("house")
def a_wpa2_network_is_joined(world: World) -> None:
    """The usual house."""
    world.router.switch_on("wpa2")
    _joins(world)
    with world.timed("hotspot gone"):
        world.phone.wait_gone()


@scenario("house")
def a_wpa3_network_is_joined(world: World) -> None:
    """A router that speaks SAE alone."""
    world.router.switch_on("wpa3")
    _joins(world)


@scenario("house")
def a_network_with_wpa2_and_wpa3_is_joined(world: World) -> None:
    """Both under one name."""
    world.router.switch_on("mixed")
    _joins(world)


@scenario("house")
def a_hidden_network_is_joined(world: World) -> None:
    """Its name is typed by hand."""
    world.router.switch_on("wpa2", hidden=True)
    with world.timed("joined"):
        world.choose(name=SSID, security="wpa2")
        world.station.wait_for(*ONLINE)


def _fails(world: World, code: str) -> None:
    """The verdict waits for the phone, which comes back by itself to the same hotspot."""
    hotspot = world.station.hotspot()
    world.phone.wait_gone()
    with world.timed("verdict"):
        world.station.wait_verdict(code)
    with world.timed("phone back"):
        world.phone_is_back()
    assert world.station.hotspot() == hotspot, "the same name and key"
    with world.timed("verdict page open"):
        page = world.verdict_page(code)
    assert world.phone.fetch("http://captive.apple.com/hotspot-detect.html")[1] == 302, (
        "the sheet opens again"
    )
    assert page.form("/setup/join").values["network"] == SSID.encode().hex(), "the form is filled in"


def _chosen_fails(world: World, code: str) -> None:
    """It is in the list, the person chooses it, and the verdict comes."""
    world.list_networks()
    world.choose()
    _fails(world, code)


def _wrong_key(world: World, protection: str) -> None:
    world.router.switch_on(protection)
    world.list_networks()
    channel = _channel(world)
    world.choose("this is not the key")
    _fails(world, "NET-001")
    assert _channel(world) == channel, "the hotspot is back where the phone looks for it"
    assert "this is not the key" not in world.station.text()


def _channel(world: World) -> str:
    return world.phone.space.run("iw", "dev", world.phone.interface, "link").partition("freq:")[2].split()[0]


@scenario("house")
def a_wrong_key_is_named_and_the_phone_comes_back(world: World) -> None:
    """WPA2, and then the right key."""
    _wrong_key(world, "wpa2")
    world.choose(PASSWORD)
    world.station.wait_for(*ONLINE)


@scenario("house")
def a_wrong_key_of_wpa3_is_not_called_out_of_reach(world: World) -> None:
    """SAE fails before any key exchange that NetworkManager can see."""
    _wrong_key(world, "wpa3")


@scenario("house")
def a_network_out_of_reach_is_named(world: World) -> None:
    """It was in the list, and its router has been switched off."""
    world.router.switch_on("wpa2")
    world.list_networks()
    world.router.switch_off_air()
    world.choose()
    _fails(world, "NET-002")


@scenario("house")
def a_router_without_addresses_is_named(world: World) -> None:
    """The key is right, and DHCP silent."""
    world.router.switch_on("wpa2", addresses=False)
    _chosen_fails(world, "NET-003")


@scenario("house")
def a_router_without_internet_is_named(world: World) -> None:
    """Names are known, and packets get lost behind the router."""
    world.router.switch_on("wpa2", cloud=NOWHERE)
    _chosen_fails(world, "NET-004")


@scenario("house")
def a_login_page_is_named(world: World) -> None:
    """Somebody else answers in the cloud's place."""
    world.router.switch_on("wpa2")
    world.house.stop_cloud()
    world.router.login_page()
    _chosen_fails(world, "NET-005")


def _to_operational(world: World) -> None:
    """Joined, claimed by its owner at the real cloud, and at work."""
    _joins(world)
    with world.timed("claimed and operational"):
        world.house.add(world.station.card())
        world.station.wait_for("operational")


@scenario("ready")
def from_first_boot_to_the_first_event(world: World) -> None:
    """The whole way: the router is on before, so the first list has it without another scan."""
    world.router.wire()
    world.house.start_cloud()
    world.router.switch_on("mixed")
    first_boot(world)
    with world.timed("page open"):
        led_to_the_page(world.phone, MAKERS[0])
    assert SSID in world.phone.open(f"http://{PORTAL}/setup").text, "heard before the hotspot opened"
    _to_operational(world)
    world.station.drop(1)
    with world.timed("event in the cloud"):
        eventually(lambda: "test:1" in world.house.arrived(), "the event arrives", 120, every=1)


@scenario("house")
def a_router_that_goes_and_comes_is_found_again_and_nothing_is_lost(world: World) -> None:
    """Recording goes on meanwhile."""
    world.router.switch_on("wpa2")
    _to_operational(world)
    world.router.switch_off_air()
    with world.timed("loss noticed"):
        world.station.wait_for("reconnecting")
    world.station.drop(1)
    eventually(lambda: world.station.waiting() > 0, "the event waits in the buffer")
    world.router.air("wpa2")
    with world.timed("back by itself"):
        world.station.wait_for("operational")
    with world.timed("event in the cloud"):
        eventually(lambda: "test:1" in world.house.arrived(), "the event arrives", 120, every=1)


@scenario("house")
def before_the_power_cut(world: World) -> None:
    """First half: claimed, at work, and an event that is not delivered yet."""
    world.station.start_with_the_machine()
    world.router.switch_on("wpa2")
    _to_operational(world)
    world.router.switch_off_air()
    world.station.wait_for("reconnecting")
    world.station.drop(7)
    eventually(lambda: "7.json" not in world.station.spooled(), "the event is taken in")


@scenario("cut")
def after_the_power_cut(world: World) -> None:
    """Second half, after a boot: the router comes later than the station, which finds it and delivers."""
    with world.timed("station answers"):
        eventually(world.station.status, "the station answers", 300)
    assert world.station.status()["state"] not in ("setup", "configuring"), "it knows that it is set up"
    world.router.wire()
    world.house.start_cloud()
    world.router.switch_on("wpa2")
    with world.timed("operational again"):
        world.station.wait_for("operational")
    with world.timed("event in the cloud"):
        eventually(lambda: "test:7" in world.house.arrived(), "the event arrives", 120, every=1)
