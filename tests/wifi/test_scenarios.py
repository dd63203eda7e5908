"""Real NetworkManager, wpa_supplicant, hostapd and dnsmasq on simulated radios; see docs/onboarding.md."""

from __future__ import annotations

import pytest

from tests.wifi.conftest import WHOLE
from tests.wifi.guest.scenarios import SCENARIOS
from tests.wifi.vm.guest import Guest

SAMPLE = ("every_makers_phone_is_led_to_the_page", "the_hotspot_leads_nowhere_else")
"""Part of `make test` where the image is there."""
APART = ("first_boot", "before_the_power_cut", "after_the_power_cut")


def tell(name: str, seconds: dict[str, float]) -> None:
    print(f"\n{name}: " + ", ".join(f"{step} {took:.1f} s" for step, took in seconds.items()))


def reach(guest: Guest, moment: str) -> None:
    """Makes a moment, and those before it, that is not saved yet."""
    if moment in guest.saved:
        return
    if moment == "open":
        tell("first_boot", guest.run("first_boot", "ready"))
    if moment == "house":
        reach(guest, "open")
        guest.open_house()
    guest.save(moment)


def test_the_hotspot_of_a_first_boot_is_seen_and_joined(guest: Guest) -> None:
    reach(guest, "open")


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name not in APART])
def test_scenario(guest: Guest, name: str) -> None:
    if not WHOLE and name not in SAMPLE:
        pytest.skip("`make test-wifi` runs it")
    base = SCENARIOS[name][0]
    reach(guest, base)
    tell(name, guest.run(name, base))


def test_a_power_cut_between_claim_and_delivery_loses_nothing(guest: Guest) -> None:
    if not WHOLE:
        pytest.skip("`make test-wifi` runs it")
    reach(guest, "house")
    tell("before_the_power_cut", guest.run("before_the_power_cut", "house"))
    guest.cut_power()
    guest.machine.run("cd /srv/project && python3 -m tests.wifi.guest.run radios", seconds=120)
    tell("after_the_power_cut", guest.run("after_the_power_cut", None))
