"""Real NetworkManager, wpa_supplicant, hostapd and dnsmasq on simulated radios; see docs/onboarding.md."""

from __future__ import annotations

import pytest

from tests.wifi.conftest import WHOLE
from tests.wifi.guest.scenarios import SCENARIOS
from tests.wifi.vm.guest import Guest

SAMPLE = ("every_makers_phone_is_led_to_the_page", "a_wrong_key_is_named_and_the_phone_comes_back")
"""Part of `make test` where the image is there."""
APART = ("first_boot", "before_the_power_cut", "after_the_power_cut")


def tell(name: str, seconds: dict[str, float]) -> None:
    print(f"\n{name}: " + ", ".join(f"{step} {took:.1f} s" for step, took in seconds.items()))


def open_moment(guest: Guest) -> None:
    """After `first_boot`, which is run once."""
    if "open" not in guest.saved:
        tell("first_boot", guest.run("first_boot", "ready"))
        guest.save("open")


def test_the_hotspot_of_a_first_boot_is_seen_and_joined(guest: Guest) -> None:
    open_moment(guest)


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name not in APART])
def test_scenario(guest: Guest, name: str) -> None:
    if not WHOLE and name not in SAMPLE:
        pytest.skip("`make test-wifi` runs it")
    base = SCENARIOS[name][0]
    if base == "open":
        open_moment(guest)
    tell(name, guest.run(name, base))


def test_a_power_cut_between_claim_and_delivery_loses_nothing(guest: Guest) -> None:
    if not WHOLE:
        pytest.skip("`make test-wifi` runs it")
    open_moment(guest)
    tell("before_the_power_cut", guest.run("before_the_power_cut", "open"))
    guest.cut_power()
    guest.machine.run("cd /srv/project && python3 -m tests.wifi.guest.run radios", seconds=120)
    tell("after_the_power_cut", guest.run("after_the_power_cut", None))
